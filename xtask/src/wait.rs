//! Waiting until what was started is there.

use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::{Duration, Instant};

use anyhow::Result;

use crate::run;

/// Longest that one answer may take.
const ANSWER: Duration = Duration::from_secs(10);

/// Looks every `tick` whether it is there; false when that took longer than `patience`.
/// An error, or Ctrl-C, ends the wait.
pub fn until(
    patience: Duration,
    tick: Duration,
    mut there: impl FnMut() -> Result<bool>,
) -> Result<bool> {
    let deadline = Instant::now() + patience;
    loop {
        run::check()?;
        if there()? {
            return Ok(true);
        }
        if Instant::now() > deadline {
            return Ok(false);
        }
        std::thread::sleep(tick);
    }
}

/// Whether a GET is answered with 200.
pub fn answers(address: impl ToSocketAddrs, path: &str) -> bool {
    status(address, path).is_ok_and(|status| status == 200)
}

/// The status of the answer to a GET.
pub(crate) fn status(address: impl ToSocketAddrs, path: &str) -> io::Result<u16> {
    let address = address.to_socket_addrs()?.next().ok_or(io::ErrorKind::AddrNotAvailable)?;
    let stream = TcpStream::connect_timeout(&address, ANSWER)?;
    stream.set_read_timeout(Some(ANSWER))?;
    first_line(stream, &address.to_string(), path)
}

/// Asks on a connection and reads no further than the status.
pub fn first_line(mut stream: impl Read + Write, host: &str, path: &str) -> io::Result<u16> {
    // In one piece: a server may answer and close after the first one it sees.
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: {host}\r\nAccept: text/html\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes())?;
    let mut start = [0; 12];
    stream.read_exact(&mut start)?;
    let digits = start.strip_prefix(b"HTTP/1.1 ").and_then(|digits| str::from_utf8(digits).ok());
    digits.and_then(|digits| digits.parse().ok()).ok_or_else(|| io::ErrorKind::InvalidData.into())
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, TcpListener};

    use super::*;

    #[test]
    fn only_200_is_an_answer() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("bound");
        let address = listener.local_addr().expect("an address");
        let server = std::thread::spawn(move || {
            for status in ["503 Service Unavailable", "200 OK"] {
                let (mut stream, _) = listener.accept().expect("a connection");
                let mut head = [0; 1024];
                let _ = stream.read(&mut head).expect("a request");
                // In one piece: whoever asks closes once the status has come.
                let answer = format!("HTTP/1.1 {status}\r\n\r\n");
                stream.write_all(answer.as_bytes()).expect("answered");
            }
        });
        assert!(!answers(address, "/"));
        assert!(answers(address, "/"));
        server.join().expect("ended");
        assert!(!answers(address, "/"));
    }

    #[test]
    fn a_wait_ends_with_the_deadline_and_with_an_error() {
        let tick = Duration::from_millis(1);
        let mut looks = 0;
        let third = until(Duration::from_secs(60), tick, || {
            looks += 1;
            Ok(looks == 3)
        });
        assert!(third.expect("no error") && looks == 3);
        assert!(!until(Duration::ZERO, tick, || Ok(false)).expect("no error"));
        assert!(until(Duration::from_secs(60), tick, || anyhow::bail!("ended")).is_err());
    }
}
