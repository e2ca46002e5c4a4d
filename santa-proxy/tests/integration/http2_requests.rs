//! Requests over HTTP/2 that a well-behaved client library would not send,
//! written frame by frame (RFC 9113 §8).

use bytes::Bytes;
use http::{HeaderMap, Request};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::http2::{
    GET, GOAWAY, HEADERS, PREFACE, SETTINGS, client, content, frame, run, session, start,
};
use crate::support::backend::Backend;
use crate::support::proxy::{Proxy, Setup};
use crate::support::tls::Authority;

const RST_STREAM: u8 = 3;
/// END_STREAM and END_HEADERS.
const WHOLE: u8 = 5;
/// `:status 200` (RFC 7541 appendix A).
const STATUS_200: u8 = 0x88;

/// Sends one HEADERS frame; returns type and first byte of the frame that follows.
async fn send(proxy: &Proxy, authority: &Authority, block: &[u8]) -> (u8, u8) {
    let mut session = session(proxy, authority).await;
    session.write_all(PREFACE).await.expect("sent");
    session.write_all(&frame(SETTINGS, 0, 0, b"")).await.expect("sent");
    session.write_all(&frame(HEADERS, WHOLE, 1, block)).await.expect("sent");
    loop {
        let mut head = [0; 9];
        session.read_exact(&mut head).await.expect("a frame");
        let length = usize::from(head[1]) << 8 | usize::from(head[2]);
        let mut payload = vec![0; length];
        session.read_exact(&mut payload).await.expect("its payload");
        if matches!(head[3], HEADERS | RST_STREAM | GOAWAY) {
            return (head[3], payload.first().copied().unwrap_or_default());
        }
    }
}

/// A field line that is not indexed.
fn line(name: &str, value: &str) -> Vec<u8> {
    let mut line = vec![0];
    for text in [name, value] {
        line.push(u8::try_from(text.len()).expect("short"));
        line.extend_from_slice(text.as_bytes());
    }
    line
}

fn block(lines: &[(&str, &str)]) -> Vec<u8> {
    lines.iter().flat_map(|(name, value)| line(name, value)).collect()
}

const START: [(&str, &str); 4] =
    [(":method", "GET"), (":scheme", "https"), (":path", "/api/x"), (":authority", "santa.test")];

fn refused(proxy: &Proxy, authority: &Authority, lines: &[(&str, &str)], backend: &Backend) {
    let (kind, first) = run(send(proxy, authority, &block(lines)));
    let taken = kind == HEADERS && first == STATUS_200;
    assert!(!taken, "{lines:?}");
    assert!(backend.received().is_empty(), "{lines:?} reached the backend");
}

#[test]
fn malformed_requests_do_not_reach_the_backend() {
    let (authority, proxy, backend) = start(Setup::new());
    let connection_specific = [
        ("connection", "close"),
        ("connection", "x-a"),
        ("transfer-encoding", "chunked"),
        ("upgrade", "websocket"),
        ("keep-alive", "timeout=5"),
        ("proxy-connection", "close"),
        ("te", "gzip"),
    ];
    let malformed = [
        ("X-Upper", "a"),
        ("x a", "b"),
        ("x-a", "b\r\nx-c: d"),
        ("x-a", "b\0"),
        ("host", "other.test"),
        ("content-length", "3"),
        ("content-length", "x"),
        (":path", "/api/y"),
        (":unknown", "a"),
    ];
    for extra in connection_specific.iter().chain(&malformed) {
        let lines: Vec<_> = START.iter().chain([extra]).copied().collect();
        refused(&proxy, &authority, &lines, &backend);
    }
    for left_out in 0..3 {
        let mut lines = START.to_vec();
        lines.remove(left_out);
        refused(&proxy, &authority, &lines, &backend);
    }
    refused(&proxy, &authority, &START[..3], &backend);
    refused(&proxy, &authority, &[("x-a", "b"), START[0], START[1], START[2], START[3]], &backend);
    let connect = [(":method", "CONNECT"), (":authority", "santa.test:443")];
    refused(&proxy, &authority, &connect, &backend);
    let websocket =
        [(":method", "CONNECT"), (":protocol", "websocket"), START[1], START[2], START[3]];
    refused(&proxy, &authority, &websocket, &backend);
    // What is not malformed goes through: the refusals above are no accident.
    assert_eq!(run(send(&proxy, &authority, &block(&START))), (HEADERS, STATUS_200));
    assert_eq!(backend.received().len(), 1);
    let same_host: Vec<_> = START.iter().chain(&[("host", "santa.test")]).copied().collect();
    assert_eq!(run(send(&proxy, &authority, &block(&same_host))), (HEADERS, STATUS_200));
    assert_eq!(run(send(&proxy, &authority, GET)).0, HEADERS);
}

#[test]
fn a_refused_head_request_ends_without_content() {
    let (authority, proxy, _backend) = start(Setup::new());
    run(async {
        let mut client = client(&proxy, &authority).await.ready().await.expect("room");
        let request = Request::head("https://santa.test/api/x").header("host", "other.test");
        let request = request.body(()).expect("a request");
        let (response, _) = client.send_request(request, true).expect("sent");
        let response = response.await.expect("a response");
        assert_eq!(response.status(), 400);
        assert!(response.headers().contains_key("content-length"));
        let (content, _) = content(response.into_body()).await.expect("an orderly end");
        assert!(content.is_empty());
    });
}

#[test]
fn trailers_of_a_request_end_here_and_its_content_does_not() {
    let (authority, proxy, backend) = start(Setup::new());
    run(async {
        let mut client = client(&proxy, &authority).await.ready().await.expect("room");
        let request = Request::post("https://santa.test/api/x").body(()).expect("a request");
        let (response, mut upload) = client.send_request(request, false).expect("sent");
        upload.send_data(Bytes::from_static(b"abc"), false).expect("sent");
        let mut trailers = HeaderMap::new();
        trailers.insert("x-forwarded-for", "192.0.2.9".parse().expect("a value"));
        upload.send_trailers(trailers).expect("sent");
        let (head, stream) = response.await.expect("a response").into_parts();
        assert_eq!(head.status, 200);
        assert_eq!(content(stream).await.expect("content").0, b"ok");
    });
    assert_eq!(backend.received()[0].body, b"abc");
    assert!(!String::from_utf8_lossy(&backend.take_bytes()).contains("192.0.2.9"));
}

#[test]
fn a_client_that_reads_one_response_slowly_gets_the_others_meanwhile() {
    let setup = Setup::new();
    setup.file("large.bin", &"0123456789".repeat(300_000));
    let (authority, proxy, _backend) = start(setup);
    run(async {
        let mut client = client(&proxy, &authority).await.ready().await.expect("room");
        let large = Request::get("https://santa.test/large.bin").body(()).expect("a request");
        let (response, _) = client.send_request(large, true).expect("sent");
        // No WINDOW_UPDATE for it while the others get their responses.
        let slow = response.await.expect("a response").into_body();
        for _ in 0..20 {
            let other = Request::get("https://santa.test/health").body(()).expect("a request");
            client = client.ready().await.expect("room");
            let (response, _) = client.send_request(other, true).expect("sent");
            assert_eq!(response.await.expect("a response").status(), 200);
        }
        assert_eq!(content(slow).await.expect("content").0.len(), 3_000_000);
    });
}
