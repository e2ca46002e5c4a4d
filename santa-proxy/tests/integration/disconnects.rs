//! Clients that disconnect before their response: their permits and queue slots are free for
//! others. A client that only half-closed its connection still gets its response.

use std::io::{Read, Write};
use std::time::Duration;

use crate::http2::{client, run, start};
use crate::support::backend::{Act, Backend, ok};
use crate::support::client::Client;
use crate::support::proxy::{Proxy, Setup};
use crate::support::tls::{Authority, Secure};
use crate::support::{eventually, eventually_async};
use crate::tls::{tls_address, with_tls};

const LAST: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nConnection: close\r\n\r\nlast";

/// One request at a time, and time to wait for it.
fn one_permit() -> Setup {
    Setup::new()
        .set("PROXY__TRUSTED_PROXIES", "127.0.0.0/8")
        .set("PROXY__LIMITS__UPSTREAM_REQUESTS", "1")
        .set("PROXY__TIMEOUTS__QUEUE", "60s")
        .set("PROXY__TIMEOUTS__RESPONSE", "60s")
}

/// Leaves requests for `/api/held` without a response.
fn hold_requests(backend: &Backend) {
    backend.script(|received| match received.head.contains(" /api/held ") {
        true => Act::HandOver,
        false => Act::Respond(ok("ok")),
    });
}

fn get(path: &str, from: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: santa\r\nX-Forwarded-For: {from}\r\n\r\n")
}

/// Sends a request and waits until the proxy has accepted its connection.
fn send(proxy: &Proxy, request: &str) -> Client {
    let mut client = Client::connect(proxy.address);
    client.send(request);
    assert_eq!(Client::connect(proxy.address).get("/health").status, 200);
    client
}

/// Closes a connection as the kernel does for a killed process, or resets it.
fn disconnect(client: Client, reset: bool) {
    if reset {
        rustix::net::sockopt::set_socket_linger(&client.stream, Some(Duration::ZERO))
            .expect("linger");
    }
    drop(client);
}

fn waiting(proxy: &Proxy) -> u64 {
    proxy.metric("santa_proxy_queue_waiting")
}

#[test]
fn a_disconnected_client_frees_its_slot_in_the_queue() {
    for reset in [false, true] {
        let setup = one_permit().with_admin().set("PROXY__LIMITS__QUEUE", "2");
        let backend = Backend::start(&setup.socket());
        hold_requests(&backend);
        let proxy = setup.start();
        let mut first = send(&proxy, &get("/api/held", "192.0.2.1"));
        let mut server = backend.handed_over();
        for round in 0..2 {
            let disconnecting =
                [1, 2].map(|number| send(&proxy, &get("/api/gone", &format!("192.0.2.{number}"))));
            assert_eq!(waiting(&proxy), 2, "round {round}");
            disconnecting.into_iter().for_each(|client| disconnect(client, reset));
            eventually("their slots are free", || waiting(&proxy) == 0);
        }
        let mut live = send(&proxy, &get("/api/live", "192.0.2.3"));
        server.write_all(LAST).expect("write");
        assert_eq!(first.response(false).text(), "last");
        assert_eq!(live.response(false).status, 200);
        assert!(backend.received().iter().all(|received| !received.head.contains("/api/gone")));
        proxy.line_with("\"status\":499");
    }
}

#[test]
fn clients_that_may_be_gone_make_room_in_a_full_queue_at_once() {
    let setup = one_permit().set("PROXY__LIMITS__QUEUE", "2");
    let backend = Backend::start(&setup.socket());
    hold_requests(&backend);
    let proxy = setup.start();
    let _first = send(&proxy, &get("/api/held", "192.0.2.1"));
    let mut server = backend.handed_over();
    // Of HTTP/1.0, for which there is no telling.
    let old = |from| format!("GET /api/old HTTP/1.0\r\nX-Forwarded-For: {from}\r\n\r\n");
    let mut doubtful = send(&proxy, &old("192.0.2.1"));
    let mut other = send(&proxy, &old("192.0.2.2"));
    assert_eq!(send(&proxy, &get("/api/live", "192.0.2.3")).response(false).status, 503);
    doubtful.end();
    assert_eq!(Client::connect(proxy.address).get("/health").status, 200);
    let mut live = send(&proxy, &get("/api/live", "192.0.2.3"));
    assert_eq!(doubtful.response(false).status, 503);
    server.write_all(LAST).expect("write");
    assert_eq!(other.response(false).status, 200);
    assert_eq!(live.response(false).status, 200);
}

/// Another client is served although the only permit was taken, and the connection to the
/// backend is closed.
fn released(proxy: &Proxy, backend: &Backend, disconnect: impl FnOnce()) {
    let mut server = backend.handed_over();
    let mut live = send(proxy, &get("/api/live", "192.0.2.3"));
    disconnect();
    assert_eq!(live.response(false).status, 200);
    assert_eq!(server.read(&mut [0; 1]).expect("an end"), 0);
}

#[test]
fn a_disconnected_client_frees_the_backend() {
    let setup = one_permit();
    let backend = Backend::start(&setup.socket());
    hold_requests(&backend);
    let proxy = setup.start();
    let post = "POST /api/held HTTP/1.1\r\nHost: santa\r\nContent-Length: 2\r\n\r\n{}";
    for request in [&get("/api/held", "192.0.2.1"), post] {
        for reset in [false, true] {
            let disconnecting = send(&proxy, request);
            released(&proxy, &backend, || disconnect(disconnecting, reset));
        }
    }
}

#[test]
fn the_same_over_tls() {
    let authority = Authority::new();
    let setup = with_tls(one_permit(), &authority);
    let backend = Backend::start(&setup.socket());
    hold_requests(&backend);
    let proxy = setup.start();
    let mut disconnecting =
        Secure::connect(tls_address(&proxy), &authority, None).expect("handshake");
    disconnecting.stream().write_all(get("/api/held", "192.0.2.1").as_bytes()).expect("sent");
    released(&proxy, &backend, || drop(disconnecting));
}

#[test]
fn the_same_over_http2_for_streams_and_connections() {
    let (authority, proxy, backend) = start(one_permit());
    hold_requests(&backend);
    for reset in [true, false] {
        run(async {
            let mut disconnecting = client(&proxy, &authority).await.ready().await.expect("room");
            let request = http::Request::get("https://santa.test/api/held").body(());
            let before = backend.received().len();
            let (response, mut stream) =
                disconnecting.send_request(request.expect("a request"), true).expect("sent");
            // Waiting here lets the connection send it.
            eventually_async("the backend has the request", || backend.received().len() > before)
                .await;
            let mut server = backend.handed_over();
            let mut live = send(&proxy, &get("/api/live", "192.0.2.3"));
            if reset {
                stream.send_reset(h2::Reason::CANCEL);
            }
            drop((response, stream, disconnecting));
            // In a thread of its own, so that the connection can send what ends it.
            let live = tokio::task::spawn_blocking(move || live.response(false).status);
            assert_eq!(live.await.expect("a response"), 200);
            assert_eq!(server.read(&mut [0; 1]).expect("an end"), 0);
        });
    }
}

#[test]
fn a_client_that_disconnects_while_the_backend_is_unavailable_is_logged_as_499() {
    let proxy = one_permit().set("PROXY__TIMEOUTS__CONNECT", "60s").start();
    for reset in [false, true] {
        let disconnecting = send(&proxy, &get("/api/x", "192.0.2.1"));
        disconnect(disconnecting, reset);
        eventually("it is in the log", || {
            let lines = proxy.lines();
            lines.iter().filter(|line| line.contains("\"status\":499")).count()
                == 1 + usize::from(reset)
        });
    }
}

#[test]
fn a_half_closed_client_gets_its_response() {
    let setup = one_permit();
    let backend = Backend::start(&setup.socket());
    hold_requests(&backend);
    let proxy = setup.start();
    let old = "GET /api/held HTTP/1.0\r\n\r\n";
    for request in [&get("/api/held", "192.0.2.1"), old] {
        let mut first = send(&proxy, request);
        first.end();
        let mut server = backend.handed_over();
        let mut queued = send(&proxy, &request.replace("held", "queued"));
        queued.end();
        // Long enough for the proxy to suspect that both are gone.
        std::thread::sleep(Duration::from_millis(1500));
        server.write_all(LAST).expect("write");
        assert_eq!(first.response(false).text(), "last", "{request}");
        assert_eq!(queued.response(false).text(), "ok", "{request}");
    }
}

#[test]
fn a_quick_response_has_no_interim_response() {
    let setup = one_permit();
    let _backend = Backend::start(&setup.socket());
    let proxy = setup.start();
    let mut client = Client::connect(proxy.address);
    client.send(get("/api/x", "192.0.2.1"));
    client.end();
    assert_eq!(client.head().status, 200);
}

#[test]
fn pipelined_requests_get_their_responses_in_order() {
    let setup = one_permit();
    let backend = Backend::start(&setup.socket());
    hold_requests(&backend);
    let proxy = setup.start();
    let mut client = send(&proxy, &get("/api/held", "192.0.2.1"));
    let mut server = backend.handed_over();
    client.send(get("/file.txt", "192.0.2.1").repeat(3));
    client.end();
    assert_eq!(Client::connect(proxy.address).get("/health").status, 200);
    server.write_all(LAST).expect("write");
    assert_eq!(client.response(false).text(), "last");
    for _ in 0..3 {
        assert_eq!(client.response(false).status, 200);
    }
    assert!(client.is_closed());
}
