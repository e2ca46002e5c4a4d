//! `NOTIFY_SOCKET` (sd_notify(3)): datagrams in which services say how they are.

use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::Mode;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketType, bind, socket};

/// A datagram socket at `path`, non-blocking. Everybody may write to it, because
/// services may run as other users; who wrote is seen when it is read.
///
/// # Errors
/// The system's refusal.
pub fn notify_socket(path: &Path) -> io::Result<OwnedFd> {
    let fd = socket(AddressFamily::UNIX, SocketType::DGRAM, None)?;
    rustix::io::fcntl_setfd(&fd, rustix::io::FdFlags::CLOEXEC)?;
    super::set_nonblocking(&fd)?;
    #[cfg(target_os = "linux")]
    rustix::net::sockopt::set_socket_passcred(&fd, true)?;
    // Only this thread makes files, so nobody else is affected.
    let before = rustix::process::umask(Mode::from_raw_mode(0o111));
    let bound = bind(&fd, &SocketAddrUnix::new(path)?);
    rustix::process::umask(before);
    bound?;
    Ok(fd)
}
