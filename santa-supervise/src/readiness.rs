//! One probe of a service: a connection that never blocks, and on it a small GET;
//! or, for hooks, a POST. The event loop decides when to probe and how often, and
//! makes the connection.

use std::io;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::net::{AddressFamily, SocketAddrUnix, SocketType, connect, socket, sockopt};
use santa_config::Address;

/// More than any status line.
const ENOUGH: usize = 64;

/// A non-blocking socket for a connection to `address`.
///
/// # Errors
/// There is no room for it.
pub fn socket_to(address: &Address) -> io::Result<OwnedFd> {
    let family = match address {
        Address::Unix(_) => AddressFamily::UNIX,
        Address::Tcp(address) if reachable(*address).is_ipv4() => AddressFamily::INET,
        Address::Tcp(_) => AddressFamily::INET6,
    };
    let fd = socket(family, SocketType::STREAM, None)?;
    rustix::io::fcntl_setfd(&fd, rustix::io::FdFlags::CLOEXEC)?;
    crate::os::set_nonblocking(&fd)?;
    Ok(fd)
}

/// Connects such a socket to a path. That may hang on a mount.
///
/// # Errors
/// Nobody listens there, or the system refuses.
pub fn connect_path(fd: BorrowedFd<'_>, path: &Path) -> io::Result<()> {
    Ok(connect(fd, &SocketAddrUnix::new(path)?)?)
}

/// Connects such a socket; it may still be under way.
///
/// # Errors
/// Nobody listens there, or the system refuses.
pub fn connect_tcp(fd: BorrowedFd<'_>, address: SocketAddr) -> io::Result<()> {
    match connect(fd, &reachable(address)) {
        Ok(()) | Err(rustix::io::Errno::INPROGRESS) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// A listener on all addresses is reached on the local one. That of IPv4 always exists,
/// and `[::]` stands for those of IPv4 too.
fn reachable(mut address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        address.set_ip(std::net::Ipv4Addr::LOCALHOST.into());
    }
    address
}

/// A probe that is under way.
#[derive(Debug)]
pub struct Probe {
    fd: OwnedFd,
    /// What is left to be sent; nothing for a mere connection.
    request: Vec<u8>,
    /// The answers that are good; none for a mere connection.
    good: Option<RangeInclusive<u16>>,
    answer: Vec<u8>,
}

/// What a probe has shown so far.
#[derive(Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Wait until the connection can be written.
    WaitToWrite,
    /// Wait until the connection can be read.
    WaitToRead,
    /// It is ready.
    Ready,
    /// It is not, for this reason.
    NotReady(String),
}

impl Probe {
    /// A mere connection, still to be made.
    ///
    /// # Errors
    /// There is no room for it.
    pub fn connection(address: &Address) -> io::Result<Self> {
        Self::begin(address, String::new(), None)
    }

    /// A connection, still to be made, for a GET of `path`, for which only 200 is good.
    ///
    /// # Errors
    /// There is no room for it.
    pub fn get(address: &Address, path: &str) -> io::Result<Self> {
        Self::begin(address, request("GET", address, path, "", ""), Some(200..=200))
    }

    /// A connection, still to be made, for a POST of a JSON text, for which every 2xx is good.
    ///
    /// # Errors
    /// There is no room for it.
    pub fn post(address: &Address, path: &str, json: &str) -> io::Result<Self> {
        let length = json.len();
        let about = format!("Content-Type: application/json\r\nContent-Length: {length}\r\n");
        Self::begin(address, request("POST", address, path, &about, json), Some(200..=299))
    }

    fn begin(
        address: &Address,
        request: String,
        good: Option<RangeInclusive<u16>>,
    ) -> io::Result<Self> {
        let fd = socket_to(address)?;
        Ok(Self { fd, good, request: request.into_bytes(), answer: Vec::new() })
    }

    /// The connection, to wait on.
    #[must_use]
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    /// Goes on as far as it can without waiting.
    pub fn advance(&mut self) -> Outcome {
        match self.attempt() {
            Ok(sight) => sight,
            Err(error) => Outcome::NotReady(error.to_string()),
        }
    }

    fn attempt(&mut self) -> io::Result<Outcome> {
        sockopt::socket_error(&self.fd)??;
        let Some(good) = self.good.clone() else {
            return Ok(if is_connected(&self.fd) { Outcome::Ready } else { Outcome::WaitToWrite });
        };
        while !self.request.is_empty() {
            // Never a signal: SIGPIPE is blocked or ignored.
            match rustix::io::write(&self.fd, &self.request) {
                Ok(sent) => drop(self.request.drain(..sent)),
                Err(rustix::io::Errno::AGAIN | rustix::io::Errno::NOTCONN) => {
                    return Ok(Outcome::WaitToWrite);
                }
                Err(error) => return Err(error.into()),
            }
        }
        let mut buffer = [0u8; ENOUGH];
        while self.answer.len() < ENOUGH && !self.answer.contains(&b'\n') {
            match rustix::io::read(&self.fd, &mut buffer) {
                Ok(0) => break,
                Ok(read) => self.answer.extend_from_slice(&buffer[..read]),
                Err(rustix::io::Errno::AGAIN) => return Ok(Outcome::WaitToRead),
                Err(error) => return Err(error.into()),
            }
        }
        Ok(judge(&self.answer, good))
    }
}

fn is_connected(fd: &OwnedFd) -> bool {
    rustix::net::getpeername(fd).is_ok_and(|peer| peer.is_some())
}

fn request(method: &str, address: &Address, path: &str, about: &str, body: &str) -> String {
    let host = match address {
        Address::Tcp(address) => reachable(*address).to_string(),
        Address::Unix(_) => "localhost".to_owned(),
    };
    format!(
        "{method} {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: santa-supervise\r\n\
         Connection: close\r\n{about}\r\n{body}"
    )
}

/// What the status line of an answer means.
fn judge(answer: &[u8], good: RangeInclusive<u16>) -> Outcome {
    let line = answer.split(|byte| *byte == b'\r' || *byte == b'\n').next().unwrap_or_default();
    let line = String::from_utf8_lossy(line);
    let status = line.strip_prefix("HTTP/1.").and_then(|rest| rest.split(' ').nth(1));
    match status {
        Some(status) if status.parse().is_ok_and(|status| good.contains(&status)) => Outcome::Ready,
        Some(status) => Outcome::NotReady(format!("it answers {status}")),
        None if line.is_empty() => {
            Outcome::NotReady("it closed the connection without an answer".to_owned())
        }
        None => Outcome::NotReady("its answer is not HTTP".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::net::TcpListener;

    #[test]
    fn only_200_is_ready() {
        let judge = |answer: &[u8]| judge(answer, 200..=200);
        assert_eq!(judge(b"HTTP/1.1 200 OK\r\n"), Outcome::Ready);
        assert_eq!(judge(b"HTTP/1.0 200\r\n"), Outcome::Ready);
        assert!(
            matches!(judge(b"HTTP/1.1 503 no\r\n"), Outcome::NotReady(why) if why.contains("503"))
        );
        assert!(matches!(judge(b"HTTP/1.1 204 no\r\n"), Outcome::NotReady(_)));
        assert!(matches!(judge(b"SSH-2.0-x\r\n"), Outcome::NotReady(_)));
        assert!(matches!(judge(b""), Outcome::NotReady(_)));
    }

    #[test]
    fn a_get_is_seen_through_without_blocking() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("any port");
        let to = listener.local_addr().expect("bound");
        let mut look = Probe::get(&Address::Tcp(to), "/health").expect("socket");
        connect_tcp(look.fd(), to).expect("listens");
        let (mut served, _) = listener.accept().expect("connection");
        while look.advance() == Outcome::WaitToWrite {}
        assert_eq!(look.advance(), Outcome::WaitToRead);
        served.write_all(b"HTTP/1.1 200 OK\r\n\r\n").expect("answer");
        while look.advance() == Outcome::WaitToRead {}
        assert_eq!(look.advance(), Outcome::Ready);
    }
}
