//! The listening sockets: inherited or bound once, kept for the life of santa-supervise,
//! and removed at its end if they are its own. Nothing here accepts a connection: the
//! services do.

mod findings;
mod inherited;
mod paths;

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use santa_config::{Address, Config, listen_tcp};

use crate::plan::Blueprint;

pub use inherited::Inherited;
pub use paths::{Batch, Binder, Bound, FileTask, READ_ONLY, SocketFile, ToBind};

/// How often removed socket files are looked for.
const LOOK_EVERY: Duration = Duration::from_secs(10);

/// One listening socket. Its file stays until it is [removed](SocketFile::remove).
#[derive(Debug)]
pub struct Listener {
    fd: OwnedFd,
    backlog: i32,
    file: Option<SocketFile>,
    tenure: Tenure,
}

/// How a listener is held.
#[derive(Debug, PartialEq, Eq)]
enum Tenure {
    /// By santa-supervise alone.
    Sole,
    /// Another container may listen at the same address (`SO_REUSEPORT`).
    Shared,
    /// Whoever started santa-supervise keeps it open; it listens at this address.
    Inherited(Address),
}

impl Tenure {
    fn is_inherited(&self) -> bool {
        matches!(self, Self::Inherited(_))
    }
}

impl Listener {
    /// The listening descriptor.
    #[must_use]
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    /// Makes this process the one that called `listen` last, so that a
    /// readiness probe sees when the service does. A shared one listens only
    /// from here on: until now all connections go to the other container.
    pub fn claim(&self) {
        // Cannot fail for a socket that already listens, nor for one that is bound to an
        // address which it shares.
        let _ = rustix::net::listen(&self.fd, self.backlog);
    }

    /// Its file, if it has one.
    #[must_use]
    pub fn file(&self) -> Option<&SocketFile> {
        self.file.as_ref()
    }
}

/// A socket's permission bits and backlog.
type Traits = (u32, i32);

/// All listening sockets of the services, by address.
#[derive(Debug, Default)]
pub struct Sockets {
    bound: BTreeMap<Address, (Listener, Traits)>,
    next_check: Option<Instant>,
    file_tasks: Vec<FileTask>,
    findings: Vec<(&'static str, String)>,
}

impl Sockets {
    /// The sockets at paths that have to be bound before [`Self::adapt`].
    #[must_use]
    pub fn to_bind(&self, config: &Config, blueprints: &[Blueprint]) -> Vec<ToBind> {
        let wanted = wanted(config, blueprints);
        let new = wanted.into_iter().filter(|(address, _)| !self.bound.contains_key(*address));
        let at_paths = new.filter_map(|(address, (_, (mode, backlog)))| match address {
            Address::Unix(path) => Some(ToBind { path: path.clone(), mode, backlog }),
            Address::Tcp(_) => None,
        });
        at_paths.collect()
    }

    /// Binds what is asked for and not bound yet, those at paths excepted, which
    /// `bound` holds; lets go of what is no longer asked for.
    ///
    /// # Errors
    /// What is in the way of each socket that cannot be bound; then nothing
    /// has changed.
    pub fn adapt(
        &mut self,
        config: &Config,
        blueprints: &[Blueprint],
        mut bound: Bound,
    ) -> Result<(), Vec<String>> {
        let wanted = wanted(config, blueprints);
        let mut problems = Vec::new();
        for (address, (name, traits)) in &wanted {
            if self.bound.contains_key(*address) {
                continue;
            }
            if let Address::Tcp(to) = address {
                let shared = config.sockets.get(*name).is_some_and(|socket| socket.reuseport);
                bound.insert((*address).clone(), bind_tcp(*to, traits.1, shared));
            }
            if let Some(Err(problem)) = bound.get(*address) {
                problems.push(format!("socket.{name}: cannot listen on {address}: {problem}"));
            }
        }
        if !problems.is_empty() {
            self.give_up(bound);
            return Err(problems);
        }
        // Inherited ones stay: nobody could give them to us again.
        let is_over = |address: &Address, one: &mut (Listener, Traits)| {
            !one.0.tenure.is_inherited() && !wanted.contains_key(address)
        };
        let over = self.bound.extract_if(.., is_over);
        self.file_tasks.extend(over.filter_map(|(_, (one, _))| one.file.map(FileTask::Remove)));
        for (address, (listener, traits)) in &mut self.bound {
            let Some((_, new)) = wanted.get(address).copied() else { continue };
            if *traits != new {
                *traits = new;
                listener.backlog = new.1;
                let file = listener.file.as_ref();
                self.file_tasks
                    .extend(file.map(|file| FileTask::SetMode(file.path.clone(), new.0)));
            }
        }
        for (address, listener) in bound {
            if let (Ok(listener), Some((_, traits))) = (listener, wanted.get(&address)) {
                self.bound.insert(address, (listener, *traits));
            }
        }
        self.next_check.get_or_insert_with(|| Instant::now() + LOOK_EVERY);
        Ok(())
    }

    /// Closes sockets that will not be used.
    pub fn give_up(&mut self, bound: Bound) {
        let files = bound.into_values().filter_map(|one| one.ok()?.file);
        self.file_tasks.extend(files.map(FileTask::Remove));
    }

    /// Closes what another container listens at, too: once the service has closed it as
    /// well, the kernel sends new connections there only.
    pub fn leave_shared(&mut self) {
        self.bound.retain(|_, (listener, _)| listener.tenure != Tenure::Shared);
    }

    /// What was found when they were bound: a level and a message for the log.
    pub fn take_findings(&mut self) -> Vec<(&'static str, String)> {
        std::mem::take(&mut self.findings)
    }

    /// Lets a file be removed whose path is ours alone.
    pub fn remove_path(&mut self, path: PathBuf) {
        self.file_tasks.push(FileTask::RemovePath(path));
    }

    /// What is to be done to files since the last time.
    pub fn take_file_tasks(&mut self) -> Vec<FileTask> {
        std::mem::take(&mut self.file_tasks)
    }

    /// The files of all sockets that have one.
    #[must_use]
    pub fn files(&self) -> BTreeMap<Address, SocketFile> {
        let files = self
            .bound
            .iter()
            .filter_map(|(address, (listener, _))| Some((address.clone(), listener.file.clone()?)));
        files.collect()
    }

    /// How to bind a socket again.
    #[must_use]
    pub fn to_bind_again(&self, address: &Address) -> Option<ToBind> {
        let (listener, (mode, backlog)) = self.bound.get(address)?;
        let path = listener.file.as_ref()?.path.clone();
        Some(ToBind { path, mode: *mode, backlog: *backlog })
    }

    /// Takes over what was bound again, unless it is no longer asked for.
    pub fn renew(&mut self, address: &Address, again: Listener) -> bool {
        match self.bound.get_mut(address) {
            Some((listener, _)) => {
                *listener = again;
                true
            }
            None => {
                self.file_tasks.extend(again.file.map(FileTask::Remove));
                false
            }
        }
    }

    /// The socket bound to `address`.
    #[must_use]
    pub fn get(&self, address: &Address) -> Option<&Listener> {
        self.bound.get(address).map(|(listener, _)| listener)
    }

    /// When it is time to look for lost files.
    #[must_use]
    pub fn next_check(&self) -> Option<Instant> {
        self.next_check
    }

    /// Lets lost files be looked for at once.
    pub fn look_soon(&mut self) {
        self.next_check = self.next_check.map(|_| Instant::now());
    }

    /// Whether it is time to look for lost files; the next time is then set.
    pub fn is_time_to_look(&mut self, now: Instant) -> bool {
        let due = self.next_check.is_some_and(|due| due <= now);
        if due {
            self.next_check = Some(now + LOOK_EVERY);
        }
        due
    }
}

/// All sockets that blueprints ask for: their names and traits.
fn wanted<'a>(
    config: &Config,
    blueprints: &'a [Blueprint],
) -> BTreeMap<&'a Address, (&'a str, Traits)> {
    let all = blueprints.iter().flat_map(|blueprint| &blueprint.sockets);
    let known = all.filter_map(|(name, address)| {
        let socket = config.sockets.get(name)?;
        let backlog = i32::try_from(socket.backlog).unwrap_or(i32::MAX);
        Some((address, (name.as_str(), (socket.mode.0, backlog))))
    });
    known.collect()
}

fn bind_tcp(address: SocketAddr, backlog: i32, shared: bool) -> Result<Listener, String> {
    let bound = if shared {
        santa_config::bind_tcp(address, true)
    } else {
        listen_tcp(address, backlog, false).map(OwnedFd::from)
    };
    let fd = bound.map_err(|error| match error.kind() {
        io::ErrorKind::AddrInUse => format!(
            "port {} is taken by another process; stop that one (`ss -ltnp` names it) or choose another port",
            address.port()
        ),
        io::ErrorKind::PermissionDenied => {
            format!("ports below 1024 need privileges; choose a higher one ({error})")
        }
        io::ErrorKind::AddrNotAvailable => format!("this machine does not have that address ({error})"),
        _ => error.to_string(),
    })?;
    let tenure = if shared { Tenure::Shared } else { Tenure::Sole };
    Ok(Listener { fd, backlog, file: None, tenure })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_taken_port_is_named() {
        let owner = std::net::TcpListener::bind("127.0.0.1:0").expect("any port");
        let address = owner.local_addr().expect("bound");
        let problem = bind_tcp(address, 16, false).expect_err("taken");
        assert!(problem.contains(&format!("port {} is taken", address.port())), "{problem}");
    }
}
