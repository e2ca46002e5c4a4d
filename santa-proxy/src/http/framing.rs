//! Where a message's content ends (RFC 9112 §6). Anything that two readers
//! could delimit differently is refused: this is where smuggling is stopped.

use super::bytes::{decimal, list};
use super::field::{Fields, Name};
use super::reject::Reject;
use super::version::Version;

/// How the content of a request is delimited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RequestBody {
    /// No content.
    None,
    /// This many bytes, more than none.
    Length(u64),
    /// The chunked coding.
    Chunked,
}

/// How the content of a response is delimited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResponseBody {
    /// None, whatever the fields say (HEAD, 1xx, 204, 304).
    None,
    /// This many bytes.
    Length(u64),
    /// The chunked coding.
    Chunked,
    /// Everything until the connection ends.
    UntilClose,
}

/// The value of the only `Content-Length` line.
fn content_length(fields: &Fields<'_>) -> Result<Option<u64>, &'static str> {
    let mut lines = fields.all(Name::ContentLength);
    let Some(value) = lines.next() else { return Ok(None) };
    if lines.next().is_some() {
        return Err("more than one Content-Length");
    }
    decimal(value).map(Some).ok_or("Content-Length is not a number")
}

/// What `Transfer-Encoding` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Coding {
    Absent,
    Chunked,
    /// Ends in `chunked` after codings this proxy does not know.
    Unknown,
    Malformed(&'static str),
}

fn transfer_coding(fields: &Fields<'_>) -> Coding {
    let mut lines = fields.all(Name::TransferEncoding);
    let Some(value) = lines.next() else { return Coding::Absent };
    if lines.next().is_some() {
        return Coding::Malformed("more than one Transfer-Encoding");
    }
    if value.eq_ignore_ascii_case(b"chunked") {
        return Coding::Chunked;
    }
    let chunked = |coding: &&[u8]| coding.eq_ignore_ascii_case(b"chunked");
    let last_is_chunked = list(value).last().is_some_and(|coding| chunked(&coding));
    if last_is_chunked && list(value).count() > 1 && list(value).filter(chunked).count() == 1 {
        return Coding::Unknown;
    }
    Coding::Malformed("Transfer-Encoding is not chunked")
}

/// How the content of a request is delimited.
///
/// # Errors
/// 400 when the fields are contradictory or malformed, 501 for a transfer
/// coding other than chunked.
pub fn request_body(fields: &Fields<'_>, version: Version) -> Result<RequestBody, Reject> {
    let length = content_length(fields).map_err(Reject::bad)?;
    match transfer_coding(fields) {
        Coding::Absent => Ok(match length {
            None | Some(0) => RequestBody::None,
            Some(length) => RequestBody::Length(length),
        }),
        Coding::Malformed(reason) => Err(Reject::bad(reason)),
        _ if version == Version::Http10 => {
            Err(Reject::bad("Transfer-Encoding in an HTTP/1.0 request"))
        }
        _ if length.is_some() => {
            Err(Reject::bad("Content-Length and Transfer-Encoding in one request"))
        }
        Coding::Chunked => Ok(RequestBody::Chunked),
        Coding::Unknown => Err(Reject::new(501, "transfer coding other than chunked")),
    }
}

/// How the content of a response is delimited.
///
/// # Errors
/// The rule that the server broke.
pub fn response_body(
    fields: &Fields<'_>,
    version: Version,
    status: u16,
    to_head: bool,
) -> Result<ResponseBody, &'static str> {
    let length = content_length(fields)?;
    let coding = transfer_coding(fields);
    if let Coding::Malformed(reason) = coding {
        return Err(reason);
    }
    if coding != Coding::Absent && length.is_some() {
        return Err("Content-Length and Transfer-Encoding in one response");
    }
    if coding != Coding::Absent && version == Version::Http10 {
        return Err("Transfer-Encoding in an HTTP/1.0 response");
    }
    if to_head || matches!(status, 100..=199 | 204 | 304) {
        return Ok(ResponseBody::None);
    }
    match (coding, length) {
        (Coding::Chunked, _) => Ok(ResponseBody::Chunked),
        (Coding::Unknown, _) => Err("transfer coding other than chunked"),
        (_, Some(length)) => Ok(ResponseBody::Length(length)),
        (_, None) => Ok(ResponseBody::UntilClose),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(lines: &str) -> Result<RequestBody, u16> {
        let block = format!("{lines}\r\n");
        let fields = Fields::parse(block.as_bytes(), 100).expect("syntax is fine");
        request_body(&fields, Version::Http11).map_err(|reject| reject.status)
    }

    #[test]
    fn requests_are_delimited_one_way_or_refused() {
        let cases = [
            ("", Ok(RequestBody::None)),
            ("Content-Length: 0\r\n", Ok(RequestBody::None)),
            ("Content-Length: 5\r\n", Ok(RequestBody::Length(5))),
            ("Transfer-Encoding: chunked\r\n", Ok(RequestBody::Chunked)),
            ("Transfer-Encoding: Chunked\r\n", Ok(RequestBody::Chunked)),
            ("Content-Length: 5\r\nContent-Length: 5\r\n", Err(400)),
            ("Content-Length: 5, 5\r\n", Err(400)),
            ("Content-Length: +5\r\n", Err(400)),
            ("Content-Length: -5\r\n", Err(400)),
            ("Content-Length: 5 5\r\n", Err(400)),
            ("Content-Length:\r\n", Err(400)),
            ("Content-Length: 99999999999999999999\r\n", Err(400)),
            ("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", Err(400)),
            ("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", Err(400)),
            ("Transfer-Encoding: chunked, chunked\r\n", Err(400)),
            ("Transfer-Encoding: chunked, identity\r\n", Err(400)),
            ("Transfer-Encoding: identity\r\n", Err(400)),
            ("Transfer-Encoding: xchunked\r\n", Err(400)),
            ("Transfer-Encoding: \"chunked\"\r\n", Err(400)),
            ("Transfer-Encoding:\r\n", Err(400)),
            ("Transfer-Encoding: gzip, chunked\r\n", Err(501)),
        ];
        for (lines, expected) in cases {
            assert_eq!(request(lines), expected, "{lines:?}");
        }
    }

    #[test]
    fn responses_are_delimited_one_way_or_refused() {
        let parse = |lines: &str, status, to_head| {
            let block = format!("{lines}\r\n");
            let fields = Fields::parse(block.as_bytes(), 100).expect("syntax is fine");
            response_body(&fields, Version::Http11, status, to_head).ok()
        };
        assert_eq!(parse("", 200, false), Some(ResponseBody::UntilClose));
        assert_eq!(parse("Content-Length: 3\r\n", 200, false), Some(ResponseBody::Length(3)));
        assert_eq!(parse("Content-Length: 3\r\n", 200, true), Some(ResponseBody::None));
        assert_eq!(parse("Content-Length: 3\r\n", 304, false), Some(ResponseBody::None));
        assert_eq!(
            parse("Transfer-Encoding: chunked\r\n", 200, false),
            Some(ResponseBody::Chunked)
        );
        assert_eq!(parse("Transfer-Encoding: gzip\r\n", 200, false), None);
        assert_eq!(parse("Content-Length: 3\r\nContent-Length: 4\r\n", 200, false), None);
        assert_eq!(parse("Content-Length: 3\r\nTransfer-Encoding: chunked\r\n", 200, false), None);
    }
}
