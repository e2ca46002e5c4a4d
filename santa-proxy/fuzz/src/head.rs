//! Heads: a head is taken the same way in any pieces, and what is passed on
//! cannot be read in two ways.

use santa_proxy::http::forwarded::Sender;
use santa_proxy::http::framing::RequestBody;
use santa_proxy::http::reject::Reject;
use santa_proxy::http::request::{HeadLimits, Request, scan_reject};
use santa_proxy::http::rewrite::{UpstreamHeaders, request_head};
use santa_proxy::http::scan::{Found, HeadSpan, Scan};
use santa_proxy::http::version::Version;

use crate::random::Random;
use crate::{Target, corpus};

/// See the module.
pub const TARGET: Target = Target { name: "head", dictionary: &DICTIONARY, seeds, check };

const LIMITS: HeadLimits = HeadLimits { head: 4096, target: 1024, fields: 50 };
const DICTIONARY: [&[u8]; 26] = [
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
    b"identity",
    b"Content-Length: 5\r\n",
    b"Content-Length: 0",
    b"Transfer-Encoding: chunked\r\n",
    b"Transfer-Encoding: gzip, chunked\r\n",
    b"Host: a\r\n",
    b"Connection: close\r\n",
    b"Connection: content-length, host\r\n",
    b"HTTP/1.1",
    b"HTTP/1.0",
    b"http://b/",
    b"/%2e%2e/",
    b"Expect: 100-continue\r\n",
    b"Upgrade: websocket\r\nConnection: upgrade\r\n",
    b"\xff",
    b"\x0b",
];

/// The first head in `bytes`, read in one piece.
fn whole(bytes: &[u8]) -> Option<Result<HeadSpan, Reject>> {
    match Scan::default().advance(bytes, &LIMITS.scan_rules()) {
        Ok(Found::Head(span)) => Some(Ok(span)),
        Ok(Found::More(_)) => None,
        Err(error) => Some(Err(scan_reject(error))),
    }
}

/// The same, arriving in pieces.
fn in_pieces(bytes: &[u8], random: &mut Random) -> Option<Result<HeadSpan, Reject>> {
    let mut scan = Scan::default();
    let mut end = 0;
    while end < bytes.len() {
        end = (end + 1 + random.below(9)).min(bytes.len());
        match scan.advance(&bytes[..end], &LIMITS.scan_rules()) {
            Ok(Found::Head(span)) => return Some(Ok(span)),
            Ok(Found::More(_)) => {}
            Err(error) => return Some(Err(scan_reject(error))),
        }
    }
    None
}

/// Panics when a head could be read in two ways; returns whether it is valid.
pub fn check(bytes: &[u8]) -> bool {
    let mut random = Random::of(bytes);
    let found = whole(bytes);
    let pieces = in_pieces(bytes, &mut random);
    let end = |found: &Option<Result<HeadSpan, Reject>>| match found {
        Some(Ok(span)) => Some(span.end),
        _ => None,
    };
    // A wrong byte may be seen before an early limit, so refusals may differ.
    assert_eq!(end(&found), end(&pieces), "the same end in pieces");
    assert_eq!(
        matches!(found, Some(Err(_))),
        matches!(pieces, Some(Err(_))),
        "refused in both ways or in none"
    );
    let Some(Ok(span)) = found else { return false };
    let Ok(request) = Request::parse(bytes, &span, &LIMITS) else { return false };
    check_accepted(&bytes[..span.end], &request);
    check_onward(&request);
    true
}

fn lines(head: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(head).to_ascii_lowercase();
    text.split("\r\n").map(str::to_owned).collect()
}

fn count(head: &[u8], name: &str) -> usize {
    lines(head).iter().filter(|line| line.starts_with(&format!("{name}:"))).count()
}

/// What must hold of every head that is not refused.
fn check_accepted(head: &[u8], request: &Request<'_>) {
    let head = &head[head.iter().position(|byte| !b"\r\n".contains(byte)).unwrap_or(0)..];
    assert!(!head.contains(&0), "no NUL");
    for (at, byte) in head.iter().enumerate() {
        match byte {
            b'\n' => assert_eq!(head[at - 1], b'\r', "no bare line feed"),
            b'\r' => assert_eq!(head.get(at + 1), Some(&b'\n'), "no bare carriage return"),
            _ => {}
        }
    }
    let coded = count(head, "transfer-encoding");
    assert!(count(head, "content-length") == 0 || coded == 0, "one way to find the end");
    assert!(coded <= 1 && count(head, "host") <= 1);
    assert_eq!(request.body == RequestBody::Chunked, coded == 1);
    if request.version == Version::Http11 {
        assert_eq!(count(head, "host"), 1);
    }
}

/// What is passed on is accepted by the same rules and means the same.
fn check_onward(request: &Request<'_>) {
    let sender = Sender { peer: [192, 0, 2, 1].into(), trusted: false, scheme: "http" };
    let upstream_headers = UpstreamHeaders {
        sender,
        client: sender.peer,
        request_id: "id",
        fallback_host: "fallback",
        upgrade: request.is_websocket(),
        certificate: None,
        multiplexed: false,
    };
    let mut head = Vec::new();
    request_head(&mut head, request, &upstream_headers);
    let limits = HeadLimits { head: 16 * 1024, target: 8192, fields: 120 };
    let Ok(Found::Head(span)) = Scan::default().advance(&head, &limits.scan_rules()) else {
        panic!("no head is passed on: {}", head.escape_ascii())
    };
    assert_eq!(span.end, head.len(), "one head and nothing behind it");
    let again = match Request::parse(&head, &span, &limits) {
        Ok(again) => again,
        Err(reject) => panic!("{} in {}", reject.reason, head.escape_ascii()),
    };
    assert_eq!((again.method, again.target.path), (request.method, request.target.path));
    assert_eq!(again.target.query, request.target.query);
    let length = |body| if body == RequestBody::Length(0) { RequestBody::None } else { body };
    assert_eq!(length(again.body), length(request.body), "the same content");
    for name in ["host", "x-real-ip", "x-forwarded-for", "x-forwarded-proto", "x-request-id"] {
        assert_eq!(count(&head, name), 1, "{name} once");
    }
    for name in ["te", "keep-alive", "proxy-authorization", "client-cert", "forwarded"] {
        assert_eq!(count(&head, name), 0, "{name} ends here");
    }
}

fn seeds() -> Vec<Vec<u8>> {
    corpus(|case| case.request)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_split_at_any_byte_is_the_same_head() {
        for request in seeds() {
            let expected = whole(&request);
            for split in 0..=request.len() {
                let mut scan = Scan::default();
                let rules = LIMITS.scan_rules();
                // Judged in two steps, as the connection does with what it has read.
                let found = match scan.advance(&request[..split], &rules) {
                    Ok(Found::More(_)) => match scan.advance(&request, &rules) {
                        Ok(Found::More(_)) => None,
                        Ok(Found::Head(span)) => Some(Ok(span)),
                        Err(error) => Some(Err(scan_reject(error))),
                    },
                    Ok(Found::Head(span)) => Some(Ok(span)),
                    Err(error) => Some(Err(scan_reject(error))),
                };
                let end = |found: &Option<Result<HeadSpan, Reject>>| {
                    found.as_ref().map(|found| found.as_ref().ok().map(|span| span.end))
                };
                let text = String::from_utf8_lossy(&request);
                assert_eq!(end(&found), end(&expected), "split at {split}: {text:?}");
            }
        }
    }
}
