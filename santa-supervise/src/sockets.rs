//! The listening sockets: bound once, kept for the life of santa-supervise, and
//! removed at its end. Nothing here accepts a connection: that is for those who
//! get them.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::net::TcpListener;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use rustix::fs::Mode;
use santa_config::{Address, Config};

use crate::plan::Blueprint;
use crate::readiness::connect_to;

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
}

/// All listening sockets of the services, by address.
#[derive(Debug, Default)]
pub struct Sockets(BTreeMap<Address, Listener>);

impl Sockets {
    /// Binds every socket that a blueprint asks for.
    ///
    /// # Errors
    /// What is in the way of each socket that cannot be bound; then none stays.
    pub fn bind(config: &Config, blueprints: &[Blueprint]) -> Result<Self, Vec<String>> {
        let mut sockets = Self::default();
        let mut mistakes = Vec::new();
        for (name, address) in blueprints.iter().flat_map(|blueprint| &blueprint.sockets) {
            let Some(socket) =
                config.sockets.get(name).filter(|_| !sockets.0.contains_key(address))
            else {
                continue;
            };
            let backlog = i32::try_from(socket.backlog).unwrap_or(i32::MAX);
            match bind(address, socket.mode.0, backlog) {
                Ok(listener) => {
                    sockets.0.insert(address.clone(), listener);
                }
                Err(problem) => {
                    mistakes.push(format!("socket.{name}: cannot listen on {address}: {problem}"))
                }
            }
        }
        mistakes.dedup();
        if mistakes.is_empty() { Ok(sockets) } else { Err(mistakes) }
    }

    /// The socket bound to `address`.
    #[must_use]
    pub fn get(&self, address: &Address) -> Option<&Listener> {
        self.0.get(address)
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

fn bind_tcp(address: std::net::SocketAddr, backlog: i32) -> Result<Listener, String> {
    let listener = TcpListener::bind(address).map_err(|error| match error.kind() {
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
    let listener = Listener { fd: listener.into(), backlog, file: None };
    listener.claim();
    Ok(listener)
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
    match connect_to(&Address::Unix(path.to_owned())) {
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
    fn a_taken_port_is_named() {
        let owner = TcpListener::bind("127.0.0.1:0").expect("any port");
        let address = owner.local_addr().expect("bound");
        let problem = bind_tcp(address, 16).expect_err("taken");
        assert!(problem.contains(&format!("port {} is taken", address.port())), "{problem}");
    }
}
