//! TLS on a listener of its own.

use std::io::{Read, Write};
use std::net::SocketAddr;

use rustix::process::Signal;

use crate::support::backend::{Act, Backend};
use crate::support::client::Client;
use crate::support::eventually;
use crate::support::proxy::{Proxy, Setup, field};
use crate::support::tls::{Authority, Secure};

/// A proxy with a certificate of `authority` on a second listener.
pub(crate) fn with_tls(setup: Setup, authority: &Authority) -> Setup {
    let (certificate, key) = authority.certify("santa.test").write(setup.directory.path());
    setup
        .section("socket.https", "listen = \"127.0.0.1:0\"")
        .set("PROXY__TLS__SOCKET", "https")
        .set("PROXY__TLS__CERTIFICATE", &certificate.display().to_string())
        .set("PROXY__TLS__KEY", &key.display().to_string())
}

/// The address of its TLS listener.
pub(crate) fn tls_address(proxy: &Proxy) -> SocketAddr {
    field(&proxy.lines()[0], "tls_address").parse().expect("an address")
}

fn with_authorities(setup: Setup, authority: &Authority, wanted: &str) -> Setup {
    let path = setup.directory.path().join("authorities.pem");
    std::fs::write(&path, authority.pem()).expect("file");
    setup
        .set("PROXY__TLS__CLIENT_AUTHORITIES", &path.display().to_string())
        .set("PROXY__TLS__CLIENT_CERTIFICATE", wanted)
}

#[test]
fn files_and_backend_are_served_over_tls_with_hsts() {
    let authority = Authority::new();
    let setup = with_tls(Setup::new(), &authority);
    let backend = Backend::start(&setup.socket());
    setup.file("large.bin", &"0123456789".repeat(300_000));
    let proxy = setup.start();
    let mut client = Secure::connect(tls_address(&proxy), &authority, None).expect("handshake");
    assert_eq!(client.protocol(), Some(&b"http/1.1"[..]));
    let (head, content) = client.get("/file.txt").expect("response");
    assert_eq!(content, b"0123456789abcdefghijklmnopqrstuvwxyz");
    assert!(head.contains("strict-transport-security: max-age=31536000\r\n"), "{head}");
    let (_, content) = client.get("/large.bin").expect("response");
    assert!(content == "0123456789".repeat(300_000).as_bytes());
    let (head, content) = client.get("/api/x").expect("response");
    assert!(head.contains("strict-transport-security: "), "{head}");
    assert_eq!(content, b"ok");
    assert!(backend.received()[0].head.contains("X-Forwarded-Proto: https\r\n"));
    let plain = Client::connect(proxy.address).get("/file.txt");
    assert_eq!(plain.field("strict-transport-security"), None);
}

#[test]
fn a_websocket_passes_through_tls() {
    let authority = Authority::new();
    let setup = with_tls(Setup::new(), &authority);
    let backend = Backend::start(&setup.socket());
    backend.always(Act::Echo);
    let proxy = setup.start();
    let mut client = Secure::connect(tls_address(&proxy), &authority, None).expect("handshake");
    let stream = client.stream();
    let handshake = "GET /api/v1/live HTTP/1.1\r\nHost: santa.test\r\nConnection: Upgrade\r\n\
        Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
        Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    stream.write_all(handshake.as_bytes()).expect("write");
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).expect("head");
        head.push(byte[0]);
    }
    assert!(head.starts_with(b"HTTP/1.1 101 "));
    for size in [1, 1000, 200_000] {
        let message = vec![b'x'; size];
        let mut echo = vec![0; size];
        for (sent, back) in message.chunks(30_000).zip(echo.chunks_mut(30_000)) {
            stream.write_all(sent).expect("write");
            stream.read_exact(back).expect("echo");
        }
        assert!(echo == message);
    }
}

#[test]
fn a_new_certificate_is_used_without_dropping_a_connection() {
    let authority = Authority::new();
    let proxy = with_tls(Setup::new().set("PROXY__WATCH", "50ms"), &authority).start();
    let address = tls_address(&proxy);
    let mut old = Secure::connect(address, &authority, None).expect("handshake");
    let first = old.certificate();
    authority.certify("santa.test").write(proxy.directory.path());
    eventually("the new certificate is shown", || {
        Secure::connect(address, &authority, None).expect("handshake").certificate() != first
    });
    assert!(old.get("/file.txt").is_ok(), "the old connection goes on");
}

#[test]
fn a_bad_certificate_changes_nothing() {
    let authority = Authority::new();
    let proxy = with_tls(Setup::new(), &authority).start();
    std::fs::write(proxy.directory.path().join("key.pem"), "nonsense").expect("file");
    proxy.signal(Signal::HUP);
    assert!(proxy.line_with("reload failed").contains("proxy.tls.key"));
    let mut client = Secure::connect(tls_address(&proxy), &authority, None).expect("handshake");
    assert!(client.get("/file.txt").is_ok());
}

#[test]
fn client_certificates_reach_the_backend_and_cannot_be_forged() {
    let (authority, unknown_authority) = (Authority::new(), Authority::new());
    let setup = with_authorities(with_tls(Setup::new(), &authority), &authority, "optional");
    let backend = Backend::start(&setup.socket());
    let proxy = setup.start();
    let address = tls_address(&proxy);
    let forged = "GET /api/x HTTP/1.1\r\nHost: santa.test\r\nClient-Cert: :Zm9v:\r\n\
        cLIENT-cert-chain: :Zm9v:\r\nX-Forwarded-Client-Cert: x\r\n\r\n";

    let own = authority.certify("mac-1");
    let mut known = Secure::connect(address, &authority, Some(&own)).expect("handshake");
    known.request(forged).expect("response");
    let head = backend.received()[0].head.to_ascii_lowercase();
    assert_eq!(head.matches("client-cert").count(), 1, "{head}");
    let value = head.split_once("client-cert: :").expect("the certificate").1;
    let length = value.find(":\r\n").expect("its end");
    assert_eq!(length, own.der().len().div_ceil(3) * 4);

    Secure::connect(address, &authority, None)
        .expect("handshake")
        .request(forged)
        .expect("response");
    Client::connect(proxy.address).request(forged);
    for received in &backend.received()[1..] {
        assert!(!received.head.to_ascii_lowercase().contains("client-cert"), "{}", received.head);
    }
    let foreign = unknown_authority.certify("mac-1");
    let refused = Secure::connect(address, &authority, Some(&foreign))
        .and_then(|mut client| client.get("/file.txt"));
    assert!(refused.is_err(), "of an authority that is not ours");
}

#[test]
fn a_required_client_certificate_is_required() {
    let authority = Authority::new();
    let setup = with_authorities(with_tls(Setup::new(), &authority), &authority, "required");
    let proxy = setup.start();
    let address = tls_address(&proxy);
    let without =
        Secure::connect(address, &authority, None).and_then(|mut client| client.get("/file.txt"));
    assert!(without.is_err());
    let own = authority.certify("mac-1");
    let mut with = Secure::connect(address, &authority, Some(&own)).expect("handshake");
    assert!(with.get("/file.txt").is_ok());
}

#[test]
fn a_drain_sends_close_notify_on_tls_connections() {
    let authority = Authority::new();
    let mut proxy = with_tls(Setup::new(), &authority).start();
    let mut client = Secure::connect(tls_address(&proxy), &authority, None).expect("handshake");
    client.get("/file.txt").expect("response");
    proxy.signal(Signal::TERM);
    assert!(client.ends_properly());
    assert!(proxy.end().success());
}

#[test]
fn a_slow_or_invalid_handshake_is_closed() {
    let authority = Authority::new();
    let proxy = with_tls(Setup::new().set("PROXY__TIMEOUTS__HEAD", "100ms"), &authority).start();
    let address = tls_address(&proxy);
    assert!(Client::connect(address).rest().is_empty());
    let mut plain = Client::connect(address);
    plain.send("GET /file.txt HTTP/1.1\r\nHost: santa\r\n\r\n");
    assert!(!plain.rest().starts_with(b"HTTP"));
}
