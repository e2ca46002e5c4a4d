//! The listening sockets: bound once, kept for the life of santa-supervise, and
//! removed at its end. Nothing here accepts a connection: that is for those who
//! get them.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::fs::Mode;
use santa_config::{Address, Config, listen_tcp};

use crate::plan::Blueprint;
use crate::readiness::{connect_path, socket_to};

/// How often it is looked whether somebody has removed a socket's file.
const LOOK_EVERY: Duration = Duration::from_secs(10);

/// One bound socket; dropping it removes its file if that is still ours.
#[derive(Debug)]
pub struct Listener {
    fd: OwnedFd,
    backlog: i32,
    file: Option<SocketFile>,
}

#[derive(Debug)]
struct SocketFile {
    path: PathBuf,
    /// Device and inode: another process may have put its own file there.
    identity: (u64, u64),
}

impl Drop for Listener {
    fn drop(&mut self) {
        if let Some(file) = &self.file
            && identity(&file.path).is_ok_and(|found| found == file.identity)
        {
            // A read-only file system keeps it; the next start takes it over.
            let _ = fs::remove_file(&file.path);
        }
    }
}

fn identity(path: &Path) -> io::Result<(u64, u64)> {
    fs::symlink_metadata(path).map(|found| (found.dev(), found.ino()))
}

impl Listener {
    /// The listening descriptor.
    #[must_use]
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    /// Makes this process the one that called `listen` last, so that a
    /// readiness probe sees when the service does.
    pub fn claim(&self) {
        // Cannot fail for a socket that already listens.
        let _ = rustix::net::listen(&self.fd, self.backlog);
    }

    /// Whether its file is gone, or another one is in its place.
    #[must_use]
    pub fn is_lost(&self) -> bool {
        self.file
            .as_ref()
            .is_some_and(|file| identity(&file.path).map_or(true, |found| found != file.identity))
    }

    /// Takes over what may change without binding anew.
    fn adapt(&mut self, mode: u32, backlog: i32) {
        self.backlog = backlog;
        if let Some(file) = &self.file {
            // Refused on a read-only file system; then it stays as it was.
            let _ = fs::set_permissions(&file.path, fs::Permissions::from_mode(mode));
        }
    }
}

/// A socket's permission bits and backlog.
type Traits = (u32, i32);

/// All listening sockets of the services, by address.
#[derive(Debug, Default)]
pub struct Sockets {
    bound: BTreeMap<Address, (Listener, Traits)>,
    next_look: Option<Instant>,
}

impl Sockets {
    /// Binds every socket that a blueprint asks for.
    ///
    /// # Errors
    /// What is in the way of each socket that cannot be bound; then none stays.
    pub fn bind(config: &Config, blueprints: &[Blueprint]) -> Result<Self, Vec<String>> {
        let mut sockets = Self::default();
        sockets.adapt(config, blueprints)?;
        Ok(sockets)
    }

    /// Binds what is asked for and not bound yet; lets go of what is no longer
    /// asked for.
    ///
    /// # Errors
    /// What is in the way of each socket that cannot be bound; then nothing
    /// has changed.
    pub fn adapt(&mut self, config: &Config, blueprints: &[Blueprint]) -> Result<(), Vec<String>> {
        let mut wanted: BTreeMap<&Address, Traits> = BTreeMap::new();
        let mut fresh = BTreeMap::new();
        let mut mistakes = Vec::new();
        for (name, address) in blueprints.iter().flat_map(|blueprint| &blueprint.sockets) {
            let Some(socket) = config.sockets.get(name) else { continue };
            let backlog = i32::try_from(socket.backlog).unwrap_or(i32::MAX);
            let traits = (socket.mode.0, backlog);
            let known = wanted.insert(address, traits).is_some();
            if known || self.bound.contains_key(address) {
                continue;
            }
            match bind(address, socket.mode.0, backlog) {
                Ok(listener) => drop(fresh.insert(address.clone(), (listener, traits))),
                Err(problem) => {
                    mistakes.push(format!("socket.{name}: cannot listen on {address}: {problem}"));
                }
            }
        }
        mistakes.dedup();
        if !mistakes.is_empty() {
            return Err(mistakes);
        }
        self.bound.retain(|address, _| wanted.contains_key(address));
        for (address, (listener, traits)) in &mut self.bound {
            if *traits != wanted[address] {
                *traits = wanted[address];
                listener.adapt(traits.0, traits.1);
            }
        }
        self.bound.append(&mut fresh);
        self.next_look.get_or_insert_with(|| Instant::now() + LOOK_EVERY);
        Ok(())
    }

    /// The socket bound to `address`.
    #[must_use]
    pub fn get(&self, address: &Address) -> Option<&Listener> {
        self.bound.get(address).map(|(listener, _)| listener)
    }

    /// When it is time to look for lost files.
    #[must_use]
    pub fn next_look(&self) -> Option<Instant> {
        self.next_look
    }

    /// Whether it is time to look for lost files; the next time is then set.
    pub fn is_time_to_look(&mut self, now: Instant) -> bool {
        let due = self.next_look.is_some_and(|due| due <= now);
        if due {
            self.next_look = Some(now + LOOK_EVERY);
        }
        due
    }

    /// Binds sockets again whose files somebody has removed; tells which, and
    /// what is in the way of those that cannot be.
    pub fn restore_lost(&mut self) -> Vec<(Address, Result<(), String>)> {
        let lost = self.bound.iter_mut().filter(|(_, (listener, _))| listener.is_lost());
        lost.map(|(address, (listener, (mode, backlog)))| {
            let bound = bind(address, *mode, *backlog).map(|again| *listener = again);
            (address.clone(), bound)
        })
        .collect()
    }
}

/// Binds one socket. `mode` are the permission bits of a Unix socket's file.
///
/// # Errors
/// What is in the way and what to do about it.
pub fn bind(address: &Address, mode: u32, backlog: i32) -> Result<Listener, String> {
    match address {
        Address::Tcp(address) => bind_tcp(*address, backlog),
        Address::Unix(path) => bind_unix(path, mode, backlog),
    }
}

fn bind_tcp(address: SocketAddr, backlog: i32) -> Result<Listener, String> {
    let listener = listen_tcp(address, backlog, false).map_err(|error| match error.kind() {
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
    Ok(Listener { fd: listener.into(), backlog, file: None })
}

fn bind_unix(path: &Path, mode: u32, backlog: i32) -> Result<Listener, String> {
    make_room(path)?;
    // The file has its mode from the first moment on. Only this thread makes
    // files, so nobody else is affected.
    let closed = Mode::from_raw_mode((0o777 & !mode) as _);
    let before = rustix::process::umask(closed);
    let bound = UnixListener::bind(path);
    rustix::process::umask(before);
    let listener = bound.map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => {
            "its directory does not exist; make it or choose another".to_owned()
        }
        _ => format!("{error}; check the permissions of its directory"),
    })?;
    let identity = identity(path).map_err(|error| error.to_string())?;
    let file = Some(SocketFile { path: path.to_owned(), identity });
    let listener = Listener { fd: listener.into(), backlog, file };
    listener.claim();
    Ok(listener)
}

/// Removes a socket that nobody listens on any more; refuses to touch anything
/// else.
fn make_room(path: &Path) -> Result<(), String> {
    let Ok(found) = fs::symlink_metadata(path) else { return Ok(()) };
    if !found.file_type().is_socket() {
        return Err(
            "a file that is no socket lies there; move it away or choose another path".to_owned()
        );
    }
    let connected =
        socket_to(&Address::Unix(path.to_owned())).and_then(|fd| connect_path(fd.as_fd(), path));
    match connected {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => fs::remove_file(path)
            .map_err(|error| format!("a stale socket lies there and cannot be removed: {error}")),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) if error.kind() != io::ErrorKind::WouldBlock => Err(format!(
            "a socket lies there and cannot be tested: {error}; remove it if nobody uses it"
        )),
        // A full queue of waiting connections is a sign of life, too.
        _ => {
            Err("another running process serves it; stop that one or choose another path"
                .to_owned())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixStream;

    #[test]
    fn a_stale_socket_is_taken_over_and_removed_at_the_end() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let path = dir.path().join("a.sock");
        drop(UnixListener::bind(&path).expect("first"));
        assert!(path.exists(), "std leaves the file behind");
        let listener = bind_unix(&path, 0o600, 16).expect("stale socket");
        assert_eq!(fs::metadata(&path).expect("bound").mode() & 0o777, 0o600);
        drop(listener);
        assert!(!path.exists());
    }

    #[test]
    fn what_belongs_to_others_is_never_touched() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let path = dir.path().join("a.sock");
        fs::write(&path, "precious").expect("write");
        assert!(bind_unix(&path, 0o600, 16).expect_err("file").contains("no socket"));
        assert_eq!(fs::read(&path).expect("read"), b"precious");

        let live = dir.path().join("live.sock");
        let _owner = UnixListener::bind(&live).expect("first");
        assert!(bind_unix(&live, 0o600, 16).expect_err("live").contains("another running process"));
        assert!(UnixStream::connect(&live).is_ok());
    }

    #[test]
    fn a_file_that_replaced_ours_stays() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let path = dir.path().join("a.sock");
        let listener = bind_unix(&path, 0o600, 16).expect("bind");
        fs::remove_file(&path).expect("remove");
        let _other = UnixListener::bind(&path).expect("other");
        drop(listener);
        assert!(path.exists());
    }

    #[test]
    fn a_socket_that_was_removed_is_bound_again_and_one_that_was_replaced_is_not() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let path = dir.path().join("a.sock");
        let address = Address::Unix(path.clone());
        let listener = bind_unix(&path, 0o600, 16).expect("bind");
        let bound = BTreeMap::from([(address.clone(), (listener, (0o600, 16)))]);
        let mut sockets = Sockets { bound, next_look: None };
        assert_eq!(sockets.restore_lost(), []);
        fs::remove_file(&path).expect("remove");
        assert_eq!(sockets.restore_lost(), [(address, Ok(()))]);
        assert!(UnixStream::connect(&path).is_ok());
        fs::remove_file(&path).expect("remove");
        let _other = UnixListener::bind(&path).expect("other");
        let found = sockets.restore_lost();
        assert!(matches!(&found[..], [(_, Err(why))] if why.contains("another running process")));
    }

    #[test]
    fn a_taken_port_is_named() {
        let owner = std::net::TcpListener::bind("127.0.0.1:0").expect("any port");
        let address = owner.local_addr().expect("bound");
        let problem = bind_tcp(address, 16).expect_err("taken");
        assert!(problem.contains(&format!("port {} is taken", address.port())), "{problem}");
    }
}
