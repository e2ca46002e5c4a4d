//! Long use leaves nothing after: no descriptor, no memory.
//! `SANTA_LEAK_ROUNDS` makes it as long as one likes.

use std::path::PathBuf;

use crate::support::backend::{Act, Backend, ok};
use crate::support::client::Client;
use crate::support::eventually;
use crate::support::proxy::{Proxy, Setup};

/// Growth of resident memory that is the allocator's business.
const MOST_GROWN: u64 = 3 * 1024 * 1024;

fn process(proxy: &Proxy) -> PathBuf {
    PathBuf::from(format!("/proc/{}", proxy.child.id()))
}

fn descriptors(proxy: &Proxy) -> usize {
    std::fs::read_dir(process(proxy).join("fd")).expect("descriptors").count()
}

/// The number of descriptors once connections that have ended are closed.
fn settled(proxy: &Proxy) -> usize {
    let mut last = 0;
    eventually("descriptors settle", || {
        std::thread::sleep(std::time::Duration::from_millis(50));
        let now = descriptors(proxy);
        std::mem::replace(&mut last, now) == now
    });
    last
}

/// Resident memory in bytes.
fn resident(proxy: &Proxy) -> u64 {
    let status = std::fs::read_to_string(process(proxy).join("status")).expect("status");
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("VmRSS");
    let kib = line.split_whitespace().nth(1).and_then(|word| word.parse::<u64>().ok());
    kib.expect("a number") * 1024
}

/// Everything a connection can come to, orderly and not.
fn round(proxy: &Proxy) {
    let connect = || Client::connect(proxy.address);
    let mut kept = connect();
    for path in ["/file.txt", "/large.bin", "/api/x", "/nothing", "/api/close", "/health"] {
        kept.get(path);
    }
    connect().send("GET /large.bin HTTP/1.1\r\nHost: santa\r\n\r\n");
    connect().send("GET / HTTP/1.1\r\nHos");
    connect().send("POST /api/x HTTP/1.1\r\nHost: santa\r\nContent-Length: 90\r\n\r\nabc");
    let mut bad = connect();
    bad.send("nonsense\r\n\r\n");
    assert_eq!(bad.response(false).status, 400);
    let mut tunnel = connect();
    let upgrade = "GET /api/socket HTTP/1.1\r\nHost: santa\r\nConnection: Upgrade\r\n\
        Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
        Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\nearly";
    assert_eq!(tunnel.request(upgrade).status, 101);
    assert_eq!(tunnel.take(5), b"early");
    let body = "x".repeat(100_000);
    let chunked = format!(
        "POST /api/x HTTP/1.1\r\nHost: santa\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n{body}\r\n0\r\n\r\n",
        body.len()
    );
    assert_eq!(connect().request(&chunked).status, 200);
}

#[test]
fn long_use_leaves_neither_descriptors_nor_memory_behind() {
    let setup = Setup::new().set("PROXY__ACCESS__LOG", "false");
    setup.file("large.bin", &"0123456789".repeat(50_000));
    let backend = Backend::start(&setup.socket());
    backend.script(|received| match received.head.split(' ').nth(1) {
        Some("/api/socket") => Act::Echo,
        Some("/api/close") => Act::Close,
        _ => Act::Respond(ok("ok")),
    });
    let proxy = setup.start();
    let rounds = std::env::var("SANTA_LEAK_ROUNDS").ok().and_then(|text| text.parse().ok());
    let rounds: u32 = rounds.unwrap_or(60);
    // After its first response a worker has opened everything it needs.
    assert_eq!(Client::connect(proxy.address).get("/file.txt").status, 200);
    let at_rest = settled(&proxy);
    for _ in 0..rounds {
        round(&proxy);
    }
    backend.take_bytes();
    // Backend connections are kept for a few seconds.
    eventually("all descriptors are closed", || descriptors(&proxy) <= at_rest);
    let before = resident(&proxy);
    for _ in 0..rounds * 2 {
        round(&proxy);
    }
    eventually("all descriptors are closed", || descriptors(&proxy) <= at_rest);
    let grown = resident(&proxy).saturating_sub(before);
    assert!(grown < MOST_GROWN, "{grown} bytes more after twice the use");
}
