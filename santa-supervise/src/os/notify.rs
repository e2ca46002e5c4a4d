//! `NOTIFY_SOCKET` (sd_notify(3)): datagrams in which services report their state.

use std::fs;
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::Mode;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketType, bind, socket};

/// A non-blocking datagram socket without an address yet.
///
/// # Errors
/// There is no room for it.
pub fn notify_socket() -> io::Result<OwnedFd> {
    let fd = socket(AddressFamily::UNIX, SocketType::DGRAM, None)?;
    rustix::io::fcntl_setfd(&fd, rustix::io::FdFlags::CLOEXEC)?;
    super::set_nonblocking(&fd)?;
    #[cfg(target_os = "linux")]
    rustix::net::sockopt::set_socket_passcred(&fd, true)?;
    Ok(fd)
}

/// Binds such a socket to `path`, which may hang on a mount: only children and
/// workers do this. Everybody may write to it, because services may
/// run as other users; who wrote is seen when it is read.
pub(super) fn bind_notify_socket(fd: BorrowedFd<'_>, path: &Path) -> io::Result<()> {
    // Of an earlier run that could not remove it.
    let _ = fs::remove_file(path);
    let before = rustix::process::umask(Mode::from_raw_mode(0o111));
    let bound = SocketAddrUnix::new(path).and_then(|path| bind(fd, &path));
    rustix::process::umask(before);
    Ok(bound?)
}
