//! Sockets at paths. Everything here walks paths, which may hang on a mount: it is
//! done by workers, on sockets that santa-supervise has made.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::Mode;
use rustix::net::SocketAddrUnix;
use santa_config::Address;
use serde::{Deserialize, Serialize};

use crate::os;
use crate::readiness::{connect_path, socket_to};

use super::{Listener, Tenure};

/// The file of a socket that is ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SocketFile {
    pub(super) path: PathBuf,
    /// Device and inode: another process may have put its own file there.
    pub(super) identity: (u64, u64),
}

impl SocketFile {
    /// Whether it is gone, or another one is in its place.
    #[must_use]
    pub fn is_lost(&self) -> bool {
        identity(&self.path).map_or(true, |found| found != self.identity)
    }

    /// Removes it if it is still ours.
    pub fn remove(&self) {
        if !self.is_lost() {
            // A read-only file system keeps it; the next start takes it over.
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn identity(path: &Path) -> io::Result<(u64, u64)> {
    fs::symlink_metadata(path).map(|found| (found.dev(), found.ino()))
}

/// A socket to be bound.
#[derive(Debug, Clone)]
pub struct ToBind {
    /// Where.
    pub path: PathBuf,
    /// The permission bits of its file.
    pub mode: u32,
    /// How many connections may wait.
    pub backlog: i32,
}

/// What became of one.
#[derive(Debug, Serialize, Deserialize)]
enum Outcome {
    Bound(u64, u64),
    Refused(String),
}

/// The listeners, or what is in the way of each.
pub type Bound = BTreeMap<Address, Result<Listener, String>>;

/// The problem of a socket whose directory is read-only.
pub const READ_ONLY: &str = "its directory is read-only";

/// Binds sockets that it was given.
#[derive(Debug)]
pub struct Binder(Vec<ToBind>);

/// Sockets on the way to their paths.
#[derive(Debug)]
pub struct Batch(Vec<(ToBind, OwnedFd)>);

impl Batch {
    /// Makes the sockets.
    ///
    /// # Errors
    /// There is no room for them.
    pub fn new(wanted: Vec<ToBind>) -> io::Result<Self> {
        let made = wanted.into_iter().map(|one| {
            let fd = socket_to(&Address::Unix(one.path.clone()))?;
            // The service may expect `accept` to block.
            let flags = rustix::fs::fcntl_getfl(&fd)?;
            rustix::fs::fcntl_setfl(&fd, flags - rustix::fs::OFlags::NONBLOCK)?;
            Ok((one, fd))
        });
        Ok(Self(made.collect::<io::Result<_>>()?))
    }

    /// Their descriptors, for the process that binds them.
    #[must_use]
    pub fn fds(&self) -> Vec<RawFd> {
        self.0.iter().map(|(_, fd)| fd.as_raw_fd()).collect()
    }

    /// What that process does.
    #[must_use]
    pub fn binder(&self) -> Binder {
        Binder(self.0.iter().map(|(wanted, _)| wanted.clone()).collect())
    }

    /// The listeners, or what is in the way of each. A worker that was ended
    /// because it took too long has reported nothing.
    #[must_use]
    pub fn listeners(self, bytes: &[u8]) -> Bound {
        let outcomes: Vec<Outcome> = serde_json::from_slice(bytes).unwrap_or_default();
        let mut outcomes = outcomes.into_iter();
        let bound = self.0.into_iter().map(|(ToBind { path, backlog, .. }, fd)| {
            let address = Address::Unix(path.clone());
            let listener = match outcomes.next() {
                Some(Outcome::Bound(device, inode)) => {
                    let file = Some(SocketFile { path, identity: (device, inode) });
                    Ok(Listener { fd, backlog, file, tenure: Tenure::Sole })
                }
                Some(Outcome::Refused(problem)) => Err(problem),
                None => Err("its path cannot be reached in time; is a mount hanging?".to_owned()),
            };
            (address, listener)
        });
        bound.collect()
    }
}

impl Binder {
    /// Binds all, which are known by the numbers `fds`, and tells the outcome.
    pub fn bind(&self, fds: &[RawFd], output: &mut File) {
        let outcomes =
            self.0.iter().zip(fds).map(|(wanted, fd)| match bind(os::inherited(*fd), wanted) {
                Ok((device, inode)) => Outcome::Bound(device, inode),
                Err(problem) => Outcome::Refused(problem),
            });
        let outcomes: Vec<_> = outcomes.collect();
        // Our own types always have a JSON form, and without santa-supervise nobody
        // reads it.
        let _ = output.write_all(&serde_json::to_vec(&outcomes).unwrap_or_default());
    }
}

/// What has to be done to the file of a socket.
#[derive(Debug, Clone)]
pub enum FileTask {
    /// To be removed.
    Remove(SocketFile),
    /// To be removed, even if another process made it: the path is ours alone.
    RemovePath(PathBuf),
    /// Other permission bits.
    SetMode(PathBuf, u32),
}

impl FileTask {
    /// Does it.
    pub fn perform(&self) {
        match self {
            Self::Remove(file) => file.remove(),
            Self::RemovePath(path) => {
                // A read-only file system keeps it; the next start takes it over.
                let _ = fs::remove_file(path);
            }
            Self::SetMode(path, mode) => {
                // Refused on a read-only file system; then it stays as it was.
                let _ = fs::set_permissions(path, fs::Permissions::from_mode(*mode));
            }
        }
    }
}

/// Binds a socket and listens; returns the identity of its file.
fn bind(fd: BorrowedFd<'_>, wanted: &ToBind) -> Result<(u64, u64), String> {
    let directory = wanted.path.parent().unwrap_or(Path::new("/"));
    if rustix::fs::access(directory, rustix::fs::Access::WRITE_OK) == Err(rustix::io::Errno::ROFS) {
        return Err(READ_ONLY.to_owned());
    }
    make_room(&wanted.path)?;
    // The file has its mode from the first moment on. Nobody else is affected: this
    // process does nothing else.
    let before = rustix::process::umask(Mode::from_raw_mode((0o777 & !wanted.mode) as _));
    let bound = SocketAddrUnix::new(&wanted.path).and_then(|path| rustix::net::bind(fd, &path));
    rustix::process::umask(before);
    bound.map_err(io::Error::from).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => {
            "its directory does not exist; make it or choose another".to_owned()
        }
        _ => format!("{error}; check the permissions of its directory"),
    })?;
    rustix::net::listen(fd, wanted.backlog).map_err(|error| error.to_string())?;
    identity(&wanted.path).map_err(|error| error.to_string())
}

/// Removes a socket that nobody listens on any more; refuses to touch anything
/// else.
fn make_room(path: &Path) -> Result<(), String> {
    let Ok(found) = fs::symlink_metadata(path) else { return Ok(()) };
    if !found.file_type().is_socket() {
        return Err(
            "there is a file that is not a socket; move it away or choose another path".to_owned()
        );
    }
    let connected =
        socket_to(&Address::Unix(path.to_owned())).and_then(|fd| connect_path(fd.as_fd(), path));
    match connected {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => fs::remove_file(path)
            .map_err(|error| format!("the stale socket there cannot be removed: {error}")),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) if error.kind() != io::ErrorKind::WouldBlock => {
            Err(format!("the socket there cannot be tested: {error}; remove it if nobody uses it"))
        }
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
    use std::os::unix::net::{UnixListener, UnixStream};

    fn bind_here(path: &Path) -> Result<(OwnedFd, SocketFile), String> {
        let fd = socket_to(&Address::Unix(path.to_owned())).expect("socket");
        let wanted = ToBind { path: path.to_owned(), mode: 0o600, backlog: 16 };
        let identity = bind(fd.as_fd(), &wanted)?;
        Ok((fd, SocketFile { path: path.to_owned(), identity }))
    }

    #[test]
    fn a_stale_socket_is_taken_over_and_removed_at_the_end() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let path = dir.path().join("a.sock");
        drop(UnixListener::bind(&path).expect("first"));
        assert!(path.exists(), "std leaves the file behind");
        let (_fd, file) = bind_here(&path).expect("stale socket");
        assert_eq!(fs::metadata(&path).expect("bound").mode() & 0o777, 0o600);
        assert!(UnixStream::connect(&path).is_ok() && !file.is_lost());
        file.remove();
        assert!(!path.exists() && file.is_lost());
    }

    #[test]
    fn what_belongs_to_others_is_never_touched() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let path = dir.path().join("a.sock");
        fs::write(&path, "precious").expect("write");
        assert!(bind_here(&path).expect_err("file").contains("not a socket"));
        assert_eq!(fs::read(&path).expect("read"), b"precious");

        let live = dir.path().join("live.sock");
        let _owner = UnixListener::bind(&live).expect("first");
        assert!(bind_here(&live).expect_err("live").contains("another running process"));
        assert!(UnixStream::connect(&live).is_ok());
    }

    #[test]
    fn a_socket_that_was_removed_is_bound_again_and_one_that_was_replaced_is_not() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let path = dir.path().join("a.sock");
        let (_first, file) = bind_here(&path).expect("bind");
        fs::remove_file(&path).expect("remove");
        assert!(file.is_lost());
        let (_second, file) = bind_here(&path).expect("again");
        assert!(UnixStream::connect(&path).is_ok() && !file.is_lost());
        fs::remove_file(&path).expect("remove");
        let _other = UnixListener::bind(&path).expect("other");
        assert!(file.is_lost());
        assert!(bind_here(&path).expect_err("other").contains("another running process"));
    }

    #[test]
    fn a_file_that_replaced_ours_stays() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let path = dir.path().join("a.sock");
        let (_fd, file) = bind_here(&path).expect("bind");
        fs::remove_file(&path).expect("remove");
        let _other = UnixListener::bind(&path).expect("other");
        file.remove();
        assert!(path.exists() && file.is_lost());
    }
}
