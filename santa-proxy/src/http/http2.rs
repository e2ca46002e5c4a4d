//! HTTP/2 messages as the HTTP/1.1 heads that mean the same, and back, so that
//! both are judged by the same grammar. Pure; frames and streams are the
//! business of `server::http2`.

use http::header::{CONNECTION, CONTENT_LENGTH, COOKIE, HOST, TRANSFER_ENCODING, UPGRADE};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};

use super::field::{Fields, MOST_FIELDS, Name};
use super::reject::Reject;
use super::response::Response;

/// Streams that a client may cancel before the share of canceled ones counts.
const CANCELED_FREELY: u64 = 100;

/// Appends the head of `request` as an HTTP/1.1 client would have written it;
/// `has_content` says whether any follows. Returns whether that is chunked.
///
/// # Errors
/// The refusal for what RFC 9113 §8 calls malformed and for `CONNECT`.
pub fn request_head(out: &mut Vec<u8>, request: &Parts, has_content: bool) -> Result<bool, Reject> {
    if request.method == Method::CONNECT {
        let reason = "CONNECT is not supported; use HTTP/1.1 for WebSockets";
        return Err(Reject::new(501, reason));
    }
    let path = request.uri.path_and_query().ok_or(Reject::bad("request without a path"))?;
    out.extend_from_slice(request.method.as_str().as_bytes());
    out.push(b' ');
    out.extend_from_slice(path.as_str().as_bytes());
    out.extend_from_slice(b" HTTP/1.1\r\n");
    push_line(out, "Host", authority(request)?);
    for (name, value) in &request.headers {
        if name == CONNECTION || name == TRANSFER_ENCODING || name == UPGRADE {
            return Err(Reject::bad("connection-specific field in HTTP/2"));
        }
        let value = value.as_bytes();
        if super::bytes::trim(value).len() != value.len() {
            return Err(Reject::bad("white space around a field value"));
        }
        if name != HOST && name != COOKIE {
            push_line(out, name.as_str(), value);
        }
    }
    push_cookies(out, &request.headers);
    let chunked = has_content && !request.headers.contains_key(CONTENT_LENGTH);
    if chunked {
        out.extend_from_slice(b"Transfer-Encoding: chunked\r\n");
    }
    out.extend_from_slice(b"\r\n");
    Ok(chunked)
}

/// `:authority`, or `Host`; both only when they agree (RFC 9113 §8.3.1).
fn authority(request: &Parts) -> Result<&[u8], Reject> {
    let mut hosts = request.headers.get_all(HOST).iter().map(HeaderValue::as_bytes);
    let host = hosts.next();
    if hosts.next().is_some() {
        return Err(Reject::bad("more than one Host"));
    }
    let authority = request.uri.authority().map(|authority| authority.as_str().as_bytes());
    match (authority, host) {
        (Some(authority), Some(host)) if !authority.eq_ignore_ascii_case(host) => {
            Err(Reject::bad("Host differs from :authority"))
        }
        (authority, host) => authority.or(host).ok_or(Reject::bad("Host is missing")),
    }
}

/// Cookies that were split for compression become one field again
/// (RFC 9113 §8.2.3).
fn push_cookies(out: &mut Vec<u8>, fields: &HeaderMap) {
    let mut before: &[u8] = b"Cookie: ";
    for cookie in fields.get_all(COOKIE) {
        out.extend_from_slice(before);
        out.extend_from_slice(cookie.as_bytes());
        before = b"; ";
    }
    if before == b"; " {
        out.extend_from_slice(b"\r\n");
    }
}

fn push_line(out: &mut Vec<u8>, name: &str, value: &[u8]) {
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

/// Status and fields of a response without what belongs to an HTTP/1.1
/// connection; nothing when it cannot be expressed in HTTP/2.
#[must_use]
pub fn response_head(response: &Response<'_>) -> Option<http::Response<()>> {
    let mut head = http::Response::new(());
    *head.status_mut() = StatusCode::from_u16(response.status).ok()?;
    *head.headers_mut() = header_map(&response.fields)?;
    Some(head)
}

/// Trailer field lines, each with its line end.
#[must_use]
pub fn trailers(lines: &[u8]) -> Option<HeaderMap> {
    let mut block = lines.to_vec();
    block.extend_from_slice(b"\r\n");
    header_map(&Fields::parse(&block, MOST_FIELDS).ok()?)
}

fn header_map(fields: &Fields<'_>) -> Option<HeaderMap> {
    let mut map = HeaderMap::new();
    let of_connection = [
        Name::Connection,
        Name::KeepAlive,
        Name::ProxyConnection,
        Name::TransferEncoding,
        Name::Upgrade,
    ];
    for (name, text, value) in fields.iter() {
        if !of_connection.contains(&name) {
            let name = HeaderName::from_bytes(text.as_bytes()).ok()?;
            map.append(name, HeaderValue::from_bytes(value).ok()?);
        }
    }
    Some(map)
}

/// Whether a client only opens streams to cancel them ("rapid reset"): more of
/// its `opened` streams are `canceled` than not.
#[must_use]
pub fn is_abuse(opened: u64, canceled: u64) -> bool {
    canceled > CANCELED_FREELY && canceled * 2 > opened
}

#[cfg(test)]
mod tests {
    use super::super::scan::{Found, Scan};
    use super::*;

    fn head(request: http::request::Builder, has_content: bool) -> Result<String, u16> {
        let (parts, ()) = request.body(()).expect("a request").into_parts();
        let mut out = Vec::new();
        request_head(&mut out, &parts, has_content).map_err(|reject| reject.status)?;
        Ok(String::from_utf8(out).expect("text"))
    }

    fn get(uri: &str) -> http::request::Builder {
        http::Request::get(uri)
    }

    #[test]
    fn a_request_reads_as_an_http11_client_would_have_written_it() {
        let request =
            get("https://santa:8443/api/x?y").header("accept", "a/b").header("te", "trailers");
        let text =
            "GET /api/x?y HTTP/1.1\r\nHost: santa:8443\r\naccept: a/b\r\nte: trailers\r\n\r\n";
        assert_eq!(head(request, false), Ok(text.to_owned()));
        let split =
            get("/x").header("host", "santa").header("cookie", "a=b").header("cookie", "c=d");
        let text = "GET /x HTTP/1.1\r\nHost: santa\r\nCookie: a=b; c=d\r\n\r\n";
        assert_eq!(head(split, false), Ok(text.to_owned()));
    }

    #[test]
    fn content_has_its_length_or_is_chunked() {
        let post = || http::Request::post("https://santa/api");
        let text = head(post(), true).expect("valid");
        assert!(text.ends_with("\r\nTransfer-Encoding: chunked\r\n\r\n"), "{text}");
        let text = head(post().header("content-length", "3"), true).expect("valid");
        assert!(text.ends_with("\r\ncontent-length: 3\r\n\r\n"), "{text}");
        assert!(!head(post(), false).expect("valid").contains("Transfer-Encoding"));
    }

    #[test]
    fn malformed_requests_are_refused() {
        let bad = [
            get("/no-authority"),
            get("https://santa/").header("host", "evil"),
            get("/").header("host", "santa").header("host", "santa"),
            get("https://santa/").header("transfer-encoding", "chunked"),
            get("https://santa/").header("connection", "close"),
            get("https://santa/").header("upgrade", "websocket"),
            get("https://santa/").header("x-a", " b"),
            get("https://santa/").header("x-a", "b\t"),
        ];
        for request in bad {
            let shown = format!("{request:?}");
            assert_eq!(head(request, false), Err(400), "{shown}");
        }
        let connect = http::Request::builder().method("CONNECT").uri("santa:443");
        assert_eq!(head(connect, false), Err(501));
    }

    #[test]
    fn a_response_loses_what_belongs_to_its_connection() {
        let text = b"HTTP/1.1 200 OK\r\nX-A: b\r\nTransfer-Encoding: chunked\r\n\
            Connection: close\r\nSet-Cookie: a\r\nSet-Cookie: b\r\n\r\n";
        let found = Scan::default().advance(text, &super::super::response::SCAN_RULES);
        let Ok(Found::Head(span)) = found else { panic!("no head") };
        let head = response_head(&Response::parse(text, &span, false).expect("valid"));
        let head = head.expect("expressed in HTTP/2");
        assert_eq!(head.status(), 200);
        assert_eq!(head.headers().len(), 3);
        assert_eq!(head.headers().get_all("set-cookie").iter().count(), 2);
    }

    #[test]
    fn canceling_now_and_then_is_no_abuse() {
        assert!(!is_abuse(100, 100));
        assert!(!is_abuse(1000, 500));
        assert!(is_abuse(101, 101));
        assert!(is_abuse(1000, 501));
    }
}
