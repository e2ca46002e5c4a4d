//! A client that sends exactly the given bytes and reads responses with a
//! parser of its own.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};

use super::TIMEOUT;

/// A raw connection.
pub(crate) struct Client {
    pub(crate) stream: TcpStream,
    buffer: Vec<u8>,
}

/// A response as received.
#[derive(Debug, Clone, Default)]
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
    /// Trailer section of a chunked body.
    pub(crate) trailer: String,
}

impl Response {
    /// The value of a field; nothing when it is absent.
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        self.head.lines().skip(1).find_map(|line| {
            let (found, value) = line.split_once(':')?;
            found.eq_ignore_ascii_case(name).then_some(value.trim())
        })
    }

    /// The body as text.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

impl Client {
    /// Connects.
    pub(crate) fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).expect("connect");
        stream.set_read_timeout(Some(TIMEOUT)).expect("timeout");
        stream.set_write_timeout(Some(TIMEOUT)).expect("timeout");
        stream.set_nodelay(true).expect("no delay");
        Self { stream, buffer: Vec::new() }
    }

    /// Sends bytes; the peer may have closed already.
    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) {
        match self.stream.write_all(bytes.as_ref()) {
            Ok(()) => {}
            Err(error)
                if matches!(error.kind(), ErrorKind::BrokenPipe | ErrorKind::ConnectionReset) => {}
            Err(error) => panic!("sending: {error}"),
        }
    }

    /// Whether anything has arrived, an end included, without waiting for it.
    pub(crate) fn has_bytes(&self) -> bool {
        self.stream.set_nonblocking(true).expect("non-blocking");
        let peeked = self.stream.peek(&mut [0]);
        self.stream.set_nonblocking(false).expect("blocking");
        !matches!(peeked, Err(error) if error.kind() == ErrorKind::WouldBlock)
    }

    /// Ends our direction.
    pub(crate) fn end(&mut self) {
        let _ = self.stream.shutdown(Shutdown::Write);
    }

    /// Sends a request and reads its response.
    pub(crate) fn request(&mut self, text: &str) -> Response {
        self.send(text);
        self.response(text.starts_with("HEAD "))
    }

    /// GET of a path.
    pub(crate) fn get(&mut self, path: &str) -> Response {
        self.request(&format!("GET {path} HTTP/1.1\r\nHost: santa\r\n\r\n"))
    }

    /// Reads more; false at the end of the stream.
    fn more(&mut self) -> bool {
        let mut piece = [0; 16 * 1024];
        match self.stream.read(&mut piece) {
            Ok(0) => false,
            Ok(count) => {
                self.buffer.extend_from_slice(&piece[..count]);
                true
            }
            Err(error) if error.kind() == ErrorKind::ConnectionReset => false,
            Err(error) => {
                panic!("no more bytes: {error}; so far {:?}", String::from_utf8_lossy(&self.buffer))
            }
        }
    }

    fn line(&mut self) -> String {
        loop {
            if let Some(end) = self.buffer.windows(2).position(|window| window == b"\r\n") {
                let line = String::from_utf8_lossy(&self.buffer[..end]).into_owned();
                self.buffer.drain(..end + 2);
                return line;
            }
            assert!(
                self.more(),
                "the stream ends in a line: {:?}",
                String::from_utf8_lossy(&self.buffer)
            );
        }
    }

    /// Takes exactly so many bytes.
    pub(crate) fn take(&mut self, count: usize) -> Vec<u8> {
        while self.buffer.len() < count {
            assert!(self.more(), "the stream ends {} bytes early", count - self.buffer.len());
        }
        self.buffer.drain(..count).collect()
    }

    /// Takes everything until the end of the stream.
    pub(crate) fn rest(&mut self) -> Vec<u8> {
        while self.more() {}
        std::mem::take(&mut self.buffer)
    }

    /// Whether the stream has ended with nothing left in it.
    pub(crate) fn is_closed(&mut self) -> bool {
        self.buffer.is_empty() && !self.more()
    }

    /// Reads a head only.
    pub(crate) fn head(&mut self) -> Response {
        let mut response = Response::default();
        loop {
            let line = self.line();
            if line.is_empty() {
                break;
            }
            response.head.push_str(&line);
            response.head.push_str("\r\n");
        }
        let status = response.head.split(' ').nth(1).and_then(|status| status.parse().ok());
        response.status = status.unwrap_or_else(|| panic!("no status in {:?}", response.head));
        response
    }

    /// Reads the next final response, interim ones skipped.
    pub(crate) fn response(&mut self, to_head: bool) -> Response {
        let mut response = self.head();
        while response.status < 200 && response.status != 101 {
            response = self.head();
        }
        if to_head || matches!(response.status, 101 | 204 | 304) {
            return response;
        }
        if let Some(length) = response.field("content-length") {
            let length = length.parse().expect("a length");
            response.body = self.take(length);
        } else if response.field("transfer-encoding").is_some() {
            self.chunks(&mut response);
        } else {
            response.body = self.rest();
        }
        response
    }

    fn chunks(&mut self, response: &mut Response) {
        loop {
            let size = self.line();
            let size = usize::from_str_radix(&size, 16).unwrap_or_else(|_| panic!("size {size:?}"));
            if size == 0 {
                break;
            }
            let chunk = self.take(size);
            response.body.extend_from_slice(&chunk);
            assert_eq!(self.line(), "", "behind a chunk");
        }
        loop {
            let line = self.line();
            if line.is_empty() {
                return;
            }
            response.trailer.push_str(&line);
            response.trailer.push_str("\r\n");
        }
    }
}
