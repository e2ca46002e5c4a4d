//! Behind a load balancer that uses the PROXY protocol.

use crate::support::backend::Backend;
use crate::support::client::Client;
use crate::support::proxy::Setup;
use crate::support::tls::Authority;

fn behind_balancer(setup: Setup) -> Setup {
    setup.set("PROXY__PROXY_PROTOCOL", "true").set("PROXY__TRUSTED_PROXIES", "127.0.0.0/8")
}

/// A header that names 192.0.2.7 and carries one extension.
fn preface() -> Vec<u8> {
    let mut bytes = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x10".to_vec();
    bytes.extend([192, 0, 2, 7, 10, 0, 0, 1, 0x12, 0x34, 0, 80]);
    bytes.extend([4, 0, 1, 0]);
    bytes
}

const GET: &str = "GET /api/x HTTP/1.1\r\nHost: santa\r\nX-Forwarded-For: 1.1.1.1\r\n\r\n";

#[test]
fn the_client_is_who_the_balancer_names_and_nobody_else() {
    let setup = behind_balancer(Setup::new());
    let backend = Backend::start(&setup.socket());
    let proxy = setup.start();
    let mut client = Client::connect(proxy.address);
    for byte in preface() {
        client.send([byte]);
    }
    for _ in 0..2 {
        assert_eq!(client.request(GET).status, 200);
    }
    for received in backend.received() {
        assert!(received.head.contains("X-Forwarded-For: 192.0.2.7\r\n"), "{}", received.head);
    }
    assert!(proxy.line_with("/api/x").contains("\"remote\":\"192.0.2.7\""));
}

#[test]
fn a_connection_of_the_balancer_without_a_header_is_closed_without_a_response() {
    let proxy = behind_balancer(Setup::new()).start();
    let mut client = Client::connect(proxy.address);
    client.send(GET);
    assert!(client.rest().is_empty());
}

#[test]
fn from_others_the_header_is_no_request() {
    let setup = Setup::new().set("PROXY__PROXY_PROTOCOL", "true");
    let proxy = setup.set("PROXY__TRUSTED_PROXIES", "192.0.2.0/24").start();
    assert_eq!(Client::connect(proxy.address).get("/file.txt").status, 200);
    let mut client = Client::connect(proxy.address);
    client.send(preface());
    assert_eq!(client.response(false).status, 400);
}

#[test]
fn clients_behind_the_balancer_are_counted_separately() {
    let setup = behind_balancer(Setup::new()).set("PROXY__LIMITS__CONNECTIONS_PER_ADDRESS", "1");
    let proxy = setup.start();
    let connect = |last: u8| {
        let mut client = Client::connect(proxy.address);
        let mut bytes = preface();
        bytes[19] = last;
        client.send(bytes);
        client.send("GET /file.txt HTTP/1.1\r\nHost: santa\r\n\r\n");
        client
    };
    let mut first = connect(7);
    assert_eq!(first.response(false).status, 200);
    assert!(connect(7).rest().is_empty(), "one more of the same client");
    assert_eq!(connect(8).response(false).status, 200);
}

#[test]
fn the_header_comes_before_the_tls_handshake() {
    let authority = Authority::new();
    let setup = super::tls::with_tls(behind_balancer(Setup::new()), &authority);
    let backend = Backend::start(&setup.socket());
    let proxy = setup.start();
    let address = super::tls::tls_address(&proxy);
    let mut client = authority.connect_after(address, &preface()).expect("handshake");
    client.request(GET).expect("response");
    let head = &backend.received()[0].head;
    assert!(head.contains("X-Forwarded-For: 192.0.2.7\r\n"), "{head}");
    assert!(head.contains("X-Forwarded-Proto: https\r\n"), "{head}");
}
