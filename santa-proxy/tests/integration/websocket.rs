//! An upgraded connection is a transparent tunnel.

use std::io::{Read, Write};

use rustix::process::Signal;

use crate::support::backend::{Act, Backend};
use crate::support::client::Client;
use crate::support::eventually;
use crate::support::proxy::{Proxy, Setup};

const HANDSHAKE: &str = "GET /api/v1/live HTTP/1.1\r\nHost: santa\r\nConnection: Upgrade\r\n\
    Upgrade: websocket\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\
    Sec-WebSocket-Version: 13\r\n\r\n";

const ACCEPTED: &[u8] =
    b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
/// A text frame.
const TEXT: &[u8] = b"\x81\x01x";
/// A client's response to a close frame.
const CLOSE_REPLY: &[u8] = &[0x88, 0x80, 0, 0, 0, 0];

/// The code of the close frame that comes next.
fn close_code(client: &mut Client) -> u16 {
    let head = client.take(4);
    assert_eq!(head[0], 0x88, "a close frame: {head:?}");
    client.take(usize::from(head[1]) - 2);
    u16::from_be_bytes([head[2], head[3]])
}

fn start(setup: Setup) -> (Proxy, Backend) {
    let backend = Backend::start(&setup.socket());
    backend.always(Act::Echo);
    (setup.start(), backend)
}

#[test]
fn bytes_pass_untouched_in_both_directions() {
    let (proxy, backend) = start(Setup::new());
    let mut client = Client::connect(proxy.address);
    client.send(HANDSHAKE);
    let response = client.head();
    assert_eq!(response.status, 101);
    assert_eq!(response.field("upgrade"), Some("websocket"));
    assert_eq!(response.field("connection"), Some("Upgrade"));
    assert!(backend.received()[0].head.contains("Sec-WebSocket-Version: 13\r\n"));
    let bytes: Vec<u8> = (0..200_000u32).map(|number| (number % 251) as u8).collect();
    for piece in bytes.chunks(9_999) {
        client.send(piece);
        assert_eq!(client.take(piece.len()), piece);
    }
}

#[test]
fn more_than_fits_anywhere_is_held_back_and_not_lost() {
    let (proxy, _backend) = start(Setup::new());
    let mut client = Client::connect(proxy.address);
    client.send(HANDSHAKE);
    assert_eq!(client.head().status, 101);
    let bytes: Vec<u8> = (0..8_000_000u32).map(|number| (number % 253) as u8).collect();
    let mut sender = client.stream.try_clone().expect("clone");
    let sent = bytes.clone();
    let sending = std::thread::spawn(move || sender.write_all(&sent).expect("write"));
    assert!(client.take(bytes.len()) == bytes);
    sending.join().expect("sent");
}

#[test]
fn frames_sent_together_with_the_handshake_are_not_lost() {
    let (proxy, _backend) = start(Setup::new());
    let mut client = Client::connect(proxy.address);
    client.send(format!("{HANDSHAKE}early"));
    assert_eq!(client.head().status, 101);
    assert_eq!(client.take(5), b"early");
}

#[test]
fn the_end_of_one_direction_is_passed_on_and_the_other_goes_on() {
    let setup = Setup::new();
    let backend = Backend::start(&setup.socket());
    backend.always(Act::HandOver);
    let proxy = setup.start();
    let mut client = Client::connect(proxy.address);
    client.send(HANDSHAKE);
    let mut server = backend.handed_over();
    server
        .write_all(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nfirst")
        .expect("write");
    assert_eq!(client.head().status, 101);
    assert_eq!(client.take(5), b"first");
    client.send("last message");
    client.end();
    let mut text = String::new();
    server.read_to_string(&mut text).expect("read");
    assert_eq!(text, "last message");
    server.write_all(b"goodbye").expect("write");
    server.shutdown(std::net::Shutdown::Both).expect("close");
    assert_eq!(client.rest(), b"goodbye");
}

#[test]
fn an_idle_tunnel_is_closed() {
    let (proxy, _backend) = start(Setup::new().set("PROXY__TIMEOUTS__TUNNEL_IDLE", "200ms"));
    let mut client = Client::connect(proxy.address);
    client.send(HANDSHAKE);
    assert_eq!(client.head().status, 101);
    assert_eq!(close_code(&mut client), 1001);
    client.send(CLOSE_REPLY);
    assert!(client.is_closed());
    let line = proxy.line_with("/api/v1/live");
    assert!(line.contains("\"status\":101"), "{line}");
}

#[test]
fn a_drain_closes_tunnels_so_that_clients_reconnect() {
    let (mut proxy, _backend) = start(Setup::new());
    let mut client = Client::connect(proxy.address);
    client.send(HANDSHAKE);
    assert_eq!(client.head().status, 101);
    client.send(TEXT);
    assert_eq!(client.take(TEXT.len()), TEXT);
    proxy.signal(Signal::TERM);
    assert_eq!(close_code(&mut client), 1012);
    client.send(CLOSE_REPLY);
    assert!(client.is_closed());
    assert!(proxy.end().success());
}

#[test]
fn a_drain_ends_a_tunnel_between_two_frames_only() {
    let setup = Setup::new();
    let backend = Backend::start(&setup.socket());
    backend.always(Act::HandOver);
    let mut proxy = setup.start();
    let mut client = Client::connect(proxy.address);
    client.send(HANDSHAKE);
    let mut server = backend.handed_over();
    server.write_all(ACCEPTED).expect("write");
    assert_eq!(client.head().status, 101);
    // A frame of 300 bytes of which half is there.
    server.write_all(&[0x82, 126, 1, 44]).expect("write");
    server.write_all(&[0x88; 150]).expect("write");
    client.take(154);
    proxy.signal(Signal::TERM);
    proxy.line_with("stopping");
    server.write_all(&[0x88; 150]).expect("write");
    assert_eq!(client.take(150), [0x88; 150]);
    assert_eq!(close_code(&mut client), 1012);
    client.send(CLOSE_REPLY);
    assert!(client.is_closed());
    assert!(proxy.end().success());
}

#[test]
fn a_backend_that_closes_without_a_close_frame_is_reported_to_the_client() {
    for text in [&b""[..], TEXT] {
        let setup = Setup::new();
        let backend = Backend::start(&setup.socket());
        backend.always(Act::HandOver);
        let proxy = setup.start();
        let mut client = Client::connect(proxy.address);
        client.send(HANDSHAKE);
        let mut server = backend.handed_over();
        server.write_all(ACCEPTED).expect("write");
        server.write_all(text).expect("write");
        assert_eq!(client.head().status, 101);
        assert_eq!(client.take(text.len()), text);
        server.shutdown(std::net::Shutdown::Both).expect("close");
        assert_eq!(close_code(&mut client), 1012);
        client.send(CLOSE_REPLY);
        assert!(client.is_closed());
    }
}

#[test]
fn a_close_of_the_backend_is_passed_on_and_no_other_is_added() {
    let setup = Setup::new();
    let backend = Backend::start(&setup.socket());
    backend.always(Act::HandOver);
    let proxy = setup.start();
    let mut client = Client::connect(proxy.address);
    client.send(HANDSHAKE);
    let mut server = backend.handed_over();
    server.write_all(ACCEPTED).expect("write");
    assert_eq!(client.head().status, 101);
    server.write_all(&[0x88, 2, 0x0f, 0xa1]).expect("write");
    assert_eq!(client.take(4), [0x88, 2, 0x0f, 0xa1]);
    client.send(CLOSE_REPLY);
    let mut reply = [0; 6];
    server.read_exact(&mut reply).expect("the response");
    assert_eq!(reply, CLOSE_REPLY);
    server.shutdown(std::net::Shutdown::Both).expect("close");
    assert_eq!(client.rest(), b"");
}

#[test]
fn a_client_that_does_not_reply_to_a_close_frame_is_not_waited_for() {
    let (mut proxy, _backend) = start(Setup::new());
    let mut client = Client::connect(proxy.address);
    client.send(HANDSHAKE);
    assert_eq!(client.head().status, 101);
    proxy.signal(Signal::TERM);
    assert!(proxy.end().success());
    assert_eq!(close_code(&mut client), 1012);
}

#[test]
fn many_tunnels_stand_side_by_side() {
    let (proxy, backend) = start(Setup::new());
    let mut clients: Vec<Client> = (0..50).map(|_| Client::connect(proxy.address)).collect();
    for client in &mut clients {
        client.send(HANDSHAKE);
    }
    for (number, client) in clients.iter_mut().enumerate() {
        assert_eq!(client.head().status, 101);
        client.send(format!("{number:04}"));
    }
    for (number, client) in clients.iter_mut().enumerate() {
        assert_eq!(client.take(4), format!("{number:04}").as_bytes());
    }
    eventually("all reached the backend", || backend.received().len() == 50);
}
