//! Field lines of a head: which names matter to this proxy, and parsing the
//! lines of a complete head with httparse plus what it would let pass.
//! Knows nothing of requests or responses as a whole.

use httparse::{EMPTY_HEADER, Header};

/// Most field lines that are ever looked at; `header_count` may only be lower.
pub const MOST_FIELDS: usize = 128;
/// As many as ordinary heads have: room for more costs time to clear.
const USUAL_FIELDS: usize = 24;

macro_rules! names {
    ($($name:ident = $text:literal,)*) => {
        /// The field names that this proxy acts on; every other is `Other`.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Name {
            $(#[doc = concat!("`", $text, "`")] $name,)*
            /// Passed on unread.
            Other,
        }

        impl Name {
            const ALL: &[(Self, &str)] = &[$((Self::$name, $text),)*];
        }
    };
}

names! {
    Host = "host",
    Connection = "connection",
    ContentLength = "content-length",
    TransferEncoding = "transfer-encoding",
    UserAgent = "user-agent",
    Accept = "accept",
    AcceptEncoding = "accept-encoding",
    IfNoneMatch = "if-none-match",
    IfModifiedSince = "if-modified-since",
    IfMatch = "if-match",
    IfUnmodifiedSince = "if-unmodified-since",
    IfRange = "if-range",
    Range = "range",
    Date = "date",
    Server = "server",
    Expect = "expect",
    Upgrade = "upgrade",
    Te = "te",
    Trailer = "trailer",
    KeepAlive = "keep-alive",
    ProxyConnection = "proxy-connection",
    ProxyAuthenticate = "proxy-authenticate",
    ProxyAuthorization = "proxy-authorization",
    Http2Settings = "http2-settings",
    Via = "via",
    MaxForwards = "max-forwards",
    Forwarded = "forwarded",
    ForwardedFor = "x-forwarded-for",
    ForwardedProto = "x-forwarded-proto",
    ForwardedHost = "x-forwarded-host",
    ForwardedPort = "x-forwarded-port",
    ForwardedServer = "x-forwarded-server",
    ForwardedPrefix = "x-forwarded-prefix",
    ForwardedSsl = "x-forwarded-ssl",
    ForwardedClientCert = "x-forwarded-client-cert",
    RealIp = "x-real-ip",
    RequestId = "x-request-id",
    TraceParent = "traceparent",
    ContentTypeOptions = "x-content-type-options",
    FrameOptions = "x-frame-options",
    ReferrerPolicy = "referrer-policy",
    OpenerPolicy = "cross-origin-opener-policy",
    PermissionsPolicy = "permissions-policy",
    ContentSecurityPolicy = "content-security-policy",
    TransportSecurity = "strict-transport-security",
    ClientCert = "client-cert",
    ClientCertChain = "client-cert-chain",
}

/// Length of the longest of the names.
const LONGEST: usize = 26;
/// Most names of one length.
const OF_ONE_LENGTH: usize = 6;

/// The names by their length, so that few are compared.
static BY_LENGTH: [[(Name, &str); OF_ONE_LENGTH]; LONGEST + 1] = {
    let mut table = [[(Name::Other, ""); OF_ONE_LENGTH]; LONGEST + 1];
    let mut counts = [0; LONGEST + 1];
    let mut index = 0;
    while index < Name::ALL.len() {
        let length = Name::ALL[index].1.len();
        table[length][counts[length]] = Name::ALL[index];
        counts[length] += 1;
        index += 1;
    }
    table
};

impl Name {
    /// Recognizes a field name, in any case.
    #[must_use]
    pub fn of(name: &str) -> Self {
        let Some(candidates) = BY_LENGTH.get(name.len()) else { return Self::Other };
        for (candidate, text) in candidates {
            if *candidate == Self::Other {
                break;
            }
            if has_ends_of(name, text) && name.eq_ignore_ascii_case(text) {
                return *candidate;
            }
        }
        Self::Other
    }

    /// A bit of its own.
    const fn bit(self) -> u64 {
        1 << self as u64
    }
}

// One bit for each, and for `Other`.
const _: () = assert!(Name::ALL.len() < 64);

/// Whether the first and the last byte may be those of `text`, which is in small letters:
/// hardly any other name of that length has both, and comparing the whole costs more.
fn has_ends_of(name: &str, text: &str) -> bool {
    match (name.as_bytes(), text.as_bytes()) {
        ([first, .., last], [of_first, .., of_last]) => {
            first | 0x20 == *of_first && last | 0x20 == *of_last
        }
        _ => false,
    }
}

/// Why the field lines of a head cannot be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FieldError {
    /// A line breaks the grammar.
    Syntax(&'static str),
    /// More lines than allowed.
    TooMany,
}

/// The field lines of one head, in order, each with its recognized name.
#[derive(Debug, Clone)]
pub struct Fields<'b> {
    lines: Vec<(Name, Header<'b>)>,
    /// The bits of the names that there are: most that are asked for are not.
    names: u64,
}

impl<'b> Fields<'b> {
    /// Parses the field lines of a complete head: `block` starts after the
    /// start line and ends with the empty line.
    ///
    /// # Errors
    /// When a line breaks RFC 9112 §5 in any way, or there are more than `most`.
    pub fn parse(block: &'b [u8], most: usize) -> Result<Self, FieldError> {
        match parse(block, &mut [EMPTY_HEADER; USUAL_FIELDS]) {
            Err(FieldError::TooMany) => parse(block, &mut [EMPTY_HEADER; MOST_FIELDS]),
            usual => usual,
        }
        .and_then(|fields| match fields.lines.len() {
            len if len > most => Err(FieldError::TooMany),
            _ => Ok(fields),
        })
    }

    /// All lines in order: recognized name, name as written, value.
    pub fn iter(&self) -> impl Iterator<Item = (Name, &'b str, &'b [u8])> + '_ {
        self.lines.iter().map(|(name, line)| (*name, line.name, line.value))
    }

    /// Whether there is a line called `name`.
    #[must_use]
    pub fn has(&self, name: Name) -> bool {
        self.names & name.bit() != 0
    }

    /// The values of every line called `name`, in order.
    pub fn all(&self, name: Name) -> impl Iterator<Item = &'b [u8]> + '_ {
        let lines = if self.has(name) { &self.lines[..] } else { &[] };
        lines.iter().filter(move |(found, _)| *found == name).map(|(_, line)| line.value)
    }

    /// The value of the first line called `name`.
    #[must_use]
    pub fn first(&self, name: Name) -> Option<&'b [u8]> {
        self.all(name).next()
    }

    /// The value of the only line called `name`; nothing when there are none or several.
    #[must_use]
    pub fn single(&self, name: Name) -> Option<&'b [u8]> {
        let mut values = self.all(name);
        let value = values.next()?;
        values.next().is_none().then_some(value)
    }
}

/// Parses lines into `room`, and keeps as many as there are.
fn parse<'b>(block: &'b [u8], room: &mut [Header<'b>]) -> Result<Fields<'b>, FieldError> {
    match httparse::parse_headers(block, room) {
        Ok(httparse::Status::Complete((used, lines))) if used == block.len() => {
            let lines: Vec<_> = lines.iter().map(|line| (Name::of(line.name), *line)).collect();
            let names = lines.iter().fold(0, |names, (name, _)| names | name.bit());
            Ok(Fields { lines, names })
        }
        Ok(_) => Err(FieldError::Syntax("field lines end too early")),
        Err(httparse::Error::TooManyHeaders) => Err(FieldError::TooMany),
        Err(httparse::Error::HeaderName) => {
            Err(FieldError::Syntax("field name is not a token followed by a colon"))
        }
        Err(_) => Err(FieldError::Syntax("control character in a field line")),
    }
}

/// Moves white space between a field name and its colon to the other side of the colon, where
/// it means nothing. Only for responses of a backend: RFC 9112 §5.1 has a proxy
/// remove it there, and has requests with it refused. Returns whether any was found.
pub fn strip_space_before_colon(block: &mut [u8]) -> bool {
    let mut found = false;
    for line in block.split_mut(|byte| *byte == b'\n') {
        let Some(colon) = memchr::memchr(b':', line) else { continue };
        let blank = |byte: &u8| matches!(byte, b' ' | b'\t');
        let name = line[..colon].iter().rposition(|byte| !blank(byte)).map_or(0, |last| last + 1);
        if 0 < name && name < colon && !line[..name].iter().any(blank) {
            line.swap(name, colon);
            found = true;
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_recognized_in_any_case_and_nothing_else_is() {
        for (name, text) in Name::ALL {
            assert_eq!(Name::of(text), *name);
            assert_eq!(Name::of(&text.to_ascii_uppercase()), *name);
            for other in [
                format!("{text}x"),
                format!("x{text}"),
                text.replacen(['e', 'a', 'i', 'o'], "q", 1),
            ] {
                assert_eq!(Name::of(&other), Name::Other, "{other}");
            }
        }
        assert_eq!([Name::of(""), Name::of("t"), Name::of("\u{4}E")], [Name::Other; 3]);
    }

    #[test]
    fn lines_are_found_by_their_names() {
        let fields =
            Fields::parse(b"Via: a\r\nX-One: b\r\nvia: c\r\nX-Two: d\r\n\r\n", 9).expect("lines");
        assert!(fields.has(Name::Via) && fields.has(Name::Other) && !fields.has(Name::Host));
        assert_eq!(fields.all(Name::Via).collect::<Vec<_>>(), [b"a", b"c"]);
        assert_eq!(fields.all(Name::Other).count(), 2);
        assert_eq!((fields.single(Name::Via), fields.first(Name::Host)), (None, None));
        assert_eq!(fields.first(Name::Via), Some(&b"a"[..]));
    }

    #[test]
    fn malformed_lines_are_refused_not_repaired() {
        let bad: &[&[u8]] = &[
            b"Host : x\r\n\r\n",
            b" Host: x\r\n\r\n",
            b"A: b\r\n folded\r\n\r\n",
            b"A: b\r\n\tfolded\r\n\r\n",
            b": empty name\r\n\r\n",
            b"no colon\r\n\r\n",
            b"A: nul\0\r\n\r\n",
            b"A: cr\rin value\r\n\r\n",
            b"A: bell\x07\r\n\r\n",
            b"A: del\x7f\r\n\r\n",
            b"A\x80: b\r\n\r\n",
            b"A(b): c\r\n\r\n",
            b"A: b\r\n\r\nrest",
        ];
        for block in bad {
            let text = String::from_utf8_lossy(block);
            assert!(matches!(Fields::parse(block, 100), Err(FieldError::Syntax(_))), "{text:?}");
        }
    }

    #[test]
    fn white_space_before_a_colon_moves_behind_it() {
        let mut block = *b"A: b\r\nC \t: d : e\r\n folded: f\r\nG h : i\r\n : j\r\nK\r\n\r\n";
        assert!(strip_space_before_colon(&mut block));
        assert!(!strip_space_before_colon(&mut block), "once is enough");
        let text = b"A: b\r\nC:\t  d : e\r\n folded: f\r\nG h : i\r\n : j\r\nK\r\n\r\n";
        assert_eq!(block, *text);
    }

    #[test]
    fn values_are_trimmed_and_names_recognized_in_any_case() {
        let fields =
            Fields::parse(b"hOsT:\t x \t\r\nX-A:\r\nX-B: a b\xff\r\n\r\n", 3).expect("valid");
        let lines: Vec<_> = fields.iter().collect();
        assert_eq!(lines[0], (Name::Host, "hOsT", &b"x"[..]));
        assert_eq!(lines[1], (Name::Other, "X-A", &b""[..]));
        assert_eq!(lines[2], (Name::Other, "X-B", &b"a b\xff"[..]));
    }

    #[test]
    fn heads_with_more_lines_than_usual_are_read_whole() {
        for count in [USUAL_FIELDS, USUAL_FIELDS + 1, MOST_FIELDS] {
            let block: String = (0..count).map(|line| format!("A{line}: {line}\r\n")).collect();
            let block = block + "\r\n";
            let fields = Fields::parse(block.as_bytes(), MOST_FIELDS).expect("valid");
            let last = count - 1;
            assert_eq!(fields.iter().count(), count);
            let (_, name, value) = fields.iter().last().expect("a line");
            assert_eq!((name, value), (&*format!("A{last}"), format!("{last}").as_bytes()));
        }
    }

    #[test]
    fn every_name_is_recognized_and_nothing_else_of_its_length() {
        for (name, text) in Name::ALL {
            assert_eq!(Name::of(&text.to_uppercase()), *name);
            assert_eq!(Name::of(&"x".repeat(text.len())), Name::Other);
        }
    }

    #[test]
    fn more_lines_than_allowed_are_refused() {
        assert_eq!(Fields::parse(b"A: 1\r\nB: 2\r\n\r\n", 1).err(), Some(FieldError::TooMany));
        let many = "A: 1\r\n".repeat(MOST_FIELDS + 1) + "\r\n";
        assert_eq!(Fields::parse(many.as_bytes(), 999).err(), Some(FieldError::TooMany));
    }
}
