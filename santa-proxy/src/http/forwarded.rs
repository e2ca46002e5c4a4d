//! Who the client is and the fields that describe it to the backend: `X-Forwarded-*`
//! and `Forwarded` (RFC 7239). These fields of a request count only when the sender is a
//! trusted proxy. Pure.

use std::net::IpAddr;

use super::bytes::{is_token, list};
use super::field::{Fields, Name};
use super::request::Request;

/// The sender of a request as this proxy sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sender {
    /// Address of the peer.
    pub peer: IpAddr,
    /// Whether the peer is a trusted proxy.
    pub trusted: bool,
    /// `http` or `https`, as received here.
    pub scheme: &'static str,
}

/// The client behind trusted proxies: the last address of `X-Forwarded-For`
/// that is not itself trusted, else the peer.
#[must_use]
pub fn client(fields: &Fields<'_>, sender: &Sender, trusted: impl Fn(IpAddr) -> bool) -> IpAddr {
    if !sender.trusted {
        return sender.peer;
    }
    let chain: Vec<&[u8]> = fields.all(Name::ForwardedFor).flat_map(list).collect();
    let mut client = sender.peer;
    for element in chain.into_iter().rev() {
        let Some(address) = address(element) else { break };
        client = address;
        if !trusted(address) {
            break;
        }
    }
    client
}

/// An address, perhaps with a port, as proxies write it: `192.0.2.1`, `192.0.2.1:80`,
/// `::1`, `[::1]`, `[::1]:80`, quoted, with a zone (`fe80::1%eth0`).
fn address(text: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(text).ok()?.trim_matches('"');
    let host = match text.strip_prefix('[') {
        Some(rest) => {
            let (host, port) = rest.split_once(']')?;
            is_port(port).then_some(host)?
        }
        // IPv6 without brackets has no port.
        None => match text.split_once(':') {
            Some((host, port)) if !port.contains(':') => port.parse::<u16>().ok().map(|_| host)?,
            _ => text,
        },
    };
    let host = host.split('%').next().unwrap_or_default();
    host.parse::<IpAddr>().ok().map(|address| address.to_canonical())
}

/// Nothing, or a colon and a port.
fn is_port(text: &str) -> bool {
    text.is_empty() || text.strip_prefix(':').is_some_and(|port| port.parse::<u16>().is_ok())
}

/// Appends the fields that describe the client to the backend. The backend relies on
/// `X-Real-IP`: always `client`, regardless of the request.
pub fn push_lines(out: &mut Vec<u8>, request: &Request<'_>, sender: &Sender, client: IpAddr) {
    out.extend_from_slice(b"X-Real-IP: ");
    let real = out.len();
    push_address(out, client);
    let real = real..out.len();
    // With two lines, it is unknown which one the next reader takes.
    let trusted_field = |name| request.fields.single(name).filter(|_| sender.trusted);
    out.extend_from_slice(b"\r\nX-Forwarded-For: ");
    if sender.trusted {
        for value in request.fields.all(Name::ForwardedFor).filter(|value| !value.is_empty()) {
            out.extend_from_slice(value);
            out.extend_from_slice(b", ");
        }
    }
    if client == sender.peer {
        out.extend_from_within(real);
    } else {
        push_address(out, sender.peer);
    }
    out.extend_from_slice(b"\r\nX-Forwarded-Proto: ");
    let scheme = trusted_field(Name::ForwardedProto).filter(|scheme| is_token(scheme));
    out.extend_from_slice(scheme.unwrap_or(sender.scheme.as_bytes()));
    let host = trusted_field(Name::ForwardedHost).filter(|host| super::host::is_valid(host));
    if let Some(host) = host.or(request.host) {
        out.extend_from_slice(b"\r\nX-Forwarded-Host: ");
        out.extend_from_slice(host);
    }
    out.extend_from_slice(b"\r\n");
    if sender.trusted && chain(request).next().is_some() {
        push_forwarded(out, request, sender);
    }
}

/// The lines of the `Forwarded` chain so far.
fn chain<'r>(request: &'r Request<'_>) -> impl Iterator<Item = &'r [u8]> {
    request.fields.all(Name::Forwarded).filter(|value| !value.is_empty())
}

/// Continues a `Forwarded` chain that a trusted proxy began.
fn push_forwarded(out: &mut Vec<u8>, request: &Request<'_>, sender: &Sender) {
    out.extend_from_slice(b"Forwarded: ");
    for value in chain(request) {
        out.extend_from_slice(value);
        out.extend_from_slice(b", ");
    }
    out.extend_from_slice(b"for=");
    match sender.peer {
        IpAddr::V4(_) => push_address(out, sender.peer),
        IpAddr::V6(_) => {
            out.extend_from_slice(b"\"[");
            push_address(out, sender.peer);
            out.extend_from_slice(b"]\"");
        }
    }
    if let Some(host) = request.host {
        out.extend_from_slice(b";host=\"");
        out.extend_from_slice(host);
        out.push(b'"');
    }
    out.extend_from_slice(b";proto=");
    out.extend_from_slice(sender.scheme.as_bytes());
    out.extend_from_slice(b"\r\n");
}

/// Appends an address in its canonical text.
pub fn push_address(out: &mut Vec<u8>, address: IpAddr) {
    use std::io::Write;
    match address {
        // By far the most, and the formatting machinery costs ten times as much.
        IpAddr::V4(address) => {
            for (place, octet) in address.octets().into_iter().enumerate() {
                if place > 0 {
                    out.push(b'.');
                }
                push_octet(out, octet);
            }
        }
        // Writing to a vector cannot fail.
        IpAddr::V6(address) => drop(write!(out, "{address}")),
    }
}

/// `push_decimal` for at most three digits: addresses are written several times a request.
fn push_octet(out: &mut Vec<u8>, octet: u8) {
    let digits = [b'0' + octet / 100, b'0' + octet / 10 % 10, b'0' + octet % 10];
    let zeros = usize::from(octet < 100) + usize::from(octet < 10);
    out.extend_from_slice(&digits[zeros..]);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client_of(chain: &str, trusted: bool) -> String {
        let block = format!("{chain}\r\n");
        let fields = Fields::parse(block.as_bytes(), 100).expect("syntax is fine");
        let sender = Sender { peer: "10.0.0.9".parse().expect("address"), trusted, scheme: "http" };
        let inside = |address: IpAddr| address.to_string().starts_with("10.");
        client(&fields, &sender, inside).to_string()
    }

    #[test]
    fn addresses_are_written_as_the_standard_library_writes_them() {
        for text in
            ["0.0.0.0", "10.0.200.9", "1.99.100.255", "255.255.255.255", "::1", "2001:db8::a:0:1"]
        {
            let mut out = Vec::new();
            push_address(&mut out, text.parse().expect("address"));
            assert_eq!(out, text.as_bytes());
        }
    }

    #[test]
    fn the_client_is_the_last_address_that_is_not_trusted() {
        let chain = "X-Forwarded-For: 1.1.1.1, 2.2.2.2\r\nX-Forwarded-For: 10.0.0.1\r\n";
        assert_eq!(client_of(chain, true), "2.2.2.2");
        assert_eq!(client_of(chain, false), "10.0.0.9");
        assert_eq!(client_of("", true), "10.0.0.9");
        assert_eq!(client_of("X-Forwarded-For: nonsense, 10.0.0.1\r\n", true), "10.0.0.1");
    }

    #[test]
    fn addresses_are_understood_as_proxies_write_them() {
        let cases = [
            ("1.2.3.4:51008", "1.2.3.4"),
            ("[2001:db8::1]:80", "2001:db8::1"),
            ("[2001:db8::1]", "2001:db8::1"),
            ("2001:db8::1", "2001:db8::1"),
            ("::ffff:192.0.2.1", "192.0.2.1"),
            ("[::ffff:192.0.2.1]:443", "192.0.2.1"),
            ("\"[2001:db8::1]:80\"", "2001:db8::1"),
            ("fe80::1%eth0", "fe80::1"),
            ("[fe80::1%25en0]:9", "fe80::1"),
            // With an unreadable entry, the peer is the client.
            ("1.2.3.4:", "10.0.0.9"),
            ("1.2.3.4:99999", "10.0.0.9"),
            ("[2001:db8::1]x", "10.0.0.9"),
            ("[2001:db8::1", "10.0.0.9"),
            ("unknown", "10.0.0.9"),
            ("_hidden", "10.0.0.9"),
        ];
        for (text, client) in cases {
            assert_eq!(client_of(&format!("X-Forwarded-For: {text}\r\n"), true), client, "{text}");
        }
    }
}
