//! The head of a response to a client, and its trailer fields.

use super::{is_hop, is_nominated, push_length, push_line};
use crate::http::bytes::{decimal, push_decimal};
use crate::http::field::{Fields, MOST_FIELDS, Name};
use crate::http::framing::ResponseBody;
use crate::http::response::Response;
use crate::http::version::Version;

/// How the content of a response is delimited toward the client.
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

/// How to delimit the content of `response` toward a client of `version`.
#[must_use]
pub fn delimiter(response: &Response<'_>, version: Version, to_head: bool) -> Delimiter {
    match response.body {
        ResponseBody::None => {
            let length = response.fields.single(Name::ContentLength);
            let announced = to_head || response.status == 304;
            Delimiter::None(length.filter(|_| announced).and_then(decimal))
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

/// Trailer fields that may be passed on: none that frames, routes or authorizes
/// (RFC 9110 §6.5.1).
pub fn push_trailers(out: &mut Vec<u8>, trailer: &[u8]) {
    if trailer.is_empty() {
        return;
    }
    let mut block = trailer.to_vec();
    block.extend_from_slice(b"\r\n");
    let Ok(fields) = Fields::parse(&block, MOST_FIELDS) else { return };
    for (name, text, value) in fields.iter() {
        let late =
            ["set-cookie", "authorization", "content-encoding", "content-type", "cache-control"];
        let forbidden = late.iter().any(|late| text.eq_ignore_ascii_case(late));
        if name == Name::Other && !forbidden {
            push_line(out, text, value);
        }
    }
}
