//! Slow clients, clients with many requests, and too many clients.

use std::io::Write;

use crate::support::backend::{Act, Backend, ok};
use crate::support::client::Client;
use crate::support::eventually;
use crate::support::proxy::Setup;

#[test]
fn a_head_that_takes_too_long_is_408() {
    let proxy = Setup::new().set("PROXY__TIMEOUTS__HEAD", "100ms").start();
    let mut client = Client::connect(proxy.address);
    client.send("GET / HTTP/1.1\r\nHos");
    assert_eq!(client.response(false).status, 408);
    assert!(client.is_closed());
}

#[test]
fn content_that_stops_is_408() {
    let setup = Setup::new().set("PROXY__TIMEOUTS__BODY", "100ms");
    let _backend = Backend::start(&setup.socket());
    let proxy = setup.start();
    let mut client = Client::connect(proxy.address);
    client.send("POST /api/x HTTP/1.1\r\nHost: santa\r\nContent-Length: 5\r\n\r\nhe");
    assert_eq!(client.response(false).status, 408);
    assert!(client.is_closed());
}

#[test]
fn content_that_takes_too_long_is_408() {
    // It never stops and may have any rate: only the total can end it.
    let setup = Setup::new()
        .set("PROXY__TIMEOUTS__BODY", "1m")
        .set("PROXY__LIMITS__BODY_RATE", "0B")
        .set("PROXY__TIMEOUTS__BODY_TOTAL", "300ms");
    let backend = Backend::start(&setup.socket());
    let proxy = setup.start();
    let mut client = Client::connect(proxy.address);
    client.send("POST /api/x HTTP/1.1\r\nHost: santa\r\nContent-Length: 1000000\r\n\r\n");
    let mut sent = 0;
    eventually("a response", || {
        sent += 1;
        client.send("x");
        client.has_bytes()
    });
    assert_eq!(client.response(false).status, 408, "after {sent} bytes");
    assert!(backend.received().is_empty());
}

#[test]
fn idle_connections_are_closed_without_a_response() {
    let proxy = Setup::new().set("PROXY__TIMEOUTS__IDLE", "100ms").start();
    let mut fresh = Client::connect(proxy.address);
    assert!(fresh.is_closed());
    let mut used = Client::connect(proxy.address);
    assert_eq!(used.get("/file.txt").status, 200);
    assert!(used.is_closed());
}

#[test]
fn connections_above_the_limit_are_503() {
    let setup = Setup::new().set("PROXY__LIMITS__CONNECTIONS", "2");
    let backend = Backend::start(&setup.socket());
    backend.always(Act::NoResponse);
    let proxy = setup.start();
    let mut clients = [Client::connect(proxy.address), Client::connect(proxy.address)];
    for client in &mut clients {
        client.send("POST /api/x HTTP/1.1\r\nHost: santa\r\n\r\n");
    }
    // Within a request, neither makes room.
    eventually("both are busy", || backend.received().len() == 2);
    assert_eq!(Client::connect(proxy.address).response(false).status, 503);
    drop(clients);
    backend.close_all();
    eventually("there is room again", || {
        let mut client = Client::connect(proxy.address);
        client.get("/health").status == 200
    });
}

#[test]
fn at_the_limit_the_connection_that_became_idle_last_makes_room() {
    let proxy = Setup::new().set("PROXY__LIMITS__CONNECTIONS", "3").start();
    let mut clients: Vec<Client> = (0..3).map(|_| Client::connect(proxy.address)).collect();
    for place in [1, 2, 0] {
        assert_eq!(clients[place].get("/health").status, 200);
    }
    assert_eq!(Client::connect(proxy.address).get("/health").status, 200);
    assert!(clients[0].is_closed(), "it became idle last");
    assert_eq!(clients[1].get("/health").status, 200);
    assert_eq!(clients[2].get("/health").status, 200);
}

#[cfg(target_os = "linux")]
#[test]
fn without_descriptors_open_connections_are_served_and_room_is_made() {
    let proxy = Setup::new().with_open_files(64).start();
    let mut first = Client::connect(proxy.address);
    assert_eq!(first.get("/file.txt").status, 200);
    // More than there are descriptors for, faster than the silent ones make room.
    let crowd: Vec<Client> = (0..100).map(|_| Client::connect(proxy.address)).collect();
    proxy.line_with("cannot accept connections");
    first.send("GET /file.txt HTTP/1.1\r\nHost: santa\r\n\r\n");
    // Its connection may have been closed before its second request.
    let completed = !first.is_closed();
    drop(crowd);
    eventually("newcomers are served again", || {
        Client::connect(proxy.address).get("/file.txt").status == 200
    });
    assert!(!completed || first.response(false).status == 200);
}

#[test]
fn one_address_cannot_take_all_connections() {
    let proxy = Setup::new().set("PROXY__LIMITS__CONNECTIONS_PER_ADDRESS", "2").start();
    let mut clients = [Client::connect(proxy.address), Client::connect(proxy.address)];
    for client in &mut clients {
        assert_eq!(client.get("/health").status, 200);
    }
    let refused = Client::connect(proxy.address).response(false);
    assert_eq!((refused.status, refused.field("retry-after")), (503, Some("1")));
    drop(clients);
    eventually("there is room again", || {
        Client::connect(proxy.address).get("/health").status == 200
    });
}

#[test]
fn connections_of_a_trusted_proxy_are_not_counted() {
    let proxy = Setup::new()
        .set("PROXY__LIMITS__CONNECTIONS_PER_ADDRESS", "1")
        .set("PROXY__TRUSTED_PROXIES", "127.0.0.0/8")
        .start();
    let mut clients: Vec<Client> = (0..5).map(|_| Client::connect(proxy.address)).collect();
    for client in &mut clients {
        assert_eq!(client.get("/health").status, 200);
    }
}

#[test]
fn a_client_above_the_rate_limit_is_429_with_retry_after() {
    let proxy = Setup::new()
        .set("PROXY__LIMITS__REQUESTS_PER_ADDRESS", "2")
        .set("PROXY__TRUSTED_PROXIES", "127.0.0.0/8")
        .start();
    let mut client = Client::connect(proxy.address);
    let from = |address: &str, path: &str| {
        format!("GET {path} HTTP/1.1\r\nHost: santa\r\nX-Forwarded-For: {address}\r\n\r\n")
    };
    client.send(from("192.0.2.1", "/file.txt").repeat(50));
    let responses: Vec<_> = (0..50).map(|_| client.response(false)).collect();
    assert_eq!(responses[0].status, 200);
    let refused = responses.iter().find(|response| response.status == 429).expect("too many");
    assert_eq!(refused.field("retry-after"), Some("1"));
    assert_eq!(client.request(&from("192.0.2.2", "/file.txt")).status, 200, "another client");
    assert_eq!(client.request(&from("192.0.2.1", "/health")).status, 200);
    for path in ["/healthXYZ", "/health/x", "/healthy", "/health%2f", "/HEALTH"] {
        client.send(from("192.0.2.3", path).repeat(50));
        let refused = (0..50).filter(|_| client.response(false).status == 429).count();
        assert!(refused > 0, "{path} is limited");
    }
    let line = proxy.line_with("rate limited");
    assert!(line.contains("requests_per_address") && line.contains("192.0.2.1"), "{line}");
}

#[test]
fn requests_queue_for_the_backend_and_a_full_queue_is_503() {
    let setup =
        Setup::new().set("PROXY__LIMITS__UPSTREAM_REQUESTS", "1").set("PROXY__LIMITS__QUEUE", "1");
    let backend = Backend::start(&setup.socket());
    backend.script(|received| match received.head.starts_with("GET /api/first") {
        true => Act::HandOver,
        false => Act::Respond(ok("ok")),
    });
    let proxy = setup.start();
    let get = |path: &str| format!("GET {path} HTTP/1.1\r\nHost: santa\r\n\r\n");
    let mut first = Client::connect(proxy.address);
    first.send(get("/api/first"));
    let mut server = backend.handed_over();
    let mut second = Client::connect(proxy.address);
    second.send(get("/api/second"));
    // What is sent next is read next.
    assert_eq!(Client::connect(proxy.address).get("/health").status, 200);
    let mut third = Client::connect(proxy.address);
    let refused = third.request(&get("/api/third"));
    assert_eq!((refused.status, refused.field("retry-after")), (503, Some("1")));
    assert_eq!(third.get("/file.txt").status, 200, "the connection stays usable");
    let last = b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\nConnection: close\r\n\r\nfinished";
    server.write_all(last).expect("write");
    assert_eq!(first.response(false).text(), "finished");
    assert_eq!(second.response(false).text(), "ok");
}

#[test]
fn all_workers_together_queue_no_more_than_the_limit_says() {
    let setup = Setup::new()
        .with_admin()
        .set("PROXY__WORKERS", "3")
        .set("PROXY__LIMITS__UPSTREAM_REQUESTS", "3")
        .set("PROXY__LIMITS__QUEUE", "3")
        // Requests that wait for too long are rejected as well, but not before the test ends.
        .set("PROXY__TIMEOUTS__QUEUE", "60s");
    let backend = Backend::start(&setup.socket());
    backend.always(Act::HandOver);
    let proxy = setup.start();
    let socket = proxy.directory.path().join("backend.sock");
    let upstream = format!("santa_proxy_upstream_active{{address=\"unix:{}\"}}", socket.display());
    let state = || [proxy.metric(&upstream), proxy.metric("santa_proxy_queue_waiting")];
    eventually("a worker has started", || proxy.metrics().contains(&upstream));
    let mut clients = Vec::new();
    // Each worker has to get two requests, and the kernel decides which one gets the next.
    eventually("three requests are with the backend and three wait", || {
        let mut client = Client::connect(proxy.address);
        client.send("GET /api/held HTTP/1.1\r\nHost: santa\r\n\r\n");
        clients.push(client);
        state() == [3, 3]
    });
    for _ in 0..9 {
        let response = Client::connect(proxy.address).get("/api/held");
        assert_eq!(response.status, 503);
    }
    assert_eq!(state(), [3, 3]);
    let rejected = clients.len() as u64 - 6 + 9;
    eventually("all others are rejected", || {
        proxy.metric("santa_proxy_queue_refused_total") == rejected
    });
}

#[test]
fn queued_clients_take_turns_however_many_requests_each_has() {
    let setup = Setup::new()
        .set("PROXY__TRUSTED_PROXIES", "127.0.0.1")
        .set("PROXY__LIMITS__UPSTREAM_REQUESTS", "1");
    let backend = Backend::start(&setup.socket());
    backend.script(|received| match received.head.starts_with("GET /api/first") {
        true => Act::HandOver,
        false => Act::Respond(ok("ok")),
    });
    let proxy = setup.start();
    let send = |path: &str, from: &str| {
        let mut client = Client::connect(proxy.address);
        let from = format!("X-Forwarded-For: {from}\r\n\r\n");
        client.send(format!("GET {path} HTTP/1.1\r\nHost: santa\r\n{from}"));
        // What is sent next is read next.
        assert_eq!(Client::connect(proxy.address).get("/health").status, 200);
        client
    };
    let mut first = send("/api/first", "192.0.2.1");
    let mut server = backend.handed_over();
    let busy = (0..4).map(|number| send(&format!("/api/busy/{number}"), "192.0.2.1"));
    let mut clients: Vec<Client> = busy.collect();
    clients.push(send("/api/quiet", "192.0.2.2"));
    clients.push(send("/api/santa/preflight/1", "192.0.2.3"));
    clients.push(send("/api/santa/preflight/2", "192.0.2.4"));
    let last = b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\nConnection: close\r\n\r\nfinished";
    server.write_all(last).expect("write");
    assert_eq!(first.response(false).text(), "finished");
    for client in &mut clients {
        assert_eq!(client.response(false).status, 200);
    }
    let received = backend.received();
    let paths: Vec<&str> =
        received[1..].iter().map(|r| r.head.split(' ').nth(1).expect("a path")).collect();
    let in_turn = [
        "/api/busy/0",
        "/api/santa/preflight/1",
        "/api/quiet",
        "/api/santa/preflight/2",
        "/api/busy/1",
        "/api/busy/2",
        "/api/busy/3",
    ];
    assert_eq!(paths, in_turn);
}

#[test]
fn no_request_waits_in_the_queue_forever() {
    let setup = Setup::new()
        .set("PROXY__LIMITS__UPSTREAM_REQUESTS", "1")
        .set("PROXY__TIMEOUTS__QUEUE", "100ms");
    let backend = Backend::start(&setup.socket());
    backend.always(Act::HandOver);
    let proxy = setup.start();
    let mut first = Client::connect(proxy.address);
    first.send("GET /api/first HTTP/1.1\r\nHost: santa\r\n\r\n");
    let _server = backend.handed_over();
    assert_eq!(Client::connect(proxy.address).get("/api/second").status, 503);
}

#[test]
fn a_started_response_and_a_tunnel_hold_no_permit() {
    let setup = Setup::new().set("PROXY__LIMITS__UPSTREAM_REQUESTS", "1");
    let backend = Backend::start(&setup.socket());
    backend.script(|received| match received.head.split(' ').nth(1) {
        Some("/api/socket") => Act::Echo,
        Some("/api/stream") => Act::HandOver,
        _ => Act::Respond(ok("ok")),
    });
    let proxy = setup.start();
    let mut tunnel = Client::connect(proxy.address);
    let upgrade = "GET /api/socket HTTP/1.1\r\nHost: santa\r\nConnection: Upgrade\r\n\
        Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
        Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    assert_eq!(tunnel.request(upgrade).status, 101);
    let mut stream = Client::connect(proxy.address);
    stream.send("GET /api/stream HTTP/1.1\r\nHost: santa\r\n\r\n");
    let mut server = backend.handed_over();
    server.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").expect("write");
    assert_eq!(stream.head().status, 200);
    assert_eq!(Client::connect(proxy.address).get("/api/x").text(), "ok");
}

#[test]
fn a_connection_rejected_while_it_sends_gets_a_503() {
    let setup = Setup::new().set("PROXY__LIMITS__CONNECTIONS", "1");
    let backend = Backend::start(&setup.socket());
    backend.always(Act::NoResponse);
    let proxy = setup.start();
    let mut first = Client::connect(proxy.address);
    first.send("POST /api/x HTTP/1.1\r\nHost: santa\r\n\r\n");
    eventually("it is busy", || backend.received().len() == 1);
    for _ in 0..20 {
        let mut client = Client::connect(proxy.address);
        client.send("POST /api/x HTTP/1.1\r\nHost: santa\r\nContent-Length: 30000\r\n\r\n");
        client.send(vec![b'x'; 30_000]);
        assert_eq!(client.response(false).status, 503);
    }
}

#[test]
fn a_413_reaches_a_client_that_is_still_sending() {
    let proxy = Setup::new().set("PROXY__LIMITS__BODY_SIZE", "1KiB").start();
    let mut client = Client::connect(proxy.address);
    client.send("POST /api/x HTTP/1.1\r\nHost: santa\r\nContent-Length: 500000\r\n\r\n");
    client.send(vec![b'x'; 500_000]);
    assert_eq!(client.response(false).status, 413);
}

#[test]
fn heads_arriving_byte_by_byte_are_served() {
    let setup = Setup::new();
    let backend = Backend::start(&setup.socket());
    let proxy = setup.start();
    let mut client = Client::connect(proxy.address);
    let request = "POST /api/x HTTP/1.1\r\nHost: santa\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\nGET /file.txt HTTP/1.1\r\nHost: santa\r\n\r\n";
    for byte in request.as_bytes().chunks(1) {
        client.send(byte);
    }
    assert_eq!(client.response(false).text(), "ok");
    assert_eq!(client.response(false).status, 200);
    assert_eq!(backend.received()[0].body, b"hello");
}

#[test]
fn a_client_that_reads_slowly_but_steadily_gets_everything() {
    let setup = Setup::new().set("PROXY__TIMEOUTS__BODY", "1500ms");
    let content = "0123456789".repeat(1_200_000);
    setup.file("large.txt", &content);
    let proxy = setup.start();
    let mut client = Client::connect(proxy.address);
    client.send("GET /large.txt HTTP/1.1\r\nHost: santa\r\n\r\n");
    let head = client.head();
    assert_eq!(head.status, 200);
    let mut received = Vec::new();
    while received.len() < content.len() {
        // Slower than one time limit in all, never standing still for one.
        std::thread::sleep(std::time::Duration::from_millis(40));
        received.extend(client.take((content.len() - received.len()).min(200_000)));
    }
    assert!(received == content.as_bytes());
}

#[test]
fn a_client_that_stops_reading_is_disconnected() {
    let setup = Setup::new().set("PROXY__TIMEOUTS__BODY", "200ms");
    setup.file("large.txt", &"0123456789".repeat(2_000_000));
    let proxy = setup.start();
    let mut client = Client::connect(proxy.address);
    client.send("GET /large.txt HTTP/1.1\r\nHost: santa\r\n\r\n");
    // The request ends, and is logged, although nothing is read.
    proxy.line_with("/large.txt");
    assert!(client.rest().len() < 20_000_000);
}
