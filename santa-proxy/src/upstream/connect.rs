//! Connects to a backend that may be busy or restarting.

use std::io;
use std::time::Duration;

use santa_config::Address;
use tokio::net::{TcpStream, UnixStream};

use crate::io::stream::Stream;

/// What to do about a failed attempt to connect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Remedy {
    /// The backlog is full: try again in a moment.
    Soon,
    /// No listener: wait until the backend is back.
    Hold,
    /// Another attempt would not help.
    GiveUp,
}

/// One attempt.
pub(crate) async fn attempt(address: &Address) -> io::Result<Stream> {
    match address {
        Address::Unix(path) => UnixStream::connect(path).await.map(Stream::Unix),
        Address::Tcp(address) => {
            let stream = TcpStream::connect(address).await?;
            stream.set_nodelay(true)?;
            Ok(Stream::Tcp(stream))
        }
    }
}

/// What a failed attempt means. A full backlog of a Unix socket gives EAGAIN, a socket file
/// without a listener ECONNREFUSED, a missing one ENOENT.
pub(crate) fn remedy(error: &io::Error) -> Remedy {
    match error.kind() {
        io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted => Remedy::Soon,
        io::ErrorKind::NotFound
        | io::ErrorKind::ConnectionRefused
        | io::ErrorKind::ConnectionReset
        | io::ErrorKind::ConnectionAborted => Remedy::Hold,
        _ => Remedy::GiveUp,
    }
}

/// How long to wait before attempt number `attempt` (from 1).
pub(crate) fn pause(remedy: Remedy, attempt: u32) -> Duration {
    let (first, most) = match remedy {
        Remedy::Soon => (2, 20),
        Remedy::Hold | Remedy::GiveUp => (10, 100),
    };
    Duration::from_millis((first << attempt.min(6)).min(most))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_busy_or_restarting_backend_is_waited_for() {
        let remedy = |code: i32| remedy(&io::Error::from_raw_os_error(code));
        assert_eq!(remedy(rustix::io::Errno::AGAIN.raw_os_error()), Remedy::Soon);
        assert_eq!(remedy(rustix::io::Errno::CONNREFUSED.raw_os_error()), Remedy::Hold);
        assert_eq!(remedy(rustix::io::Errno::NOENT.raw_os_error()), Remedy::Hold);
        assert_eq!(remedy(rustix::io::Errno::ACCESS.raw_os_error()), Remedy::GiveUp);
    }

    #[test]
    fn pauses_grow_to_a_bound() {
        assert!(pause(Remedy::Soon, 1) < pause(Remedy::Hold, 1));
        assert_eq!(pause(Remedy::Soon, u32::MAX), Duration::from_millis(20));
        assert_eq!(pause(Remedy::Hold, u32::MAX), Duration::from_millis(100));
    }
}
