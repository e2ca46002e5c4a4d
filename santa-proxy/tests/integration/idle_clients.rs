//! Connections on which no request comes: they have the time for a head, no
//! more, and make room for those who have one.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::http2::{client, run, session, start};
use crate::support::TIMEOUT;
use crate::support::backend::Backend;
use crate::support::client::Client;
use crate::support::proxy::{Proxy, Setup};
use crate::support::tls::{Authority, Secure};
use crate::tls::{tls_address, with_tls};

/// Connections that the proxy may have.
const TABLE: usize = 12;
/// What a client of HTTP/2 sends first.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const NO_SETTINGS: &[u8] = b"\0\0\0\x04\0\0\0\0\0";

fn full_table() -> Setup {
    Setup::new().set("PROXY__LIMITS__CONNECTIONS", &TABLE.to_string())
}

fn connect(address: SocketAddr, bytes: &[u8]) -> TcpStream {
    let mut stream = TcpStream::connect(address).expect("connect");
    stream.write_all(bytes).expect("write");
    stream.set_read_timeout(Some(TIMEOUT)).expect("timeout");
    stream
}

/// Clients with requests are served, more of them than the table has room for.
fn served(proxy: &Proxy, crowd: &str) {
    for number in 0..2 * TABLE {
        let response = Client::connect(proxy.address).get("/file.txt");
        assert_eq!(response.status, 200, "client {number} beside {crowd}");
    }
}

#[test]
fn connections_without_a_whole_head_make_room() {
    let proxy = full_table().start();
    for head in ["", "G", "\r\n", "GET / HTTP/1.1\r\n", "POST /api/x HTTP/1.1\r\nHost: santa\r\nX"]
    {
        let crowd: Vec<_> =
            (0..2 * TABLE).map(|_| connect(proxy.address, head.as_bytes())).collect();
        served(&proxy, head);
        drop(crowd);
    }
}

#[test]
fn unfinished_heads_of_further_requests_make_room() {
    let proxy = full_table().set("PROXY__TIMEOUTS__HEAD", "60s").start();
    let begun = |_| {
        let mut client = Client::connect(proxy.address);
        assert_eq!(client.get("/file.txt").status, 200);
        client.send("GET /file.txt HT");
        client
    };
    let _crowd: Vec<Client> = (0..TABLE).map(begun).collect();
    served(&proxy, "unfinished second heads");
}

#[test]
fn the_oldest_of_them_makes_room_and_a_request_is_never_in_the_way() {
    let proxy = full_table().start();
    let mut idle = Client::connect(proxy.address);
    assert_eq!(idle.get("/file.txt").status, 200);
    let mut crowd: Vec<_> = (0..TABLE - 1).map(|_| Client::connect(proxy.address)).collect();
    let mut late = Client::connect(proxy.address);
    assert!(crowd[0].is_closed(), "it has been silent for longest");
    assert_eq!(late.get("/file.txt").status, 200);
    assert_eq!(crowd[1].get("/file.txt").status, 200, "its second request");
    assert_eq!(idle.get("/file.txt").status, 200, "it has sent a request before");
}

#[test]
fn unfinished_headers_of_a_balancer_make_room() {
    let proxy = full_table()
        .set("PROXY__PROXY_PROTOCOL", "true")
        .set("PROXY__TRUSTED_PROXIES", "127.0.0.0/8")
        .start();
    let local = b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0";
    for length in [0, 1, 15] {
        let _crowd: Vec<_> =
            (0..2 * TABLE).map(|_| connect(proxy.address, &local[..length])).collect();
        for _ in 0..2 * TABLE {
            let mut client = Client::connect(proxy.address);
            client.send(local);
            assert_eq!(client.get("/file.txt").status, 200, "beside {length} bytes");
        }
    }
}

#[test]
fn unfinished_handshakes_make_room() {
    let authority = Authority::new();
    let proxy = with_tls(full_table(), &authority).start();
    // The beginning of a ClientHello.
    for hello in [&b""[..], b"\x16\x03\x01", b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03half"] {
        let _crowd: Vec<_> = (0..2 * TABLE).map(|_| connect(tls_address(&proxy), hello)).collect();
        served(&proxy, "unfinished handshakes");
        let mut client = Secure::connect(tls_address(&proxy), &authority, None).expect("handshake");
        assert!(client.get("/file.txt").is_ok());
    }
}

#[test]
fn http2_without_a_request_makes_room() {
    let (authority, proxy, _backend) = start(full_table());
    // A header block that does not end: HEADERS without END_HEADERS.
    let unfinished = [PREFACE, NO_SETTINGS, b"\0\0\x01\x01\0\0\0\0\x01\x82"].concat();
    for bytes in [b"", &PREFACE[..10], PREFACE, &[PREFACE, NO_SETTINGS].concat(), &unfinished] {
        run(async {
            let mut crowd = Vec::new();
            for _ in 0..2 * TABLE {
                let mut session = session(&proxy, &authority).await;
                session.write_all(bytes).await.expect("write");
                session.flush().await.expect("write");
                crowd.push(session);
            }
            served(&proxy, "HTTP/2 without requests");
        });
    }
}

#[test]
fn http2_between_requests_makes_room() {
    let (authority, proxy, _backend) = start(full_table());
    run(async {
        let mut crowd = Vec::new();
        for _ in 0..TABLE {
            let client = client(&proxy, &authority).await;
            let request = http::Request::get("https://santa.test/file.txt").body(());
            let mut ready = client.ready().await.expect("room");
            let (response, _) =
                ready.send_request(request.expect("a request"), true).expect("sent");
            assert_eq!(response.await.expect("a response").status(), 200);
            crowd.push(ready);
        }
        served(&proxy, "idle HTTP/2");
    });
}

#[test]
fn a_connection_without_bytes_has_the_timeout_of_a_head() {
    let authority = Authority::new();
    let setup =
        Setup::new().set("PROXY__TIMEOUTS__HEAD", "300ms").set("PROXY__TIMEOUTS__IDLE", "10m");
    let _backend = Backend::start(&setup.socket());
    let proxy = with_tls(setup, &authority).start();
    assert!(Client::connect(proxy.address).is_closed(), "silence over HTTP/1.1");
    let mut client = Client::connect(proxy.address);
    client.send("\r\n");
    assert_eq!(client.response(false).status, 408);
    let mut silent = connect(tls_address(&proxy), b"");
    assert_eq!(silent.read(&mut [0; 1]).expect("an end"), 0, "silence over TLS");
    let mut silent = Secure::connect(tls_address(&proxy), &authority, None).expect("handshake");
    assert!(silent.ends_properly(), "silence after the handshake");
    for bytes in [&b""[..], &PREFACE[..5], &[PREFACE, NO_SETTINGS].concat()] {
        run(async {
            let mut silent = session(&proxy, &authority).await;
            silent.write_all(bytes).await.expect("write");
            let mut received = Vec::new();
            // It ends, properly or not; the limit of `run` says when it does not.
            let _ = silent.read_to_end(&mut received).await;
        });
    }
    // A connection with a request stays open.
    let mut active = Client::connect(proxy.address);
    assert_eq!(active.get("/file.txt").status, 200);
    let mut silent = Client::connect(proxy.address);
    assert!(silent.is_closed());
    assert_eq!(active.get("/file.txt").status, 200);
}
