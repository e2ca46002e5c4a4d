//! The proxy decides once which address a request came from and passes it to the backend
//! in one field that no client can set.

use crate::support::backend::Backend;
use crate::support::client::Client;
use crate::support::proxy::{Proxy, Setup};

fn start(trusted: &str) -> (Proxy, Backend) {
    let setup = Setup::new().variable("SANTA__PROXY__TRUSTED_PROXIES", trusted);
    let backend = Backend::start(&setup.socket());
    (setup.start(), backend)
}

/// Sends a request with these fields; returns the client address that the backend receives
/// and the one in the log.
fn client_of(proxy: &Proxy, backend: &Backend, path: &str, fields: &str) -> (String, String) {
    backend.take_bytes();
    let response = Client::connect(proxy.address)
        .request(&format!("GET {path} HTTP/1.1\r\nHost: santa\r\n{fields}\r\n"));
    assert_eq!(response.status, 200);
    let head = backend.received().pop().expect("a request").head;
    let forwarded: Vec<&str> = head
        .lines()
        .filter_map(|line| line.split_once(": "))
        .filter(|(name, _)| name.eq_ignore_ascii_case("x-real-ip"))
        .map(|(_, address)| address)
        .collect();
    assert_eq!(forwarded.len(), 1, "{head}");
    let line = proxy.line_with(&format!("\"path\":\"{path}\""));
    (forwarded[0].to_owned(), crate::support::proxy::field(&line, "remote"))
}

#[test]
fn proxies_may_write_addresses_as_they_like() {
    let (proxy, backend) = start("127.0.0.1");
    let cases = [
        ("198.51.100.7", "198.51.100.7"),
        ("198.51.100.7:51008", "198.51.100.7"),
        ("[2001:db8::7]:443", "2001:db8::7"),
        ("[2001:db8::7]", "2001:db8::7"),
        ("2001:DB8::7", "2001:db8::7"),
        ("\"[2001:db8::7]:443\"", "2001:db8::7"),
        ("::ffff:198.51.100.7", "198.51.100.7"),
        ("203.0.113.1, 198.51.100.7:80, 127.0.0.1:9", "198.51.100.7"),
        ("unknown", "127.0.0.1"),
    ];
    for (number, (text, client)) in cases.into_iter().enumerate() {
        let fields = format!("X-Forwarded-For: {text}\r\nX-Real-IP: 192.0.2.66\r\n");
        let forwarded = client_of(&proxy, &backend, &format!("/api/{number}"), &fields);
        assert_eq!(forwarded, (client.to_owned(), client.to_owned()), "{text}");
    }
}

#[test]
fn untrusted_clients_cannot_choose_their_address() {
    let (proxy, backend) = start("192.0.2.0/24");
    for (number, fields) in [
        "X-Forwarded-For: 198.51.100.7\r\n",
        "X-Real-IP: 198.51.100.7\r\n",
        "x_real_ip: 198.51.100.7\r\n",
        "X-Real-IP: 198.51.100.7\r\nConnection: X-Real-IP\r\n",
        "Forwarded: for=198.51.100.7\r\nTrue-Client-IP: 198.51.100.7\r\n",
    ]
    .into_iter()
    .enumerate()
    {
        let forwarded = client_of(&proxy, &backend, &format!("/api/{number}"), fields);
        assert_eq!(forwarded, ("127.0.0.1".to_owned(), "127.0.0.1".to_owned()), "{fields}");
        assert!(!backend.received()[0].head.contains("198.51.100.7"), "{fields}");
    }
}

#[test]
fn trusted_networks_are_separated_by_blanks_or_commas_or_both() {
    for trusted in [
        "10.0.0.0/8 127.0.0.0/8",
        "10.0.0.0/8,127.0.0.0/8",
        " 10.0.0.0/8 ,  127.0.0.0/8 , ",
        "10.0.0.0/8\n127.0.0.0/8\n",
        "10.0.0.0/8\t127.0.0.1,fd00::/8",
    ] {
        let (proxy, backend) = start(trusted);
        let (forwarded, _) =
            client_of(&proxy, &backend, "/api/x", "X-Forwarded-For: 198.51.100.7, 10.1.2.3\r\n");
        assert_eq!(forwarded, "198.51.100.7", "{trusted:?}");
    }
}

#[test]
fn only_a_trusted_proxy_may_show_the_certificate_of_its_client() {
    let shown = "Client-Cert: :TUFD:\r\nCLIENT-CERT-CHAIN: :QUJD:, :REVG:\r\n\
        X-Forwarded-Client-Cert: x\r\nClient_Cert: :x:\r\n";
    let certificates = |trusted: &str, fields: &str| {
        let (proxy, backend) = start(trusted);
        client_of(&proxy, &backend, "/api/x", fields);
        let head = backend.received().pop().expect("a request").head.to_ascii_lowercase();
        let of_certificates = |line: &&str| line.replace('_', "-").contains("client-cert");
        head.lines().filter(of_certificates).map(str::to_owned).collect::<Vec<_>>()
    };
    let passed_on = ["client-cert: :tufd:", "client-cert-chain: :qujd:, :revg:"];
    assert_eq!(certificates("127.0.0.1", shown), passed_on);
    assert_eq!(certificates("192.0.2.0/24", shown), [""; 0]);
    assert_eq!(certificates("", shown), [""; 0]);
    let twice = "Client-Cert: :TUFD:\r\nClient-Cert: :TUFE:\r\n";
    assert_eq!(certificates("127.0.0.1", twice), [""; 0]);
    let nonsense = "X-Forwarded-For: 192.0.2.1\r\nClient-Cert: subject=mac\r\n";
    assert_eq!(certificates("127.0.0.1", nonsense), [""; 0]);
}
