//! The head of a request to a backend.

use std::net::IpAddr;

use super::{is_hop, is_nominated, push_length, push_line};
use crate::http::bytes::{decimal, list, push_decimal};
use crate::http::client_cert;
use crate::http::field::{Fields, Name};
use crate::http::forwarded::{self, Sender};
use crate::http::framing::RequestBody;
use crate::http::request::Request;
use crate::http::version::Version;

/// What is added to a request on its way to a backend.
#[derive(Debug, Clone, Copy)]
pub struct UpstreamHeaders<'a> {
    /// Who sent it.
    pub sender: Sender,
    /// The client, behind trusted proxies.
    pub client: IpAddr,
    /// Identifier for the logs of both sides.
    pub request_id: &'a str,
    /// `Host` for an HTTP/1.0 request that has none.
    pub fallback_host: &'a str,
    /// Whether a WebSocket upgrade is asked for.
    pub upgrade: bool,
    /// The verified certificate of the connection, as a value of `Client-Cert`.
    pub certificate: Option<&'a [u8]>,
    /// Whether it came over HTTP/2.
    pub multiplexed: bool,
}

fn is_replaced_in_request(name: Name) -> bool {
    matches!(
        name,
        Name::Host
            | Name::Expect
            | Name::Via
            | Name::RequestId
            | Name::Forwarded
            | Name::ForwardedFor
            | Name::ForwardedProto
            | Name::ForwardedHost
            | Name::ForwardedClientCert
            | Name::ClientCert
            | Name::ClientCertChain
            | Name::RealIp
    )
}

/// Only a trusted proxy may set these.
fn needs_trust(name: Name) -> bool {
    matches!(
        name,
        Name::ForwardedPort | Name::ForwardedServer | Name::ForwardedPrefix | Name::ForwardedSsl
    )
}

/// Fields by which other proxies describe the client, and fields used in attacks (`Proxy`,
/// which CGI passes on as `HTTP_PROXY`; paths that some frameworks prefer to the real one).
const SPOOFABLE: [&str; 20] = [
    "cf-connecting-ip",
    "forwarded-for",
    "front-end-https",
    "proxy",
    "remote-user",
    "ssl-client-cert",
    "ssl-client-s-dn",
    "ssl-client-verify",
    "true-client-ip",
    "x-client-cert",
    "x-client-dn",
    "x-client-ip",
    "x-client-verify",
    "x-cluster-client-ip",
    "x-original-url",
    "x-remote-user",
    "x-rewrite-url",
    "x-ssl-client-cert",
    "x-ssl-client-s-dn",
    "x-ssl-client-verify",
];

/// `X-Forwarded-User`, `X-Forwarded-Scheme` and other fields set by proxies.
fn is_of_a_proxy(name: Name, text: &str) -> bool {
    const START: &str = "x-forwarded";
    name == Name::Other
        && (text.get(..START.len()).is_some_and(|start| start.eq_ignore_ascii_case(START))
            && matches!(text.as_bytes().get(START.len()), None | Some(b'-'))
            || SPOOFABLE.iter().any(|claim| text.eq_ignore_ascii_case(claim)))
}

/// A field that backends which turn names into variables (CGI, WSGI) would take for one
/// that clients must not set: `X_Forwarded_For`, `Content_Length`.
fn is_underscore_alias(name: Name, text: &str) -> bool {
    name == Name::Other && text.contains('_') && {
        let text = text.replace('_', "-");
        let meant = Name::of(&text);
        is_hop(meant)
            || is_replaced_in_request(meant)
            || needs_trust(meant)
            || is_of_a_proxy(meant, &text)
    }
}

/// Appends the request head for a backend.
pub fn request_head(
    out: &mut Vec<u8>,
    request: &Request<'_>,
    upstream_headers: &UpstreamHeaders<'_>,
) {
    out.extend_from_slice(request.method.as_bytes());
    out.push(b' ');
    out.extend_from_slice(request.target.path);
    if let Some(query) = request.target.query {
        out.push(b'?');
        out.extend_from_slice(query);
    }
    out.extend_from_slice(b" HTTP/1.1\r\n");
    push_line(out, "Host", request.host.unwrap_or(upstream_headers.fallback_host.as_bytes()));
    let fields = &request.fields;
    let nominates = fields.first(Name::Connection).is_some();
    for (name, text, value) in fields.iter() {
        let dropped = is_hop(name)
            || is_replaced_in_request(name)
            || (name == Name::MaxForwards && counts_hops(request))
            || (!upstream_headers.sender.trusted
                && (needs_trust(name) || is_of_a_proxy(name, text)))
            || is_underscore_alias(name, text)
            || (nominates && is_nominated(fields, text));
        if !dropped {
            push_line(out, text, value);
        }
    }
    forwarded::push_lines(out, request, &upstream_headers.sender, upstream_headers.client);
    client_cert::push_lines(
        out,
        request,
        upstream_headers.sender.trusted,
        upstream_headers.certificate,
    );
    push_line(out, "X-Request-Id", upstream_headers.request_id.as_bytes());
    push_via(out, request, upstream_headers.multiplexed);
    push_hops(out, request);
    push_request_framing(out, request, upstream_headers);
}

/// `Via` (RFC 9110 §7.6.3): what came before, and this hop.
fn push_via(out: &mut Vec<u8>, request: &Request<'_>, multiplexed: bool) {
    out.extend_from_slice(b"Via: ");
    for value in request.fields.all(Name::Via).filter(|value| !value.is_empty()) {
        out.extend_from_slice(value);
        out.extend_from_slice(b", ");
    }
    out.extend_from_slice(match request.version {
        _ if multiplexed => b"2.0 santa-proxy\r\n",
        Version::Http10 => b"1.0 santa-proxy\r\n",
        Version::Http11 => b"1.1 santa-proxy\r\n",
    });
}

/// `Max-Forwards` means something for TRACE, which ends here, and OPTIONS only
/// (RFC 9110 §7.6.2); with any other method it is passed on as it is.
fn counts_hops(request: &Request<'_>) -> bool {
    request.method == "OPTIONS"
}

/// `Max-Forwards` reduced by one; the layer above has responded if it was zero.
fn push_hops(out: &mut Vec<u8>, request: &Request<'_>) {
    let hops = request.fields.single(Name::MaxForwards).and_then(decimal);
    if let Some(hops) = hops.filter(|_| counts_hops(request)) {
        out.extend_from_slice(b"Max-Forwards: ");
        push_decimal(out, hops.saturating_sub(1));
        out.extend_from_slice(b"\r\n");
    }
}

fn push_request_framing(
    out: &mut Vec<u8>,
    request: &Request<'_>,
    upstream_headers: &UpstreamHeaders<'_>,
) {
    if request.expects_continue && request.body != RequestBody::None {
        out.extend_from_slice(b"Expect: 100-continue\r\n");
    }
    match request.body {
        RequestBody::Length(length) => push_length(out, length),
        RequestBody::Chunked => out.extend_from_slice(b"Transfer-Encoding: chunked\r\n"),
        // Methods that normally carry content declare an empty one.
        RequestBody::None if matches!(request.method, "POST" | "PUT" | "PATCH") => {
            push_length(out, 0);
        }
        RequestBody::None => {}
    }
    if upstream_headers.upgrade {
        out.extend_from_slice(b"Connection: Upgrade\r\nUpgrade: websocket\r\n");
    }
    out.extend_from_slice(b"\r\n");
}

/// Whether the client is prepared for trailer fields (`TE: trailers`).
#[must_use]
pub fn wants_trailers(fields: &Fields<'_>) -> bool {
    fields.all(Name::Te).flat_map(list).any(|coding| coding.eq_ignore_ascii_case(b"trailers"))
}
