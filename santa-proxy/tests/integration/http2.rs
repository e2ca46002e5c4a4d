//! HTTP/2 on the TLS listener: the same responses as over HTTP/1.1, and limits
//! that many streams do not get around.

use std::future::Future;

use bytes::Bytes;
use h2::client::SendRequest;
use h2::{Reason, RecvStream};
use http::{HeaderMap, Request, Response};
use rustix::process::Signal;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::pki_types::ServerName;

use crate::support::TIMEOUT;
use crate::support::backend::{Act, Backend};
use crate::support::eventually;
use crate::support::eventually_async;
use crate::support::proxy::{Proxy, Setup, field};
use crate::support::tls::Authority;
use crate::tls::{tls_address, with_tls};

/// Runs a client; one that hangs fails.
pub(crate) fn run<T>(client: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let local = tokio::task::LocalSet::new();
    let limited = async { tokio::time::timeout(TIMEOUT, client).await.expect("in time") };
    local.block_on(&runtime.expect("a runtime"), limited)
}

/// The encrypted stream with HTTP/2 agreed on.
pub(crate) async fn session(proxy: &Proxy, authority: &Authority) -> TlsStream<TcpStream> {
    let stream = TcpStream::connect(tls_address(proxy)).await.expect("connect");
    let name = ServerName::try_from("santa.test").expect("name");
    let session = authority.connector().connect(name, stream).await.expect("handshake");
    assert_eq!(session.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    session
}

pub(crate) async fn client(proxy: &Proxy, authority: &Authority) -> SendRequest<Bytes> {
    let session = session(proxy, authority).await;
    let (client, connection) = h2::client::handshake(session).await.expect("HTTP/2");
    tokio::task::spawn_local(async { drop(connection.await) });
    client
}

fn get(path: &str) -> Request<()> {
    Request::get(format!("https://santa.test{path}")).body(()).expect("a request")
}

pub(crate) async fn content(mut stream: RecvStream) -> Result<(Vec<u8>, HeaderMap), h2::Error> {
    let mut content = Vec::new();
    while let Some(piece) = stream.data().await {
        let piece = piece?;
        content.extend_from_slice(&piece);
        stream.flow_control().release_capacity(piece.len())?;
    }
    Ok((content, stream.trailers().await?.unwrap_or_default()))
}

/// Sends a request without content and reads the whole response.
async fn fetch(client: &mut SendRequest<Bytes>, request: Request<()>) -> Response<Vec<u8>> {
    let mut client = client.clone().ready().await.expect("room for a stream");
    let (response, _) = client.send_request(request, true).expect("sent");
    let (head, stream) = response.await.expect("a response").into_parts();
    Response::from_parts(head, content(stream).await.expect("its content").0)
}

pub(crate) fn start(setup: Setup) -> (Authority, Proxy, Backend) {
    let authority = Authority::new();
    let setup = with_tls(setup, &authority);
    let backend = Backend::start(&setup.socket());
    (authority, setup.start(), backend)
}

#[test]
fn console_and_backend_respond_as_over_http11() {
    let setup = Setup::new();
    setup.file("large.bin", &"0123456789".repeat(300_000));
    let (authority, proxy, backend) = start(setup);
    run(async {
        let mut client = client(&proxy, &authority).await;
        let file = fetch(&mut client, get("/file.txt")).await;
        assert_eq!(file.status(), 200);
        assert_eq!(file.body(), b"0123456789abcdefghijklmnopqrstuvwxyz");
        assert_eq!(file.headers()["content-length"], "36");
        assert_eq!(file.headers()["strict-transport-security"], "max-age=31536000");
        let large = fetch(&mut client, get("/large.bin")).await;
        assert!(*large.body() == "0123456789".repeat(300_000).as_bytes());
        let mut head = get("/large.bin");
        *head.method_mut() = http::Method::HEAD;
        let head = fetch(&mut client, head).await;
        assert_eq!(head.headers()["content-length"], "3000000");
        assert!(head.body().is_empty());
        assert_eq!(fetch(&mut client, get("/api/x?y")).await.body(), b"ok");
        assert_eq!(fetch(&mut client, get("/api/%2e%2e/x")).await.status(), 400);
        assert_eq!(fetch(&mut client, get("/missing.txt")).await.status(), 404);
    });
    let head = backend.received()[0].head.clone();
    assert!(head.starts_with("GET /api/x?y HTTP/1.1\r\nHost: santa.test\r\n"), "{head}");
    assert!(head.contains("Via: 2.0 santa-proxy\r\n"), "{head}");
    assert!(head.contains("X-Forwarded-Proto: https\r\n"), "{head}");
    let line = proxy.line_with("/api/x");
    assert_eq!(field(&line, "protocol"), "HTTP/2.0");
    assert!(line.contains("\"status\":200,\"bytes\":2,"), "{line}");
}

#[test]
fn content_goes_up_at_the_backends_pace_and_down_at_the_clients() {
    let (authority, proxy, backend) = start(Setup::new());
    let sent = "abcdefghij".repeat(100_000);
    let back = sent.clone();
    backend.script(move |received| {
        assert_eq!(received.body.len(), back.len());
        let mut response = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
        for chunk in received.body.chunks(7_000) {
            response.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
            response.extend_from_slice(chunk);
            response.extend_from_slice(b"\r\n");
        }
        response.extend_from_slice(b"0\r\nX-Sum: 7\r\n\r\n");
        Act::Respond(response)
    });
    run(async {
        let mut client = client(&proxy, &authority).await;
        for length in [None, Some(sent.len())] {
            let mut request = Request::post("https://santa.test/api/x").header("te", "trailers");
            if let Some(length) = length {
                request = request.header("content-length", length);
            }
            let request = request.body(()).expect("a request");
            client = client.ready().await.expect("room");
            let (response, mut upload) = client.send_request(request, false).expect("sent");
            upload.send_data(Bytes::from(sent.clone()), true).expect("sent");
            let (head, stream) = response.await.expect("a response").into_parts();
            let (content, trailers) = content(stream).await.expect("content");
            assert_eq!(head.headers.get("transfer-encoding"), None);
            assert!(content == sent.as_bytes());
            assert_eq!(trailers["x-sum"], "7");
        }
    });
}

#[test]
fn cookies_that_were_split_reach_the_backend_as_one() {
    let (authority, proxy, backend) = start(Setup::new());
    run(async {
        let mut client = client(&proxy, &authority).await;
        let request = Request::get("https://santa.test/api/x")
            .header("cookie", "a=b")
            .header("cookie", "c=d")
            .body(())
            .expect("a request");
        fetch(&mut client, request).await;
    });
    assert!(backend.received()[0].head.contains("Cookie: a=b; c=d\r\n"));
}

#[test]
fn a_websocket_over_http2_is_501_and_works_over_http11() {
    let (authority, proxy, backend) = start(Setup::new());
    run(async {
        let mut client = client(&proxy, &authority).await;
        assert!(!client.is_extended_connect_protocol_enabled());
        let connect = Request::builder().method("CONNECT").uri("santa.test:443");
        let response = fetch(&mut client, connect.body(()).expect("a request")).await;
        assert_eq!(response.status(), 501);
        assert!(String::from_utf8_lossy(response.body()).contains("use HTTP/1.1"));
    });
    assert!(backend.received().is_empty());
}

#[test]
fn an_incomplete_response_resets_its_stream_and_no_other() {
    let (authority, proxy, backend) = start(Setup::new());
    let half = b"HTTP/1.1 200 OK\r\nContent-Length: 90000\r\n\r\nhalf".to_vec();
    backend.always(Act::RespondAndClose(half));
    run(async {
        let mut client = client(&proxy, &authority).await;
        let mut sending = client.clone().ready().await.expect("room");
        let (response, _) = sending.send_request(get("/api/x"), true).expect("sent");
        // The reset may overtake the head.
        let error = match response.await {
            Ok(head) => content(head.into_body()).await.expect_err("broken off"),
            Err(error) => error,
        };
        assert_eq!(error.reason(), Some(Reason::INTERNAL_ERROR));
        assert_eq!(fetch(&mut client, get("/file.txt")).await.status(), 200);
    });
}

#[test]
fn a_canceled_request_leaves_the_backend_at_once() {
    let (authority, proxy, backend) = start(Setup::new());
    backend.always(Act::HandOver);
    run(async {
        let client = client(&proxy, &authority).await;
        let mut sending = client.clone().ready().await.expect("room");
        let (response, mut stream) = sending.send_request(get("/api/x"), true).expect("sent");
        eventually_async("the backend has the request", || !backend.received().is_empty()).await;
        stream.send_reset(Reason::CANCEL);
        assert!(response.await.is_err());
        let mut left = backend.handed_over();
        let read = tokio::task::spawn_blocking(move || std::io::Read::read(&mut left, &mut [0; 1]));
        assert_eq!(read.await.expect("joined").ok(), Some(0), "the connection was closed");
    });
    proxy.line_with("\"status\":499");
}

#[test]
fn streams_that_are_only_canceled_end_the_connection() {
    let (authority, proxy, backend) = start(Setup::new());
    backend.always(Act::NoResponse);
    run(async {
        let mut client = client(&proxy, &authority).await;
        for _ in 0..2_000 {
            let Ok(ready) = client.ready().await else { return };
            client = ready;
            let Ok((response, mut stream)) = client.send_request(get("/api/x"), true) else {
                return;
            };
            tokio::task::yield_now().await;
            stream.send_reset(Reason::CANCEL);
            drop(response);
        }
        panic!("two thousand streams were canceled on one connection");
    });
    run(async {
        let mut client = self::client(&proxy, &authority).await;
        assert_eq!(fetch(&mut client, get("/file.txt")).await.status(), 200);
    });
}

/// A frame of RFC 9113 §4.1.
pub(crate) fn frame(kind: u8, flags: u8, stream: u8, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("short").to_be_bytes();
    let mut frame = length[1..].to_vec();
    frame.extend_from_slice(&[kind, flags, 0, 0, 0, stream]);
    frame.extend_from_slice(payload);
    frame
}

pub(crate) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
pub(crate) const SETTINGS: u8 = 4;
pub(crate) const GOAWAY: u8 = 7;
pub(crate) const HEADERS: u8 = 1;
const CONTINUATION: u8 = 9;
/// `:method GET`, `:scheme https`, `:path /` and `:authority x` (RFC 7541).
pub(crate) const GET: &[u8] = b"\x82\x87\x84\x41\x01x";

/// Error code of RFC 9113 §7.
const ENHANCE_YOUR_CALM: u8 = 11;

/// Sends bytes until the server ends the connection; returns the reason that it
/// gave last (RFC 9113 §6.8).
async fn attack(proxy: &Proxy, authority: &Authority, piece: &[u8], times: usize) -> Option<u8> {
    let mut session = session(proxy, authority).await;
    session.write_all(PREFACE).await.expect("sent");
    session.write_all(&frame(SETTINGS, 0, 0, b"")).await.expect("sent");
    session.write_all(&frame(HEADERS, 0, 1, GET)).await.expect("sent");
    for _ in 0..times {
        if session.write_all(piece).await.is_err() {
            break;
        }
    }
    let mut received = Vec::new();
    // However it ends the connection, what came before counts.
    let _ = session.read_to_end(&mut received).await;
    let mut frames = received.as_slice();
    let mut reason = None;
    while let Some((head, rest)) = frames.split_first_chunk::<9>() {
        let length = usize::from(head[1]) << 8 | usize::from(head[2]);
        let (payload, next) = rest.split_at_checked(length).unwrap_or_default();
        if head[3] == GOAWAY {
            reason = payload.get(7).copied();
        }
        frames = next;
    }
    reason
}

#[test]
fn endless_continuations_and_header_bombs_end_the_connection() {
    let (authority, proxy, backend) = start(Setup::new());
    // A literal field of 4000 bytes that is indexed, and then named again and again.
    let mut bomb = b"\x40\x01a\x7f\xa1\x1e".to_vec();
    bomb.extend(std::iter::repeat_n(b'x', 4000));
    bomb.extend(std::iter::repeat_n(0xbe, 10_000));
    run(async {
        let endless = frame(CONTINUATION, 0, 1, b"\x00\x01a\x01b");
        let calm = Some(ENHANCE_YOUR_CALM);
        assert_eq!(attack(&proxy, &authority, &endless, 100_000).await, calm);
        let bombs = frame(CONTINUATION, 0, 1, &bomb);
        assert_eq!(attack(&proxy, &authority, &bombs, 1_000).await, calm);
        let mut client = client(&proxy, &authority).await;
        assert_eq!(fetch(&mut client, get("/file.txt")).await.status(), 200);
    });
    assert!(backend.received().is_empty());
}

#[test]
fn a_head_above_the_limit_is_431() {
    let setup = Setup::new().set("PROXY__LIMITS__HEAD_SIZE", "2KiB");
    let (authority, proxy, _backend) = start(setup);
    run(async {
        let mut client = client(&proxy, &authority).await;
        let request = Request::get("https://santa.test/api/x").header("x-a", "a".repeat(3_000));
        let response = fetch(&mut client, request.body(()).expect("a request")).await;
        assert_eq!(response.status(), 431);
        assert_eq!(fetch(&mut client, get("/file.txt")).await.status(), 200);
    });
}

#[test]
fn a_client_that_reads_or_sends_nothing_is_disconnected() {
    let setup =
        Setup::new().set("PROXY__TIMEOUTS__BODY", "100ms").set("PROXY__TIMEOUTS__IDLE", "100ms");
    setup.file("large.bin", &"0123456789".repeat(300_000));
    let (authority, proxy, _backend) = start(setup);
    run(async {
        let mut client = client(&proxy, &authority).await;
        client = client.ready().await.expect("room");
        let (response, _) = client.send_request(get("/large.bin"), true).expect("sent");
        let mut stalled = response.await.expect("a head").into_body();
        let post = Request::post("https://santa.test/api/x").body(()).expect("a request");
        client = client.ready().await.expect("room");
        let (response, _upload) = client.send_request(post, false).expect("sent");
        assert_eq!(response.await.expect("a response").status(), 408);
        // Its window is never opened again.
        let mut ended = None;
        while let Some(piece) = stalled.data().await {
            if let Err(error) = piece {
                ended = error.reason();
                break;
            }
        }
        assert_eq!(ended, Some(Reason::ENHANCE_YOUR_CALM));
    });
    // A connection without streams gets a GOAWAY.
    run(async {
        let session = session(&proxy, &authority).await;
        let (_client, connection) = h2::client::handshake::<_>(session).await.expect("HTTP/2");
        // That it ends is what counts, not how.
        drop(connection.await);
    });
}

#[test]
fn a_drain_finishes_open_streams() {
    let (authority, mut proxy, backend) = start(Setup::new());
    backend.always(Act::HandOver);
    run(async {
        let client = client(&proxy, &authority).await;
        let mut sending = client.clone().ready().await.expect("room");
        let (response, _) = sending.send_request(get("/api/x"), true).expect("sent");
        eventually_async("the backend has the request", || !backend.received().is_empty()).await;
        proxy.signal(Signal::TERM);
        proxy.line_with("stopping");
        let mut stream = backend.handed_over();
        std::io::Write::write_all(&mut stream, b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
            .expect("a response");
        let stream = response.await.expect("a response").into_body();
        assert_eq!(content(stream).await.expect("content").0, b"ok");
    });
    assert!(proxy.end().success());
    eventually("it stopped in order", || proxy.lines().join("\n").contains("\"stopped\""));
}

#[test]
fn http2_can_be_switched_off() {
    let (authority, proxy, _backend) = start(Setup::new().set("PROXY__TLS__HTTP2", "false"));
    run(async {
        let stream = TcpStream::connect(tls_address(&proxy)).await.expect("connect");
        let name = ServerName::try_from("santa.test").expect("name");
        let session = authority.connector().connect(name, stream).await.expect("handshake");
        assert_eq!(session.get_ref().1.alpn_protocol(), Some(&b"http/1.1"[..]));
    });
}
