//! The head of a request under the rules of RFC 9110 and RFC 9112, taken as it
//! is or refused; nothing is repaired. Pure: bytes in, a view or a refusal out.
//! Framing rules are in `framing`, path rules in `path`.

use std::ops::Range;

use super::bytes::{is_path, is_query, is_token, list};
use super::field::{FieldError, Fields, Name};
use super::framing::{RequestBody, request_body};
use super::host;
use super::reject::Reject;
use super::scan::{HeadSpan, ScanError, ScanRules};
use super::version::Version;

/// Room in the start line beside the target: method, spaces and version.
const AROUND_TARGET: usize = 64;

/// How much of a request head is taken.
#[derive(Debug, Clone, Copy)]
pub struct HeadLimits {
    /// Longest head in bytes; above it 431.
    pub head: usize,
    /// Longest request target in bytes; above it 414.
    pub target: usize,
    /// Most field lines; above it 431.
    pub fields: usize,
}

impl HeadLimits {
    /// The same limits for the search of the head's end.
    #[must_use]
    pub fn scan_rules(&self) -> ScanRules {
        ScanRules {
            start_line: self.target.saturating_add(AROUND_TARGET),
            head: self.head,
            leading_empty_line: true,
        }
    }
}

/// What a request is aimed at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Target<'b> {
    /// Path as written; `*` for the asterisk form.
    pub path: &'b [u8],
    /// Query after the question mark, as written.
    pub query: Option<&'b [u8]>,
    /// Authority of the absolute form; it outranks `Host`.
    pub authority: Option<&'b [u8]>,
    /// Whether the absolute form names the `https` scheme.
    pub secure: bool,
}

/// A request head that keeps every rule.
#[derive(Debug, Clone)]
pub struct Request<'b> {
    /// Method, case kept.
    pub method: &'b str,
    /// Where to.
    pub target: Target<'b>,
    /// Version of the sender.
    pub version: Version,
    /// Field lines.
    pub fields: Fields<'b>,
    /// Host of the target; nothing only in HTTP/1.0.
    pub host: Option<&'b [u8]>,
    /// How the content is delimited.
    pub body: RequestBody,
    /// What the `Connection` field asks for.
    pub connection: Connection,
    /// `Expect: 100-continue` from a sender that waits for it.
    pub expects_continue: bool,
}

/// The options of `Connection` that this proxy acts on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Connection {
    /// `close`
    pub close: bool,
    /// `keep-alive`
    pub keep_alive: bool,
    /// `upgrade`
    pub upgrade: bool,
}

impl Connection {
    /// Reads every `Connection` line of a head.
    #[must_use]
    pub fn of(fields: &Fields<'_>) -> Self {
        let mut options = Self::default();
        for option in fields.all(Name::Connection).flat_map(list) {
            options.close |= option.eq_ignore_ascii_case(b"close");
            options.keep_alive |= option.eq_ignore_ascii_case(b"keep-alive");
            options.upgrade |= option.eq_ignore_ascii_case(b"upgrade");
        }
        options
    }
}

impl<'b> Request<'b> {
    /// Reads a complete head that `Scan` found in `buffer`.
    ///
    /// # Errors
    /// The error response, after which the connection is closed.
    pub fn parse(buffer: &'b [u8], span: &HeadSpan, limits: &HeadLimits) -> Result<Self, Reject> {
        let (method, target, version) = start_line(&buffer[span.start..span.line_end], limits)?;
        let fields = Fields::parse(&buffer[span.line_end + 2..span.end], limits.fields)
            .map_err(field_reject)?;
        let host = host::effective(&fields, target.authority, version)?;
        if method == "CONNECT" {
            return Err(Reject::new(501, "CONNECT is not supported"));
        }
        let body = request_body(&fields, version)?;
        let expects_continue = expectation(&fields, version)?;
        let connection = Connection::of(&fields);
        Ok(Self { method, target, version, fields, host, body, connection, expects_continue })
    }

    /// Whether the connection may carry another request after this one.
    #[must_use]
    pub fn keeps_alive(&self) -> bool {
        match self.version {
            Version::Http11 => !self.connection.close,
            Version::Http10 => self.connection.keep_alive && !self.connection.close,
        }
    }

    /// A WebSocket handshake: the one upgrade that is passed on.
    #[must_use]
    pub fn is_websocket(&self) -> bool {
        self.connection.upgrade
            && self.version == Version::Http11
            && self.method == "GET"
            && self.body == RequestBody::None
            && self
                .fields
                .single(Name::Upgrade)
                .is_some_and(|value| value.eq_ignore_ascii_case(b"websocket"))
    }

    /// Methods that may be sent again when a connection died (RFC 9110 §9.2.2).
    #[must_use]
    pub fn is_idempotent(&self) -> bool {
        matches!(self.method, "GET" | "HEAD" | "OPTIONS" | "PUT" | "DELETE" | "TRACE")
    }
}

/// Methods of the IANA registry and its neighbors that the backend's parser reads. Any
/// other would be refused by it without a response of the application.
const METHODS: [&str; 33] = [
    "GET",
    "HEAD",
    "POST",
    "PUT",
    "PATCH",
    "DELETE",
    "OPTIONS",
    "TRACE",
    "ACL",
    "BIND",
    "CHECKOUT",
    "COPY",
    "LINK",
    "LOCK",
    "M-SEARCH",
    "MERGE",
    "MKACTIVITY",
    "MKCALENDAR",
    "MKCOL",
    "MOVE",
    "NOTIFY",
    "PROPFIND",
    "PROPPATCH",
    "PURGE",
    "QUERY",
    "REBIND",
    "REPORT",
    "SEARCH",
    "SUBSCRIBE",
    "UNBIND",
    "UNLINK",
    "UNLOCK",
    "UNSUBSCRIBE",
];

/// Whether a method is known; others get 501 (RFC 9110 §9.1).
#[must_use]
pub fn is_known_method(method: &str) -> bool {
    METHODS.contains(&method)
}

/// Checks a start line that is complete although its head is not yet.
///
/// # Errors
/// The error response.
pub fn check_start_line(
    buffer: &[u8],
    line: Range<usize>,
    limits: &HeadLimits,
) -> Result<(), Reject> {
    start_line(&buffer[line], limits).map(|_| ())
}

/// The refusal for bytes in which no head can be found.
#[must_use]
pub fn scan_reject(error: ScanError) -> Reject {
    match error {
        ScanError::BareLineFeed => Reject::bad("line feed without carriage return"),
        ScanError::NoStartLine => Reject::bad("empty line instead of a request line"),
        ScanError::Start => Reject::bad("request does not start with a method"),
        ScanError::LongStartLine => Reject::new(414, "request target too long"),
        ScanError::LongHead => Reject::new(431, "request head too long"),
    }
}

fn field_reject(error: FieldError) -> Reject {
    match error {
        FieldError::Syntax(reason) => Reject::bad(reason),
        FieldError::TooMany => Reject::new(431, "too many fields"),
    }
}

fn start_line<'b>(
    line: &'b [u8],
    limits: &HeadLimits,
) -> Result<(&'b str, Target<'b>, Version), Reject> {
    let mut parts = line.split(|byte| *byte == b' ');
    let (Some(method), Some(target), Some(version), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(Reject::bad("request line is not a method, a target and a version"));
    };
    if !is_token(method) {
        return Err(Reject::bad("method is not a token"));
    }
    let method = std::str::from_utf8(method).map_err(|_| Reject::bad("method is not a token"))?;
    let version = http_version(version)?;
    if target.len() > limits.target {
        return Err(Reject::new(414, "request target too long"));
    }
    Ok((method, request_target(method, target)?, version))
}

fn http_version(text: &[u8]) -> Result<Version, Reject> {
    match text {
        b"HTTP/1.1" => Ok(Version::Http11),
        b"HTTP/1.0" => Ok(Version::Http10),
        // A later minor version is served as the highest one known (RFC 9110 §2.5).
        [b'H', b'T', b'T', b'P', b'/', b'1', b'.', b'2'..=b'9'] => Ok(Version::Http11),
        [b'H', b'T', b'T', b'P', b'/', b'0'..=b'9', b'.', b'0'..=b'9'] => {
            Err(Reject::new(505, "HTTP version other than 1.x"))
        }
        _ => Err(Reject::bad("malformed HTTP version")),
    }
}

fn request_target<'b>(method: &str, target: &'b [u8]) -> Result<Target<'b>, Reject> {
    if method == "CONNECT" {
        if !host::is_valid_with_port(target) {
            return Err(Reject::bad("target of CONNECT is not a host and a port"));
        }
        return Ok(Target { path: b"", query: None, authority: Some(target), secure: false });
    }
    if target == b"*" {
        if method != "OPTIONS" {
            return Err(Reject::bad("asterisk target with a method other than OPTIONS"));
        }
        return Ok(Target { path: b"*", query: None, authority: None, secure: false });
    }
    if target.first() == Some(&b'/') {
        return path_and_query(target, None, false);
    }
    absolute_target(method, target)
}

/// `http://authority/path` (RFC 9112 §3.2.2).
fn absolute_target<'b>(method: &str, target: &'b [u8]) -> Result<Target<'b>, Reject> {
    let plain = strip_scheme(target, b"http://").map(|rest| (rest, false));
    let secure = || strip_scheme(target, b"https://").map(|rest| (rest, true));
    let (rest, secure) =
        plain.or_else(secure).ok_or(Reject::bad("target is neither a path nor an http URI"))?;
    let end = rest.iter().position(|byte| matches!(byte, b'/' | b'?')).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    if !host::is_valid(authority) {
        return Err(Reject::bad("malformed authority in the target"));
    }
    if path.is_empty() {
        let path: &[u8] = if method == "OPTIONS" { b"*" } else { b"/" };
        return Ok(Target { path, query: None, authority: Some(authority), secure });
    }
    path_and_query(path, Some(authority), secure)
}

fn strip_scheme<'b>(target: &'b [u8], scheme: &[u8]) -> Option<&'b [u8]> {
    let (start, rest) = target.split_at_checked(scheme.len())?;
    start.eq_ignore_ascii_case(scheme).then_some(rest)
}

fn path_and_query<'b>(
    target: &'b [u8],
    authority: Option<&'b [u8]>,
    secure: bool,
) -> Result<Target<'b>, Reject> {
    let mark = memchr::memchr(b'?', target);
    let (path, query) = match mark {
        Some(mark) => (&target[..mark], Some(&target[mark + 1..])),
        None => (target, None),
    };
    // "http://host?query" has an empty path, which means "/".
    let path = if path.is_empty() { b"/" } else { path };
    if !is_path(path) || !query.is_none_or(is_query) {
        return Err(Reject::bad("character not allowed in the target"));
    }
    Ok(Target { path, query, authority, secure })
}

fn expectation(fields: &Fields<'_>, version: Version) -> Result<bool, Reject> {
    let mut expected = false;
    for element in fields.all(Name::Expect).flat_map(list) {
        if !element.eq_ignore_ascii_case(b"100-continue") {
            return Err(Reject::new(417, "expectation other than 100-continue"));
        }
        expected = true;
    }
    Ok(expected && version == Version::Http11)
}

#[cfg(test)]
#[path = "request_tests.rs"]
mod tests;
