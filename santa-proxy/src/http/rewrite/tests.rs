use super::*;
use crate::http::forwarded::Sender;
use crate::http::request::{HeadLimits, Request};
use crate::http::response::{Response, SCAN_RULES};
use crate::http::scan::{Found, Scan};
use crate::http::version::Version;

const LIMITS: HeadLimits = HeadLimits { head: 4096, target: 1024, fields: 50 };

fn upstream_headers(text: &str, trusted: bool) -> String {
    let Ok(Found::Head(span)) = Scan::default().advance(text.as_bytes(), &LIMITS.scan_rules())
    else {
        panic!("no head in {text:?}")
    };
    let request = Request::parse(text.as_bytes(), &span, &LIMITS).expect("valid");
    let peer = "192.0.2.7".parse().expect("address");
    let upstream_headers = UpstreamHeaders {
        certificate: None,
        multiplexed: false,
        sender: Sender { peer, trusted, scheme: "http" },
        client: "203.0.113.5".parse().expect("address"),
        request_id: "id",
        fallback_host: "fallback",
        upgrade: request.is_websocket(),
    };
    let mut out = Vec::new();
    request_head(&mut out, &request, &upstream_headers);
    String::from_utf8(out).expect("ASCII")
}

fn downstream_headers(text: &str, version: Version) -> String {
    let Ok(Found::Head(span)) = Scan::default().advance(text.as_bytes(), &SCAN_RULES) else {
        panic!("no head in {text:?}")
    };
    let response = Response::parse(text.as_bytes(), &span, false).expect("valid");
    let downstream_headers = DownstreamHeaders {
        hsts: b"",
        delimiter: delimiter(&response, version, false),
        version,
        keep_alive: true,
        request_id: "id",
        date: "today",
    };
    let mut out = Vec::new();
    response_head(&mut out, &response, &downstream_headers);
    String::from_utf8(out).expect("ASCII")
}

#[test]
fn a_backend_gets_the_request_unchanged_and_who_sent_it() {
    let head = upstream_headers(
        "GET /api/x?q=%20 HTTP/1.1\r\nHost: santa\r\nCookie: a=b\r\naccept: */*\r\n\r\n",
        false,
    );
    let expected = "GET /api/x?q=%20 HTTP/1.1\r\nHost: santa\r\nCookie: a=b\r\naccept: */*\r\n\
        X-Real-IP: 203.0.113.5\r\nX-Forwarded-For: 192.0.2.7\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Host: santa\r\n\
        X-Request-Id: id\r\nVia: 1.1 santa-proxy\r\n\r\n";
    assert_eq!(head, expected);
}

#[test]
fn what_belongs_to_one_connection_ends_here() {
    let head = upstream_headers(
        "POST /api HTTP/1.1\r\nHost: santa\r\nConnection: close, X-Mine, Te\r\nX-Mine: 1\r\n\
         Keep-Alive: 5\r\nProxy-Connection: x\r\nProxy-Authorization: x\r\nTE: trailers\r\n\
         Trailer: x\r\nUpgrade: h2c\r\nHTTP2-Settings: x\r\nTransfer-Encoding: chunked\r\n\r\n",
        false,
    );
    for gone in
        ["X-Mine", "Keep-Alive", "Proxy-", "TE:", "Trailer", "Upgrade", "HTTP2", "Connection"]
    {
        assert!(!head.contains(gone), "{gone} in {head}");
    }
    assert!(head.contains("\r\nTransfer-Encoding: chunked\r\n"));
}

#[test]
fn only_trusted_proxies_set_forwarded_fields() {
    let text = "GET /api HTTP/1.1\r\nHost: santa\r\nX-Forwarded-For: 1.1.1.1\r\n\
        X-Forwarded-Proto: https\r\nX-Forwarded-Host: pub\r\nX-Forwarded-Port: 443\r\n\
        X-Real-IP: 1.1.1.1\r\nForwarded: for=1.1.1.1\r\nX-Request-Id: forged\r\n\
        X-Forwarded-Client-Cert: forged\r\n\r\n";
    let head = upstream_headers(text, false);
    assert!(head.contains("X-Forwarded-For: 192.0.2.7\r\n"), "{head}");
    for gone in ["1.1.1.1", "https", "pub", "443", "forged", "Forwarded: "] {
        assert!(!head.contains(gone), "{gone} in {head}");
    }
    let head = upstream_headers(text, true);
    assert!(head.contains("X-Forwarded-For: 1.1.1.1, 192.0.2.7\r\n"), "{head}");
    assert!(
        head.contains("X-Forwarded-Proto: https\r\n") && head.contains("X-Forwarded-Host: pub\r\n")
    );
    assert!(
        head.contains("\r\nForwarded: for=1.1.1.1, for=192.0.2.7;host=\"santa\";proto=http\r\n")
    );
    assert!(!head.contains("forged"));
}

#[test]
fn repeated_or_empty_fields_of_a_trusted_proxy_are_ignored() {
    let twice = "GET /api HTTP/1.1\r\nHost: santa\r\nX-Forwarded-Proto: https\r\n\
        X-Forwarded-Proto: http\r\nX-Forwarded-Host: a\r\nX-Forwarded-Host: b\r\n\
        Forwarded: for=1.1.1.1\r\nForwarded:\r\nForwarded: for=2.2.2.2\r\n\r\n";
    let head = upstream_headers(twice, true);
    assert!(head.contains("X-Forwarded-Proto: http\r\nX-Forwarded-Host: santa\r\n"), "{head}");
    assert!(head.contains("\r\nForwarded: for=1.1.1.1, for=2.2.2.2, for=192.0.2.7;"), "{head}");
    let nothing = "GET /api HTTP/1.1\r\nHost: santa\r\nForwarded:\r\n\r\n";
    assert!(!upstream_headers(nothing, true).contains("\r\nForwarded:"));
}

#[test]
fn a_websocket_handshake_is_the_only_upgrade() {
    let text = "GET /api/v1/live HTTP/1.1\r\nHost: santa\r\nConnection: keep-alive, Upgrade\r\n\
        Upgrade: WebSocket\r\nSec-WebSocket-Key: k\r\n\r\n";
    let head = upstream_headers(text, false);
    assert!(head.contains("Connection: Upgrade\r\nUpgrade: websocket\r\n"), "{head}");
    assert!(head.contains("Sec-WebSocket-Key: k\r\n"));
    assert!(
        !upstream_headers(&text.replace("WebSocket\r\n", "h2c\r\n"), false).contains("Upgrade")
    );
    assert!(!upstream_headers(&text.replace("GET", "POST"), false).contains("Upgrade:"));
}

#[test]
fn responses_lose_hop_by_hop_fields_and_gain_missing_ones() {
    let head = downstream_headers(
        "HTTP/1.1 200 Fine\r\nServer: x\r\nConnection: keep-alive, X-Hop\r\nX-Hop: 1\r\n\
         Keep-Alive: 5\r\nX-Frame-Options: SAMEORIGIN\r\nSet-Cookie: a\r\nSet-Cookie: b\r\n\
         Content-Length: 2\r\n\r\n",
        Version::Http11,
    );
    assert!(head.starts_with("HTTP/1.1 200 Fine\r\n"));
    for gone in ["Server", "X-Hop", "Keep-Alive", "Connection", "DENY"] {
        assert!(!head.contains(gone), "{gone} in {head}");
    }
    for kept in [
        "Set-Cookie: a\r\nSet-Cookie: b\r\n",
        "SAMEORIGIN",
        "nosniff",
        "Date: today",
        "Content-Length: 2\r\n",
    ] {
        assert!(head.contains(kept), "{kept} in {head}");
    }
}

#[test]
fn content_of_unknown_length_suits_the_client() {
    let text = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    assert!(downstream_headers(text, Version::Http11).contains("Transfer-Encoding: chunked"));
    assert!(!downstream_headers(text, Version::Http10).contains("Transfer-Encoding"));
    let none = "HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n";
    assert!(!downstream_headers(none, Version::Http11).contains("Content-Length"));
    let unchanged = "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n";
    assert!(downstream_headers(unchanged, Version::Http11).contains("Content-Length: 5"));
}

#[test]
fn trailers_that_could_change_meaning_are_dropped() {
    let mut out = Vec::new();
    push_trailers(&mut out, b"X-Sum: 1\r\nContent-Length: 5\r\nSet-Cookie: a\r\nHost: x\r\n");
    assert_eq!(out, b"X-Sum: 1\r\n");
}
