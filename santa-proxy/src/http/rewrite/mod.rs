//! The heads that are passed on: requests to a backend, its responses to the client.
//! End-to-end fields are passed on as they are; everything that belongs to one connection is
//! dropped and written again. Pure.

mod request;
mod response;

pub use self::request::{UpstreamHeaders, request_head, wants_trailers};
pub use self::response::{
    Delimiter, DownstreamHeaders, SECURITY, agrees_to_websocket, delimiter, interim_head,
    push_status_line, push_trailers, response_head,
};
use super::bytes::{list, push_decimal};
use super::field::{Fields, Name};

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

fn push_length(out: &mut Vec<u8>, length: u64) {
    out.extend_from_slice(b"Content-Length: ");
    push_decimal(out, length);
    out.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests;
