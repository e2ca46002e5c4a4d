//! Messages of HTTP/1.1 as far as load needs them: heads that arrive in pieces
//! and how long their content is. Pure.

use anyhow::{Context, Result, bail, ensure};

/// Most fields in a head.
const FIELDS: usize = 64;

/// A complete head of a response.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Response {
    /// Its status.
    pub(crate) status: u16,
    /// Bytes of the head.
    pub(crate) head: usize,
    /// Bytes of content after it, when it says so.
    pub(crate) content: u64,
    /// Whether that comes in chunks, which say how many.
    pub(crate) chunked: bool,
    /// Whether the connection stays open.
    pub(crate) keep: bool,
    /// Whether the content is compressed with gzip.
    pub(crate) gzip: bool,
}

impl Response {
    /// Reads a head at the start of `bytes`; nothing when it is not complete.
    pub(crate) fn read(bytes: &[u8], to_head: bool) -> Result<Option<Self>> {
        let Some(head) = head_len(bytes) else { return Ok(None) };
        let mut fields = [httparse::EMPTY_HEADER; FIELDS];
        let mut parsed = httparse::Response::new(&mut fields);
        parsed.parse(&bytes[..head]).context("the response is not valid HTTP")?;
        let status = parsed.code.context("the response has no status")?;
        let mut length = None;
        let mut keep = parsed.version == Some(1);
        let (mut gzip, mut chunked) = (false, false);
        for field in parsed.headers.iter() {
            if field.name.eq_ignore_ascii_case("content-length") {
                length = Some(number(field.value)?);
            } else if field.name.eq_ignore_ascii_case("connection") {
                keep &= !field.value.eq_ignore_ascii_case(b"close");
            } else if field.name.eq_ignore_ascii_case("content-encoding") {
                gzip = field.value.eq_ignore_ascii_case(b"gzip");
            } else if field.name.eq_ignore_ascii_case("transfer-encoding") {
                chunked = field.value.eq_ignore_ascii_case(b"chunked");
                ensure!(chunked, "the response has a transfer coding that was not asked for");
            }
        }
        let empty = to_head || status < 200 || status == 204 || status == 304;
        chunked &= !empty;
        let known = empty || chunked != length.is_some();
        ensure!(known, "the response has no length, or two");
        let content = if empty { 0 } else { length.unwrap_or(0) };
        Ok(Some(Self { status, head, content, chunked, keep, gzip }))
    }
}

/// A complete head of a request.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Request {
    /// Its target.
    pub(crate) target: String,
    /// Bytes of the head.
    pub(crate) head: usize,
    /// Bytes of content after it.
    pub(crate) content: u64,
    /// Whether the sender closes the connection after it.
    pub(crate) last: bool,
    /// The key of a WebSocket handshake.
    pub(crate) websocket: Option<Vec<u8>>,
}

impl Request {
    /// Reads a head at the start of `bytes`; nothing when it is not complete.
    pub(crate) fn read(bytes: &[u8]) -> Result<Option<Self>> {
        let Some(head) = head_len(bytes) else { return Ok(None) };
        let mut fields = [httparse::EMPTY_HEADER; FIELDS];
        let mut request = httparse::Request::new(&mut fields);
        request.parse(&bytes[..head]).context("the request is not valid HTTP")?;
        let target = request.path.context("the request has no target")?.to_owned();
        let mut read = Self { target, head, content: 0, last: false, websocket: None };
        for field in request.headers.iter() {
            if field.name.eq_ignore_ascii_case("content-length") {
                read.content = number(field.value)?;
            } else if field.name.eq_ignore_ascii_case("connection") {
                read.last |= field.value.eq_ignore_ascii_case(b"close");
            } else if field.name.eq_ignore_ascii_case("sec-websocket-key") {
                read.websocket = Some(field.value.to_vec());
            } else if field.name.eq_ignore_ascii_case("transfer-encoding") {
                bail!("the canned backend takes no chunked content");
            }
        }
        Ok(Some(read))
    }
}

fn head_len(bytes: &[u8]) -> Option<usize> {
    memchr::memmem::find(bytes, b"\r\n\r\n").map(|at| at + 4)
}

fn number(value: &[u8]) -> Result<u64> {
    std::str::from_utf8(value)
        .ok()
        .and_then(|text| text.trim().parse().ok())
        .context("a Content-Length that is not a number")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_read_once_its_head_is_complete() {
        let bytes = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
        for end in 0..38 {
            assert_eq!(Response::read(&bytes[..end], false).expect("no error"), None, "{end}");
        }
        let response =
            Response { status: 200, head: 38, content: 5, chunked: false, keep: true, gzip: false };
        assert_eq!(Response::read(bytes, false).expect("valid"), Some(response));
    }

    #[test]
    fn answers_whose_end_cannot_be_known_are_errors() {
        for fields in [
            "",
            "Transfer-Encoding: gzip, chunked\r\n",
            "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
        ] {
            let head = format!("HTTP/1.1 200 OK\r\n{fields}\r\n");
            assert!(Response::read(head.as_bytes(), false).is_err(), "{head}");
        }
        let chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
        let of = |to_head| Response::read(chunked, to_head).expect("valid").expect("complete");
        assert!(of(false).chunked && !of(true).chunked);
        let not_modified = Response::read(b"HTTP/1.1 304 Not Modified\r\n\r\n", false);
        assert_eq!(not_modified.expect("valid").map(|response| response.content), Some(0));
    }

    #[test]
    fn a_request_says_whether_it_is_the_last_one_or_a_websocket() {
        let bytes = b"GET /ws HTTP/1.1\r\nConnection: Upgrade\r\nSec-WebSocket-Key: abc\r\n\r\n";
        let request = Request::read(bytes).expect("valid").expect("complete");
        assert_eq!(request.websocket.as_deref(), Some(&b"abc"[..]));
        assert!(!request.last);
        let request = Request::read(b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n");
        assert!(request.expect("valid").expect("complete").last);
    }
}
