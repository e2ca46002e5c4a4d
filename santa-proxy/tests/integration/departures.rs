//! Clients that go away before they are answered: what they held is free for
//! others. One that has only ended its own direction still gets its response.

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

/// Keeps what is asked for at `/api/held`.
fn held(backend: &Backend) {
    backend.script(|received| match received.head.contains(" /api/held ") {
        true => Act::HandOver,
        false => Act::Answer(ok("ok")),
    });
}

fn get(path: &str, from: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: santa\r\nX-Forwarded-For: {from}\r\n\r\n")
}

/// Sends a request; what is sent next is read next.
fn ask(proxy: &Proxy, request: &str) -> Client {
    let mut client = Client::connect(proxy.address);
    client.send(request);
    assert_eq!(Client::connect(proxy.address).get("/health").status, 200);
    client
}

/// Closes a connection as a process that is killed does, or cuts it off.
fn leave(client: Client, reset: bool) {
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
        held(&backend);
        let proxy = setup.start();
        let mut first = ask(&proxy, &get("/api/held", "192.0.2.1"));
        let mut server = backend.handed_over();
        for round in 0..2 {
            let gone =
                [1, 2].map(|number| ask(&proxy, &get("/api/gone", &format!("192.0.2.{number}"))));
            assert_eq!(waiting(&proxy), 2, "round {round}");
            gone.into_iter().for_each(|client| leave(client, reset));
            eventually("their places are free", || waiting(&proxy) == 0);
        }
        let mut live = ask(&proxy, &get("/api/live", "192.0.2.3"));
        server.write_all(LAST).expect("write");
        assert_eq!(first.answer(false).text(), "last");
        assert_eq!(live.answer(false).status, 200);
        assert!(backend.received().iter().all(|received| !received.head.contains("/api/gone")));
        proxy.line_with("\"status\":499");
    }
}

#[test]
fn clients_that_may_be_gone_make_room_in_a_full_queue_at_once() {
    let setup = one_permit().set("PROXY__LIMITS__QUEUE", "2");
    let backend = Backend::start(&setup.socket());
    held(&backend);
    let proxy = setup.start();
    let _first = ask(&proxy, &get("/api/held", "192.0.2.1"));
    let mut server = backend.handed_over();
    // Of HTTP/1.0, for which there is no telling.
    let old = |from| format!("GET /api/old HTTP/1.0\r\nX-Forwarded-For: {from}\r\n\r\n");
    let mut doubtful = ask(&proxy, &old("192.0.2.1"));
    let mut other = ask(&proxy, &old("192.0.2.2"));
    assert_eq!(ask(&proxy, &get("/api/live", "192.0.2.3")).answer(false).status, 503);
    doubtful.end();
    assert_eq!(Client::connect(proxy.address).get("/health").status, 200);
    let mut live = ask(&proxy, &get("/api/live", "192.0.2.3"));
    assert_eq!(doubtful.answer(false).status, 503);
    server.write_all(LAST).expect("write");
    assert_eq!(other.answer(false).status, 200);
    assert_eq!(live.answer(false).status, 200);
}

/// Another client is served although the backend was held, and the backend
/// learns that nobody waits any more.
fn released(proxy: &Proxy, backend: &Backend, leave: impl FnOnce()) {
    let mut server = backend.handed_over();
    let mut live = ask(proxy, &get("/api/live", "192.0.2.3"));
    leave();
    assert_eq!(live.answer(false).status, 200);
    assert_eq!(server.read(&mut [0; 1]).expect("an end"), 0);
}

#[test]
fn a_disconnected_client_frees_the_backend() {
    let setup = one_permit();
    let backend = Backend::start(&setup.socket());
    held(&backend);
    let proxy = setup.start();
    let post = "POST /api/held HTTP/1.1\r\nHost: santa\r\nContent-Length: 2\r\n\r\n{}";
    for request in [&get("/api/held", "192.0.2.1"), post] {
        for reset in [false, true] {
            let gone = ask(&proxy, request);
            released(&proxy, &backend, || leave(gone, reset));
        }
    }
}

#[test]
fn the_same_over_tls() {
    let authority = Authority::new();
    let setup = with_tls(one_permit(), &authority);
    let backend = Backend::start(&setup.socket());
    held(&backend);
    let proxy = setup.start();
    let mut gone = Secure::connect(tls_address(&proxy), &authority, None).expect("handshake");
    gone.stream().write_all(get("/api/held", "192.0.2.1").as_bytes()).expect("sent");
    released(&proxy, &backend, || drop(gone));
}

#[test]
fn the_same_over_http2_for_streams_and_connections() {
    let (authority, proxy, backend) = start(one_permit());
    held(&backend);
    for reset in [true, false] {
        run(async {
            let mut gone = client(&proxy, &authority).await.ready().await.expect("room");
            let request = http::Request::get("https://santa.test/api/held").body(());
            let before = backend.received().len();
            let (response, mut stream) =
                gone.send_request(request.expect("a request"), true).expect("sent");
            // Waiting here lets the connection send it.
            eventually_async("the backend has it", || backend.received().len() > before).await;
            let mut server = backend.handed_over();
            let mut live = ask(&proxy, &get("/api/live", "192.0.2.3"));
            if reset {
                stream.send_reset(h2::Reason::CANCEL);
            }
            drop((response, stream, gone));
            // In a thread of its own, so that the connection can send what ends it.
            let live = tokio::task::spawn_blocking(move || live.answer(false).status);
            assert_eq!(live.await.expect("an answer"), 200);
            assert_eq!(server.read(&mut [0; 1]).expect("an end"), 0);
        });
    }
}

#[test]
fn a_client_that_disconnects_while_the_backend_is_unavailable_is_logged_as_499() {
    let proxy = one_permit().set("PROXY__TIMEOUTS__CONNECT", "60s").start();
    for reset in [false, true] {
        let gone = ask(&proxy, &get("/api/x", "192.0.2.1"));
        leave(gone, reset);
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
    held(&backend);
    let proxy = setup.start();
    let old = "GET /api/held HTTP/1.0\r\n\r\n";
    for request in [&get("/api/held", "192.0.2.1"), old] {
        let mut first = ask(&proxy, request);
        first.end();
        let mut server = backend.handed_over();
        let mut queued = ask(&proxy, &request.replace("held", "queued"));
        queued.end();
        // Long enough for both to be doubted.
        std::thread::sleep(Duration::from_millis(1500));
        server.write_all(LAST).expect("write");
        assert_eq!(first.answer(false).text(), "last", "{request}");
        assert_eq!(queued.answer(false).text(), "ok", "{request}");
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
    held(&backend);
    let proxy = setup.start();
    let mut client = ask(&proxy, &get("/api/held", "192.0.2.1"));
    let mut server = backend.handed_over();
    client.send(get("/file.txt", "192.0.2.1").repeat(3));
    client.end();
    assert_eq!(Client::connect(proxy.address).get("/health").status, 200);
    server.write_all(LAST).expect("write");
    assert_eq!(client.answer(false).text(), "last");
    for _ in 0..3 {
        assert_eq!(client.answer(false).status, 200);
    }
    assert!(client.is_closed());
}
