//! Slow or greedy clients, and too many of them.

use crate::support::backend::Backend;
use crate::support::client::Client;
use crate::support::eventually;
use crate::support::proxy::Setup;

#[test]
fn a_head_that_takes_too_long_is_408() {
    let proxy = Setup::new().set("PROXY__TIMEOUTS__HEAD", "100ms").start();
    let mut client = Client::connect(proxy.address);
    client.send("GET / HTTP/1.1\r\nHos");
    assert_eq!(client.answer(false).status, 408);
    assert!(client.is_closed());
}

#[test]
fn content_that_takes_too_long_is_408() {
    let setup = Setup::new().set("PROXY__TIMEOUTS__BODY", "100ms");
    let _backend = Backend::start(&setup.socket());
    let proxy = setup.start();
    let mut client = Client::connect(proxy.address);
    client.send("POST /api/x HTTP/1.1\r\nHost: santa\r\nContent-Length: 5\r\n\r\nhe");
    assert_eq!(client.answer(false).status, 408);
    assert!(client.is_closed());
}

#[test]
fn idle_connections_are_closed_without_a_word() {
    let proxy = Setup::new().set("PROXY__TIMEOUTS__IDLE", "100ms").start();
    let mut fresh = Client::connect(proxy.address);
    assert!(fresh.is_closed());
    let mut used = Client::connect(proxy.address);
    assert_eq!(used.get("/file.txt").status, 200);
    assert!(used.is_closed());
}

#[test]
fn connections_above_the_limit_are_told_503() {
    let proxy = Setup::new().set("PROXY__LIMITS__CONNECTIONS", "2").start();
    let mut first = Client::connect(proxy.address);
    let mut second = Client::connect(proxy.address);
    assert_eq!((first.get("/health").status, second.get("/health").status), (200, 200));
    let mut third = Client::connect(proxy.address);
    assert_eq!(third.answer(false).status, 503);
    drop(first);
    eventually("there is room again", || {
        let mut client = Client::connect(proxy.address);
        client.get("/health").status == 200
    });
}

#[test]
fn a_refusal_reaches_a_client_that_sends_on() {
    let proxy = Setup::new().set("PROXY__LIMITS__BODY_SIZE", "1KiB").start();
    let mut client = Client::connect(proxy.address);
    client.send("POST /api/x HTTP/1.1\r\nHost: santa\r\nContent-Length: 500000\r\n\r\n");
    client.send(vec![b'x'; 500_000]);
    assert_eq!(client.answer(false).status, 413);
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
    assert_eq!(client.answer(false).text(), "ok");
    assert_eq!(client.answer(false).status, 200);
    assert_eq!(backend.received()[0].body, b"hello");
}

#[test]
fn a_client_that_reads_slowly_but_steadily_gets_everything() {
    let setup = Setup::new().set("PROXY__TIMEOUTS__BODY", "500ms");
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
        std::thread::sleep(std::time::Duration::from_millis(20));
        received.extend(client.take((content.len() - received.len()).min(200_000)));
    }
    assert!(received == content.as_bytes());
}

#[test]
fn a_client_that_stops_reading_is_cut_off() {
    let setup = Setup::new().set("PROXY__TIMEOUTS__BODY", "200ms");
    setup.file("large.txt", &"0123456789".repeat(2_000_000));
    let proxy = setup.start();
    let mut client = Client::connect(proxy.address);
    client.send("GET /large.txt HTTP/1.1\r\nHost: santa\r\n\r\n");
    // The request ends, and is logged, although nothing is read.
    proxy.line_with("/large.txt");
    assert!(client.rest().len() < 20_000_000);
}
