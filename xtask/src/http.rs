//! HTTP requests: one GET on a connection of its own.

use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

/// Longest that one response may take.
const ANSWER: Duration = Duration::from_secs(10);

/// Whether a GET is answered with 200.
pub fn answers(address: impl ToSocketAddrs, path: &str) -> bool {
    let asked = || {
        let stream = connect(address)?;
        let host = stream.peer_addr()?.to_string();
        status(stream, &host, path)
    };
    asked().is_ok_and(|status| status == 200)
}

/// A connection for a request.
pub(crate) fn connect(address: impl ToSocketAddrs) -> io::Result<TcpStream> {
    let address = address.to_socket_addrs()?.next().ok_or(io::ErrorKind::AddrNotAvailable)?;
    let stream = TcpStream::connect_timeout(&address, ANSWER)?;
    stream.set_read_timeout(Some(ANSWER))?;
    Ok(stream)
}

/// Sends the request and reads no further than the status.
pub fn status(mut stream: impl Read + Write, host: &str, path: &str) -> io::Result<u16> {
    ask(&mut stream, host, path)?;
    let mut start = [0; STATUS.len()];
    stream.read_exact(&mut start)?;
    status_of(&start)
}

/// Sends the request and reads the whole response: its status and its content.
pub fn get(mut stream: impl Read + Write, host: &str, path: &str) -> io::Result<(u16, Vec<u8>)> {
    ask(&mut stream, host, path)?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    let head = answer.windows(4).position(|four| four == b"\r\n\r\n");
    let content = head.ok_or(io::ErrorKind::UnexpectedEof)? + 4;
    Ok((status_of(&answer)?, answer.split_off(content)))
}

/// How a response begins.
const STATUS: &[u8] = b"HTTP/1.1 200";

fn ask(stream: &mut impl Write, host: &str, path: &str) -> io::Result<()> {
    // In one piece: a server may answer and close after the first one it sees.
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: {host}\r\nAccept: text/html\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes())
}

fn status_of(answer: &[u8]) -> io::Result<u16> {
    let digits = answer.strip_prefix(b"HTTP/1.1 ").and_then(|rest| rest.get(..3));
    let digits = digits.and_then(|digits| str::from_utf8(digits).ok());
    digits.and_then(|digits| digits.parse().ok()).ok_or_else(|| io::ErrorKind::InvalidData.into())
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Shutdown, TcpListener};
    use std::os::unix::net::UnixStream;

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
    fn all_of_an_answer_is_read_whatever_its_status() {
        let asked = |answer: &[u8]| {
            let (client, mut server) = UnixStream::pair().expect("connected");
            server.write_all(answer).expect("answered");
            server.shutdown(Shutdown::Write).expect("ended");
            get(client, "localhost", "/")
        };
        let good = asked(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}");
        assert_eq!(good.expect("good"), (200, b"{}".to_vec()));
        let refused = asked(b"HTTP/1.1 401 Unauthorized\r\n\r\n");
        assert_eq!(refused.expect("an answer"), (401, Vec::new()));
        for bad in [&b"HTTP/1.1 200 OK\r\n"[..], b"HTTP/1.1 2\r\n\r\n", b"ready\r\n\r\n", b""] {
            assert!(asked(bad).is_err());
        }
    }
}
