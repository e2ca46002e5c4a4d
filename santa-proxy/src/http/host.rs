//! The host of a request: the `Host` rules of RFC 9112 §3.2 and the grammar of
//! an authority, so that the backend sees the same host as this proxy.

use super::field::{Fields, Name};
use super::reject::Reject;
use super::version::Version;

/// The host that a request is for: that of an absolute target, else `Host`.
///
/// # Errors
/// 400 when `Host` is missing in HTTP/1.1, repeated, or malformed.
pub fn effective<'b>(
    fields: &Fields<'b>,
    authority: Option<&'b [u8]>,
    version: Version,
) -> Result<Option<&'b [u8]>, Reject> {
    let mut lines = fields.all(Name::Host);
    let host = lines.next();
    if lines.next().is_some() {
        return Err(Reject::bad("more than one Host"));
    }
    match host {
        None if version == Version::Http11 => return Err(Reject::bad("Host is missing")),
        Some(host) if !is_valid(host) => return Err(Reject::bad("malformed Host")),
        _ => {}
    }
    Ok(authority.or(host))
}

/// `uri-host [ ":" port ]` with a host that is not empty.
#[must_use]
pub fn is_valid(authority: &[u8]) -> bool {
    let (host, port) = match authority {
        [b'[', ..] => {
            let Some(end) = authority.iter().position(|byte| *byte == b']') else { return false };
            (&authority[..=end], &authority[end + 1..])
        }
        _ => {
            let end = authority.iter().position(|byte| *byte == b':').unwrap_or(authority.len());
            authority.split_at(end)
        }
    };
    is_host(host) && is_port(port)
}

/// `uri-host ":" port` with a port that can be connected to (RFC 9110 §9.3.6).
#[must_use]
pub fn is_valid_with_port(authority: &[u8]) -> bool {
    let Some(colon) = memchr::memrchr(b':', authority) else { return false };
    is_valid(authority)
        && super::bytes::decimal(&authority[colon + 1..]).is_some_and(|port| port > 0)
}

fn is_host(host: &[u8]) -> bool {
    if let [b'[', address @ .., b']'] = host {
        return std::str::from_utf8(address)
            .is_ok_and(|address| address.parse::<std::net::Ipv6Addr>().is_ok());
    }
    let named =
        |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~');
    !host.is_empty() && host.iter().all(named)
}

/// Nothing, or a colon and a port number (which RFC 3986 allows to be empty).
fn is_port(port: &[u8]) -> bool {
    match port {
        [] | [b':'] => true,
        [b':', digits @ ..] => {
            super::bytes::decimal(digits).is_some_and(|number| number <= u64::from(u16::MAX))
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn authorities_are_a_host_and_perhaps_a_port() {
        for good in ["a", "santa.example.com", "a:80", "a:", "127.0.0.1:81", "[::1]", "[::1]:443"] {
            assert!(is_valid(good.as_bytes()), "{good}");
        }
        let bad = [
            "", ":80", "a:b", "a:99999", "a b", "u@a", "a/b", "a,b", "[::1", "[x]", "[::1]x",
            "::1", "a?b", "a#b", "é", "a:80:80", "a%00",
        ];
        for bad in bad {
            assert!(!is_valid(bad.as_bytes()), "{bad}");
        }
    }

    #[test]
    fn a_connect_target_has_a_port() {
        for good in ["a:80", "a:65535", "[::1]:443"] {
            assert!(is_valid_with_port(good.as_bytes()), "{good}");
        }
        for bad in ["a", "a:", "a:0", "a:65536", "[::1]", "[::1]:", ":80", "/a:80", "a:80/"] {
            assert!(!is_valid_with_port(bad.as_bytes()), "{bad}");
        }
    }
}
