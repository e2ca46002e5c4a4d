//! The head of a response from a backend, under the same strictness as a
//! request: what is not exactly HTTP/1.x is the backend's fault and becomes 502.

use super::field::{FieldError, Fields, Name};
use super::framing::{ResponseBody, response_body};
use super::request::Connection;
use super::scan::{HeadSpan, ScanRules};
use super::version::Version;

/// Longest head that is taken from a backend.
pub const LONGEST_HEAD: usize = 64 * 1024;

/// How a backend's head is searched for.
pub const SCAN_RULES: ScanRules =
    ScanRules { start_line: 8192, head: LONGEST_HEAD, leading_empty_line: false };

/// A response head that keeps every rule.
#[derive(Debug, Clone)]
pub struct Response<'b> {
    /// Status code, 100 to 599.
    pub status: u16,
    /// Reason phrase as written, perhaps empty.
    pub reason: &'b [u8],
    /// Version of the sender.
    pub version: Version,
    /// Field lines.
    pub fields: Fields<'b>,
    /// How the content is delimited.
    pub body: ResponseBody,
    /// What the `Connection` field says.
    pub connection: Connection,
}

impl<'b> Response<'b> {
    /// Reads a complete head that `Scan` found in `buffer`; `to_head` says
    /// whether the request was HEAD.
    ///
    /// # Errors
    /// The rule that the backend broke.
    pub fn parse(buffer: &'b [u8], span: &HeadSpan, to_head: bool) -> Result<Self, &'static str> {
        let (version, status, reason) = status_line(&buffer[span.start..span.line_end])?;
        let block = &buffer[span.line_end + 2..span.end];
        let fields =
            Fields::parse(block, super::field::MOST_FIELDS).map_err(|error| match error {
                FieldError::Syntax(reason) => reason,
                FieldError::TooMany => "too many fields",
            })?;
        let body = response_body(&fields, version, status, to_head)?;
        let connection = Connection::of(&fields);
        Ok(Self { status, reason, version, fields, body, connection })
    }

    /// Whether the connection may carry another request after this response.
    #[must_use]
    pub fn keeps_alive(&self) -> bool {
        // Some servers send content although 204 has none; announced, it would
        // be read as the beginning of the next response.
        let announced = self.fields.first(Name::TransferEncoding).is_some()
            || self.fields.single(Name::ContentLength).is_some_and(|length| length != b"0");
        if self.status == 204 && announced {
            return false;
        }
        let kept = match self.version {
            Version::Http11 => !self.connection.close,
            Version::Http10 => self.connection.keep_alive && !self.connection.close,
        };
        kept && self.body != ResponseBody::UntilClose
    }
}

/// `HTTP-version SP status-code SP [ reason-phrase ]`
fn status_line(line: &[u8]) -> Result<(Version, u16, &[u8]), &'static str> {
    let (version, rest) = match line {
        [b'H', b'T', b'T', b'P', b'/', b'1', b'.', b'0', b' ', rest @ ..] => {
            (Version::Http10, rest)
        }
        // A later minor version is read as the highest one known (RFC 9110 §2.5).
        [b'H', b'T', b'T', b'P', b'/', b'1', b'.', b'1'..=b'9', b' ', rest @ ..] => {
            (Version::Http11, rest)
        }
        _ => return Err("status line does not start with HTTP/1.x"),
    };
    let [a @ b'1'..=b'5', b @ b'0'..=b'9', c @ b'0'..=b'9', b' ', reason @ ..] = rest else {
        return Err("status line without a status code from 100 to 599 and a space");
    };
    if !super::bytes::is_field_value(reason) {
        return Err("control character in the reason phrase");
    }
    let digit = |byte: &u8| u16::from(byte - b'0');
    Ok((version, digit(a) * 100 + digit(b) * 10 + digit(c), reason))
}

#[cfg(test)]
mod tests {
    use super::super::scan::{Found, Scan};
    use super::*;
    use proptest::prelude::*;

    fn parse(text: &str) -> Result<(u16, ResponseBody, bool), &'static str> {
        let found = Scan::default().advance(text.as_bytes(), &SCAN_RULES);
        let Ok(Found::Head(span)) = found else { return Err("no head") };
        let response = Response::parse(text.as_bytes(), &span, false)?;
        Ok((response.status, response.body, response.keeps_alive()))
    }

    #[test]
    fn responses_are_read_as_written() {
        let cases = [
            ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n", (200, ResponseBody::Length(2), true)),
            ("HTTP/1.1 204 \r\n\r\n", (204, ResponseBody::None, true)),
            ("HTTP/1.1 200 OK\r\n\r\n", (200, ResponseBody::UntilClose, false)),
            ("HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n", (200, ResponseBody::Length(0), false)),
            (
                "HTTP/1.1 200 OK\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n",
                (200, ResponseBody::Chunked, false),
            ),
        ];
        for (text, expected) in cases {
            assert_eq!(parse(text), Ok(expected), "{text:?}");
        }
    }

    #[test]
    fn anything_else_is_the_backends_fault() {
        let bad = [
            "HTTP/2 200 OK\r\n\r\n",
            "HTTP/1.1 200\r\n\r\n",
            "HTTP/1.1  200 OK\r\n\r\n",
            "HTTP/1.1 99 OK\r\n\r\n",
            "HTTP/1.1 600 OK\r\n\r\n",
            "HTTP/1.1 2OO OK\r\n\r\n",
            "HTTP/1.1 200 O\x07K\r\n\r\n",
            "http/1.1 200 OK\r\n\r\n",
            "HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n",
            "HTTP/1.1 200 OK\r\nA : b\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
            "HTTP/1.1 200 OK\nA: b\n\n",
            "\r\nHTTP/1.1 200 OK\r\n\r\n",
        ];
        for text in bad {
            assert!(parse(text).is_err(), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn mutated_heads_are_decided(at in 0usize..60, byte in any::<u8>(), to_head in any::<bool>()) {
            let mut head = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n".to_vec();
            let at = at % head.len();
            head[at] = byte;
            if let Ok(Found::Head(span)) = Scan::default().advance(&head, &SCAN_RULES)
                && let Ok(response) = Response::parse(&head, &span, to_head)
            {
                prop_assert!((100..600).contains(&response.status));
                prop_assert!(response.body == ResponseBody::None || !to_head);
            }
        }
    }
}
