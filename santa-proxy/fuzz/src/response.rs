//! Heads of a backend's responses: taken the same way in any pieces, and what the
//! client gets cannot be read in two ways.

use santa_proxy::http::framing::ResponseBody;
use santa_proxy::http::response::{Response, SCAN_RULES};
use santa_proxy::http::rewrite::{
    Delimiter, DownstreamHeaders, delimiter, interim_head, response_head,
};
use santa_proxy::http::scan::{Found, HeadSpan, Scan};
use santa_proxy::http::version::Version;

use crate::random::Random;
use crate::{Target, corpus};

/// See the module.
pub const TARGET: Target = Target { name: "response", dictionary: &DICTIONARY, seeds, check };

const DICTIONARY: [&[u8]; 22] = [
    b"\r\n",
    b"\n",
    b"\r",
    b"\0",
    b" ",
    b"\t",
    b":",
    b", ",
    b"\r\n\r\n",
    b"chunked",
    b"HTTP/1.1 200 OK\r\n",
    b"HTTP/1.0 ",
    b"100 ",
    b"101 ",
    b"204 ",
    b"304 ",
    b"426 ",
    b"Content-Length: 5\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"Connection: close, x-a\r\n",
    b"Upgrade: websocket\r\n",
    b"\xff",
];

/// The first head in `bytes` as far as pieces of `piece()` bytes show it; an
/// error is one of its own.
fn scan(bytes: &[u8], mut piece: impl FnMut() -> usize) -> Result<Option<HeadSpan>, ()> {
    let (mut scan, mut end) = (Scan::default(), 0);
    while end < bytes.len() {
        end = end.saturating_add(piece()).min(bytes.len());
        match scan.advance(&bytes[..end], &SCAN_RULES) {
            Ok(Found::Head(span)) => return Ok(Some(span)),
            Ok(Found::More(_)) => {}
            Err(_) => return Err(()),
        }
    }
    Ok(None)
}

/// Panics when a response could be read in two ways; returns whether it is valid.
pub fn check(bytes: &[u8]) -> bool {
    let mut random = Random::of(bytes);
    let found = scan(bytes, || usize::MAX);
    let pieces = scan(bytes, || 1 + random.below(9));
    let end = |found: &Result<Option<HeadSpan>, ()>| match found {
        Ok(span) => Ok(span.as_ref().map(|span| span.end)),
        Err(()) => Err(()),
    };
    assert_eq!(end(&found), end(&pieces), "the same in pieces");
    let Ok(Some(span)) = found else { return false };
    let mut taken = false;
    for to_head in [false, true] {
        let Ok(response) = Response::parse(bytes, &span, to_head) else { continue };
        taken = true;
        for version in [Version::Http11, Version::Http10] {
            check_downward(&response, version, to_head);
        }
    }
    taken
}

/// What the client gets is one head by the same rules and means the same.
fn check_downward(response: &Response<'_>, version: Version, to_head: bool) {
    let mut out = Vec::new();
    let framed = if response.status == 101 {
        Delimiter::Upgrade
    } else {
        delimiter(response, version, to_head)
    };
    if response.status < 200 && response.status != 101 {
        interim_head(&mut out, response);
    } else {
        let downstream_headers = DownstreamHeaders {
            delimiter: framed,
            version,
            keep_alive: framed != Delimiter::Close,
            request_id: "id",
            date: "Thu, 01 Jan 2026 00:00:00 GMT",
            hsts: b"",
        };
        response_head(&mut out, response, &downstream_headers);
    }
    let shown = out.escape_ascii();
    let Ok(Some(span)) = scan(&out, || usize::MAX) else { panic!("no head in {shown}") };
    assert_eq!(span.end, out.len(), "one head and nothing behind it: {shown}");
    let again = match Response::parse(&out, &span, to_head) {
        Ok(again) => again,
        // What this proxy adds may be more than a backend may send.
        Err("too many fields") => return,
        Err(reason) => panic!("{reason} in {shown}"),
    };
    assert_eq!((again.status, again.reason), (response.status, response.reason));
    let expected = match framed {
        Delimiter::None(_) | Delimiter::Upgrade => ResponseBody::None,
        Delimiter::Length(length) => ResponseBody::Length(length),
        Delimiter::Chunked => ResponseBody::Chunked,
        Delimiter::Close => ResponseBody::UntilClose,
    };
    assert_eq!(again.body, expected, "{shown}");
    if version == Version::Http10 {
        assert_ne!(again.body, ResponseBody::Chunked, "HTTP/1.0 knows no chunks: {shown}");
    }
}

fn seeds() -> Vec<Vec<u8>> {
    corpus(|case| case.response)
}
