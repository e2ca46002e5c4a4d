//! The fields that pass the client's certificate to the backend (RFC 9440): that of the TLS
//! handshake, or the fields of a trusted proxy that terminated TLS. Pure.

use super::bytes::list;
use super::field::Name;
use super::request::Request;

/// Appends `Client-Cert` and `Client-Cert-Chain`. `verified` is the certificate of the
/// connection's own handshake, as a value of `Client-Cert`.
pub fn push_lines(
    out: &mut Vec<u8>,
    request: &Request<'_>,
    trusted: bool,
    verified: Option<&[u8]>,
) {
    let fields = &request.fields;
    if !trusted || !is_forwarded(request) {
        if let Some(certificate) = verified {
            push_line(out, b"Client-Cert: ", certificate);
        }
        return;
    }
    // With two lines, it is unknown which one the next reader takes.
    let Some(certificate) = fields.single(Name::ClientCert).filter(|value| is_binary(value)) else {
        return;
    };
    push_line(out, b"Client-Cert: ", certificate);
    let chain = || fields.all(Name::ClientCertChain);
    if chain().flat_map(list).all(is_binary) {
        chain().for_each(|line| push_line(out, b"Client-Cert-Chain: ", line));
    }
}

/// Whether the trusted sender forwards the request of another client: then a certificate of
/// the connection is its own, and not the client's.
fn is_forwarded(request: &Request<'_>) -> bool {
    [Name::ClientCert, Name::ForwardedFor, Name::Forwarded]
        .into_iter()
        .any(|name| request.fields.first(name).is_some())
}

fn push_line(out: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    out.extend_from_slice(name);
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

/// A byte sequence as structured fields write it: base64 between colons (RFC 8941 §3.3.5).
fn is_binary(value: &[u8]) -> bool {
    match value {
        [b':', base64 @ .., b':'] => {
            let is_digit = |byte: &u8| matches!(byte, b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' | b'+' | b'/' | b'=');
            !base64.is_empty() && base64.iter().all(is_digit)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::request::HeadLimits;
    use crate::http::scan::{Found, Scan};

    fn forwarded(fields: &str, trusted: bool, verified: Option<&[u8]>) -> String {
        let head = format!("GET / HTTP/1.1\r\nHost: santa\r\n{fields}\r\n");
        let limits = HeadLimits { head: 4096, target: 256, fields: 20 };
        let found = Scan::default().advance(head.as_bytes(), &limits.scan_rules());
        let Ok(Found::Head(span)) = found else { panic!("a head") };
        let request = Request::parse(head.as_bytes(), &span, &limits).expect("a request");
        let mut out = Vec::new();
        push_lines(&mut out, &request, trusted, verified);
        String::from_utf8(out).expect("text")
    }

    #[test]
    fn only_a_trusted_proxy_names_its_client() {
        let fields = "X-Forwarded-For: 192.0.2.1\r\nClient-Cert: :QQ==:\r\nClient-Cert-Chain: :QQ==:, :Qg==:\r\n";
        let passed_on = "Client-Cert: :QQ==:\r\nClient-Cert-Chain: :QQ==:, :Qg==:\r\n";
        assert_eq!(forwarded(fields, true, None), passed_on);
        assert_eq!(forwarded(fields, true, Some(b":proxy:")), passed_on);
        assert_eq!(forwarded(fields, false, None), "");
        assert_eq!(forwarded(fields, false, Some(b":own:")), "Client-Cert: :own:\r\n");
    }

    #[test]
    fn the_certificate_of_a_proxy_is_not_taken_for_that_of_its_client() {
        for fields in ["X-Forwarded-For: 192.0.2.1\r\n", "Forwarded: for=192.0.2.1\r\n"] {
            assert_eq!(forwarded(fields, true, Some(b":proxy:")), "", "{fields}");
        }
        // A Mac in the network of the proxies.
        assert_eq!(forwarded("", true, Some(b":own:")), "Client-Cert: :own:\r\n");
    }

    #[test]
    fn what_is_no_certificate_is_dropped() {
        for bad in [
            "Client-Cert: QQ==\r\n",
            "Client-Cert: ::\r\n",
            "Client-Cert: :QQ==\r\n",
            "Client-Cert: :Q Q:\r\n",
            "Client-Cert: :QQ==:;x=1\r\n",
            "Client-Cert: :QQ==:\r\nClient-Cert: :Qg==:\r\n",
            "Client-Cert-Chain: :QQ==:\r\n",
        ] {
            assert_eq!(
                forwarded(&format!("X-Forwarded-For: 192.0.2.1\r\n{bad}"), true, None),
                "",
                "{bad}"
            );
        }
        let bad_chain = "Client-Cert: :QQ==:\r\nClient-Cert-Chain: :Qg==:, nonsense\r\n";
        assert_eq!(forwarded(bad_chain, true, None), "Client-Cert: :QQ==:\r\n");
    }
}
