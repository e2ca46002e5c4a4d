//! The heads that are passed on: requests to a backend, its responses to the
//! client. End-to-end fields go through as they are; everything that belongs to
//! one connection is dropped and written again. Pure.

use std::net::IpAddr;

use super::bytes::{list, push_decimal};
use super::client_cert;
use super::field::{Fields, Name};
use super::forwarded::{self, Sender};
use super::framing::{RequestBody, ResponseBody};
use super::request::Request;
use super::response::Response;
use super::version::Version;

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

/// How the content of a response is delimited towards the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delimiter {
    /// No content; a length may still be announced (HEAD, 304).
    None(Option<u64>),
    /// `Content-Length`
    Length(u64),
    /// The chunked coding.
    Chunked,
    /// By closing: HTTP/1.0 clients when the length is not known.
    Close,
    /// The connection becomes a tunnel.
    Upgrade,
}

/// What is added to a response on its way to the client.
#[derive(Debug, Clone, Copy)]
pub struct DownstreamHeaders<'a> {
    /// Delimiting of the content.
    pub delimiter: Delimiter,
    /// Version of the client.
    pub version: Version,
    /// Whether the connection stays open.
    pub keep_alive: bool,
    /// Identifier of the request.
    pub request_id: &'a str,
    /// The time, for a response without `Date`.
    pub date: &'a str,
    /// The `Strict-Transport-Security` line, if the client uses TLS and the backend sent none.
    pub hsts: &'a [u8],
}

/// Fields that every response carries unless the backend decided otherwise.
pub const SECURITY: [(Name, &[u8]); 6] = [
    (Name::ContentTypeOptions, b"X-Content-Type-Options: nosniff\r\n"),
    (Name::ReferrerPolicy, b"Referrer-Policy: same-origin\r\n"),
    (Name::FrameOptions, b"X-Frame-Options: DENY\r\n"),
    (Name::OpenerPolicy, b"Cross-Origin-Opener-Policy: same-origin\r\n"),
    (
        Name::PermissionsPolicy,
        b"Permissions-Policy: camera=(), geolocation=(), microphone=(), payment=(), usb=()\r\n",
    ),
    (Name::ContentSecurityPolicy, b"Content-Security-Policy: frame-ancestors 'none'\r\n"),
];

/// Belongs to one connection, or is written again by this proxy.
fn is_hop(name: Name) -> bool {
    matches!(
        name,
        Name::Connection
            | Name::ContentLength
            | Name::TransferEncoding
            | Name::KeepAlive
            | Name::ProxyConnection
            | Name::ProxyAuthenticate
            | Name::ProxyAuthorization
            | Name::Te
            | Name::Trailer
            | Name::Upgrade
            | Name::Http2Settings
    )
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

/// Whether a `Connection` field names `name` as one that ends here.
fn is_nominated(fields: &Fields<'_>, name: &str) -> bool {
    fields
        .all(Name::Connection)
        .flat_map(list)
        .any(|option| option.eq_ignore_ascii_case(name.as_bytes()))
}

fn push_line(out: &mut Vec<u8>, name: &str, value: &[u8]) {
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
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
    let hops = request.fields.single(Name::MaxForwards).and_then(super::bytes::decimal);
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
        // Methods that carry content by nature say that there is none.
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

fn push_length(out: &mut Vec<u8>, length: u64) {
    out.extend_from_slice(b"Content-Length: ");
    push_decimal(out, length);
    out.extend_from_slice(b"\r\n");
}

/// `HTTP/1.1 200 OK` and its line end.
pub fn push_status_line(out: &mut Vec<u8>, status: u16, reason: &[u8]) {
    out.extend_from_slice(b"HTTP/1.1 ");
    push_decimal(out, u64::from(status));
    out.push(b' ');
    out.extend_from_slice(reason);
    out.extend_from_slice(b"\r\n");
}

fn push_end_to_end(out: &mut Vec<u8>, response: &Response<'_>) {
    let fields = &response.fields;
    let nominates = fields.first(Name::Connection).is_some();
    for (name, text, value) in fields.iter() {
        let dropped = is_hop(name)
            || matches!(name, Name::Server | Name::RequestId)
            || (nominates && is_nominated(fields, text));
        if !dropped {
            push_line(out, text, value);
        }
    }
}

/// Appends the head of an interim (1xx) response other than 101.
pub fn interim_head(out: &mut Vec<u8>, response: &Response<'_>) {
    push_status_line(out, response.status, response.reason);
    push_end_to_end(out, response);
    out.extend_from_slice(b"\r\n");
}

/// Appends the head of a final response, or of 101.
pub fn response_head(
    out: &mut Vec<u8>,
    response: &Response<'_>,
    downstream_headers: &DownstreamHeaders<'_>,
) {
    push_status_line(out, response.status, response.reason);
    push_end_to_end(out, response);
    let fields = &response.fields;
    let nominates = fields.first(Name::Connection).is_some();
    // A line that `Connection` names was not passed on.
    let lacks = |name: Name| {
        !fields.has(name)
            || nominates
                && fields.iter().any(|(found, text, _)| found == name && is_nominated(fields, text))
    };
    if response.status != 101 {
        for (name, line) in SECURITY {
            if lacks(name) {
                out.extend_from_slice(line);
            }
        }
        if lacks(Name::TransportSecurity) {
            out.extend_from_slice(downstream_headers.hsts);
        }
    }
    push_line(out, "X-Request-Id", downstream_headers.request_id.as_bytes());
    if lacks(Name::Date) {
        push_line(out, "Date", downstream_headers.date.as_bytes());
    }
    match downstream_headers.delimiter {
        Delimiter::Length(length) | Delimiter::None(Some(length)) => push_length(out, length),
        Delimiter::Chunked => out.extend_from_slice(b"Transfer-Encoding: chunked\r\n"),
        Delimiter::Upgrade => {
            out.extend_from_slice(b"Connection: Upgrade\r\nUpgrade: websocket\r\n");
        }
        Delimiter::None(None) | Delimiter::Close => {}
    }
    // 426 names the protocol that is required (RFC 9110 §15.5.22).
    let wanted = response.fields.first(Name::Upgrade).filter(|_| response.status == 426);
    if let Some(protocol) = wanted {
        push_line(out, "Upgrade", protocol);
        out.extend_from_slice(b"Connection: Upgrade\r\n");
    }
    push_persistence(
        out,
        downstream_headers.version,
        downstream_headers.keep_alive,
        downstream_headers.delimiter,
    );
    out.extend_from_slice(b"\r\n");
}

/// Says whether the connection stays open where the version does not imply it.
fn push_persistence(out: &mut Vec<u8>, version: Version, keep_alive: bool, delimiter: Delimiter) {
    match (version, keep_alive) {
        _ if delimiter == Delimiter::Upgrade => {}
        (_, false) => out.extend_from_slice(b"Connection: close\r\n"),
        (Version::Http10, true) => out.extend_from_slice(b"Connection: keep-alive\r\n"),
        (Version::Http11, true) => {}
    }
}

/// How to delimit the content of `response` towards a client of `version`.
#[must_use]
pub fn delimiter(response: &Response<'_>, version: Version, to_head: bool) -> Delimiter {
    match response.body {
        ResponseBody::None => {
            let length = response.fields.single(Name::ContentLength);
            let announced = to_head || response.status == 304;
            Delimiter::None(length.filter(|_| announced).and_then(super::bytes::decimal))
        }
        ResponseBody::Length(length) => Delimiter::Length(length),
        ResponseBody::Chunked | ResponseBody::UntilClose if version == Version::Http11 => {
            Delimiter::Chunked
        }
        ResponseBody::Chunked | ResponseBody::UntilClose => Delimiter::Close,
    }
}

/// Whether a 101 agrees to the WebSocket upgrade that was asked for.
#[must_use]
pub fn agrees_to_websocket(response: &Response<'_>) -> bool {
    response.status == 101
        && response.connection.upgrade
        && response
            .fields
            .single(Name::Upgrade)
            .is_some_and(|value| value.eq_ignore_ascii_case(b"websocket"))
}

/// Trailer fields that may be passed on: none that frames, routes or authorises
/// (RFC 9110 §6.5.1).
pub fn push_trailers(out: &mut Vec<u8>, trailer: &[u8]) {
    if trailer.is_empty() {
        return;
    }
    let mut block = trailer.to_vec();
    block.extend_from_slice(b"\r\n");
    let Ok(fields) = Fields::parse(&block, super::field::MOST_FIELDS) else { return };
    for (name, text, value) in fields.iter() {
        let late =
            ["set-cookie", "authorization", "content-encoding", "content-type", "cache-control"];
        let forbidden = late.iter().any(|late| text.eq_ignore_ascii_case(late));
        if name == Name::Other && !forbidden {
            push_line(out, text, value);
        }
    }
}

/// Whether the client is prepared for trailer fields (`TE: trailers`).
#[must_use]
pub fn wants_trailers(fields: &Fields<'_>) -> bool {
    fields.all(Name::Te).flat_map(list).any(|coding| coding.eq_ignore_ascii_case(b"trailers"))
}

#[cfg(test)]
#[path = "rewrite_tests.rs"]
mod tests;
