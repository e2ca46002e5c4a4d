//! Descriptors that this process was started with (`sd_listen_fds(3)`).
#![expect(unsafe_code, reason = "inherited descriptors are known by their numbers only")]

use std::io;
use std::os::fd::{AsFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

use rustix::io::{FdFlags, fcntl_getfd, fcntl_setfd};
use rustix::net::{SocketAddrUnix, SocketType, getsockname, sockopt};
use santa_config::Address;

/// The first of them.
const FIRST: RawFd = 3;

/// What an inherited descriptor is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InheritedKind {
    /// A listening stream socket.
    Listener(Address),
    /// A stream socket that does not listen.
    Stream,
    /// A datagram socket.
    Datagram,
    /// A socket of another type or family.
    OtherSocket,
    /// No socket.
    NoSocket,
}

/// Takes `count` descriptors from number 3 on, and keeps them from children. `None` is
/// one that is not open. To be called once, before anything here opens a descriptor.
#[must_use]
pub fn take_inherited(count: usize) -> Vec<Option<OwnedFd>> {
    (FIRST..).take(count).map(take).collect()
}

fn take(number: RawFd) -> Option<OwnedFd> {
    // SAFETY: it is only asked whether that number is open.
    let open = unsafe { BorrowedFd::borrow_raw(number) };
    fcntl_getfd(open).ok()?;
    // SAFETY: it is open, and LISTEN_FDS says that it is ours; nothing here has opened one yet.
    let owned = unsafe { OwnedFd::from_raw_fd(number) };
    fcntl_setfd(&owned, FdFlags::CLOEXEC).ok()?;
    Some(owned)
}

/// What a descriptor is.
///
/// # Errors
/// The system's refusal to tell, except that it is no socket.
pub fn inherited_kind(fd: &OwnedFd) -> io::Result<InheritedKind> {
    match sockopt::socket_type(fd) {
        Ok(SocketType::STREAM) if !listens(fd)? => Ok(InheritedKind::Stream),
        Ok(SocketType::STREAM) => {
            Ok(address(fd)?.map_or(InheritedKind::OtherSocket, InheritedKind::Listener))
        }
        Ok(SocketType::DGRAM) => Ok(InheritedKind::Datagram),
        Ok(_) => Ok(InheritedKind::OtherSocket),
        Err(rustix::io::Errno::NOTSOCK) => Ok(InheritedKind::NoSocket),
        Err(error) => Err(error.into()),
    }
}

#[cfg(not(target_vendor = "apple"))]
fn listens(fd: &OwnedFd) -> io::Result<bool> {
    Ok(sockopt::socket_acceptconn(fd)?)
}

/// Apple's systems cannot be asked: one that is not connected is taken for a listener.
#[cfg(target_vendor = "apple")]
fn listens(fd: &OwnedFd) -> io::Result<bool> {
    Ok(rustix::net::getpeername(fd).is_err())
}

/// Its address, if it is TCP or has a path.
fn address(fd: &OwnedFd) -> io::Result<Option<Address>> {
    let name = getsockname(fd.as_fd())?;
    if let Ok(tcp) = name.clone().try_into() {
        return Ok(Some(Address::Tcp(tcp)));
    }
    let path = SocketAddrUnix::try_from(name).ok().and_then(|unix| {
        let bytes = unix.path_bytes()?.to_vec();
        Some(PathBuf::from(std::ffi::OsString::from_vec(bytes)))
    });
    Ok(path.map(Address::Unix))
}
