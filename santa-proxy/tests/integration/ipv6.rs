//! One listener for IPv4 and IPv6: whatever a client came by, its address is written and
//! counted as its own.

use std::net::{SocketAddr, TcpListener};

use crate::support::backend::Backend;
use crate::support::client::Client;
use crate::support::proxy::{Setup, field};

fn listening_everywhere() -> Setup {
    Setup::new().set("SOCKET__HTTP__LISTEN", "[::]:0")
}

/// The local addresses of this machine, with a port.
fn local(port: u16) -> Vec<SocketAddr> {
    let mut local = vec![SocketAddr::from(([127, 0, 0, 1], port))];
    if TcpListener::bind("[::1]:0").is_ok() {
        local.push(SocketAddr::from(([0, 0, 0, 0, 0, 0, 0, 1], port)));
    }
    local
}

#[test]
fn a_client_is_known_by_the_address_of_its_own_family() {
    let setup = listening_everywhere();
    let backend = Backend::start(&setup.socket());
    let proxy = setup.start();
    for address in local(proxy.address.port()) {
        let own = address.ip().to_string();
        let path = format!("/api/of/{own}");
        assert_eq!(Client::connect(address).get(&path).status, 200);
        let head = backend.received().pop().expect("a request").head;
        for name in ["X-Real-IP", "X-Forwarded-For"] {
            assert!(head.contains(&format!("\r\n{name}: {own}\r\n")), "{head}");
        }
        assert_eq!(field(&proxy.line_with(&format!("\"{path}\"")), "remote"), own);
        // HTTP/1.0 may leave out the host, and has that of the listener then.
        assert_eq!(Client::connect(address).request("GET /api/1.0 HTTP/1.0\r\n\r\n").status, 200);
        let head = backend.received().pop().expect("a request").head;
        assert!(head.contains(&format!("\r\nHost: {address}\r\n")), "{head}");
    }
}

#[test]
fn networks_of_ipv4_are_trusted_and_counted_on_a_listener_of_both() {
    let setup = listening_everywhere()
        .set("PROXY__TRUSTED_PROXIES", "127.0.0.0/8")
        .set("PROXY__LIMITS__REQUESTS_PER_ADDRESS", "1");
    let backend = Backend::start(&setup.socket());
    let proxy = setup.start();
    let from = |client: &str| {
        let address = ([127, 0, 0, 1], proxy.address.port()).into();
        let head =
            format!("GET /api/x HTTP/1.1\r\nHost: santa\r\nX-Forwarded-For: {client}\r\n\r\n");
        Client::connect(address).request(&head).status
    };
    assert_eq!(from("192.0.2.1"), 200);
    assert!(backend.received()[0].head.contains("X-Real-IP: 192.0.2.1\r\n"));
    // One a second, two at once: IPv4 written as IPv6 is no other client.
    assert_eq!(from("::ffff:192.0.2.1"), 200);
    assert_eq!(from("[::ffff:192.0.2.1]:80"), 429);
    assert_eq!(from("192.0.2.2"), 200);
}

#[test]
fn an_address_of_ipv6_alone_is_a_listener_of_ipv6_alone() {
    if TcpListener::bind("[::1]:0").is_err() {
        let output = Setup::new().set("SOCKET__HTTP__LISTEN", "[::1]:0").command().output();
        assert!(!output.expect("it ends").status.success(), "there is no such address here");
        return;
    }
    let proxy = Setup::new().set("SOCKET__HTTP__LISTEN", "[::1]:0").start();
    assert_eq!(Client::connect(proxy.address).get("/health").status, 200);
    let port = proxy.address.port();
    assert!(std::net::TcpStream::connect(("127.0.0.1", port)).is_err());
}
