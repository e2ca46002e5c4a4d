//! Text of a client as it may appear in the log. Enrollment secrets come in paths,
//! and a mistyped address puts one where none is expected, so text of a client gets into a
//! line only as [`Redacted`], which can only be built by masking. Pure.

use std::borrow::Cow;
use std::fmt::Write as _;

/// What replaces a secret.
const MASK: &str = "***";
/// The segment of a path that an enrollment secret follows: `/api/santa/e/SECRET/…`.
const MARKER: &str = "e";
/// Tokens of at least this length that mix kinds of characters are taken for secrets;
/// those that this server makes have 32 characters and more.
const SHORTEST_SECRET: usize = 24;
/// Longest method that is shown.
const LONGEST_METHOD: usize = 32;

/// Text of a client without the secrets in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Redacted<'t>(Cow<'t, str>);

impl<'t> Redacted<'t> {
    /// The decoded path of a request; one that could not be decoded is not shown.
    pub(crate) fn path(decoded: Option<&'t str>) -> Self {
        let path = decoded.unwrap_or_default();
        match needs_care(path) {
            true => Self(Cow::Owned(mask_segments(path))),
            false => Self(mask_tokens(path)),
        }
    }

    /// Any other text; bytes that are not UTF-8 become U+FFFD.
    pub(crate) fn text(text: &'t [u8]) -> Self {
        match std::str::from_utf8(text) {
            Ok(text) => Self(mask_tokens(text)),
            Err(_) => {
                let text = String::from_utf8_lossy(text);
                Self(Cow::Owned(mask_tokens(&text).into_owned()))
            }
        }
    }

    /// A method; what is no plausible one is not shown.
    pub(crate) fn method(method: &'t str) -> Self {
        let plausible = method.len() <= LONGEST_METHOD
            && method.bytes().all(|byte| byte.is_ascii_alphabetic() || byte == b'-');
        Self(Cow::Borrowed(if plausible { method } else { MASK }))
    }

    /// The text.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

/// Whether a path may have a segment that marks where a secret is, or one that could mean
/// something else when it is decoded again or read with its parameters. Most paths have
/// nothing like it, so this looks at bytes and gives true when in doubt.
fn needs_care(path: &str) -> bool {
    let bytes = path.as_bytes();
    let stands_alone = |at: usize| {
        let beside = |at: Option<usize>| at.and_then(|at| bytes.get(at));
        let around = [beside(at.checked_sub(1)), beside(Some(at + 1))];
        !around.into_iter().flatten().any(u8::is_ascii_alphanumeric)
    };
    bytes.iter().enumerate().any(|(at, byte)| match byte {
        b'%' | b';' | 0x80.. => true,
        b'e' | b'E' => stands_alone(at),
        _ => false,
    })
}

fn is_marker(segment: &str) -> bool {
    segment.trim_matches(|c: char| !c.is_alphanumeric()).eq_ignore_ascii_case(MARKER)
}

/// Masks what follows a marker, and parameters; shows nothing from the first segment
/// on that is still encoded.
fn mask_segments(path: &str) -> String {
    let mut shown = String::with_capacity(path.len());
    let mut secret = false;
    for (place, segment) in path.split('/').enumerate() {
        if place > 0 {
            shown.push('/');
        }
        if segment.contains('%') {
            shown.push_str(MASK);
            break;
        }
        let (name, parameters) = match segment.split_once(';') {
            Some((name, _)) => (name, ";***"),
            None => (segment, ""),
        };
        let text = if secret && !name.is_empty() { MASK.into() } else { mask_tokens(name) };
        // Writing to a string cannot fail.
        let _ = write!(shown, "{text}{parameters}");
        secret = is_marker(name) || (secret && name.is_empty());
    }
    shown
}

fn is_part(byte: &u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')
}

/// Whether any token is long enough for a secret. Looks for the end of each stretch of
/// that length from its end, so that it skips most of a text of shorter words.
fn has_long_token(text: &[u8]) -> bool {
    let mut rest = text;
    while let Some(stretch) = rest.get(..SHORTEST_SECRET) {
        match stretch.iter().rposition(|byte| !is_part(byte)) {
            Some(between) => rest = &rest[between + 1..],
            None => return true,
        }
    }
    false
}

/// Masks what looks like a secret.
fn mask_tokens(text: &str) -> Cow<'_, str> {
    if !has_long_token(text.as_bytes()) {
        return Cow::Borrowed(text);
    }
    let mut shown: Option<String> = None;
    let mut rest = text;
    let mut copied = 0;
    while !rest.is_empty() {
        let length = rest.bytes().take_while(is_part).count();
        let start = text.len() - rest.len();
        if is_secret(&rest[..length]) {
            let shown = shown.get_or_insert_with(|| String::with_capacity(text.len()));
            shown.push_str(&text[copied..start]);
            shown.push_str(MASK);
            copied = start + length;
        }
        let between = rest[length..].bytes().take_while(|byte| !is_part(byte)).count();
        rest = &rest[length + between..];
    }
    match shown {
        Some(mut shown) => {
            shown.push_str(&text[copied..]);
            Cow::Owned(shown)
        }
        None => Cow::Borrowed(text),
    }
}

/// Long, and of digits, capitals and small letters two kinds at least, as random tokens
/// are; identifiers of Macs (UUIDs) are not secret.
fn is_secret(token: &str) -> bool {
    let has = |kind: fn(&u8) -> bool| usize::from(token.as_bytes().iter().any(kind));
    token.len() >= SHORTEST_SECRET
        && has(u8::is_ascii_digit) + has(u8::is_ascii_uppercase) + has(u8::is_ascii_lowercase) > 1
        && !is_uuid(token)
}

fn is_uuid(token: &str) -> bool {
    token.len() == 36
        && token.bytes().enumerate().all(|(place, byte)| match place {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn path(text: &str) -> String {
        Redacted::path(Some(text)).0.into_owned()
    }

    #[test]
    fn the_segment_behind_the_marker_is_masked_wherever_the_marker_is() {
        let cases = [
            ("/api/santa/e/hunter2/preflight/ID", "/api/santa/e/***/preflight/ID"),
            ("/api/santa/E/hunter2/preflight/ID", "/api/santa/E/***/preflight/ID"),
            ("//api/santa/e/hunter2/preflight/ID", "//api/santa/e/***/preflight/ID"),
            ("/api//santa/e//hunter2/preflight/ID", "/api//santa/e//***/preflight/ID"),
            ("/santa/e/hunter2", "/santa/e/***"),
            ("/e/hunter2/", "/e/***/"),
            ("/api/santa/e;v=1/hunter2/preflight", "/api/santa/e;***/***/preflight"),
            ("/api/santa/e/;v=1/hunter2", "/api/santa/e/;***/***"),
            ("/api/santa/e;hunter2/preflight", "/api/santa/e;***/***"),
            ("/api/santa/e /hunter2/x", "/api/santa/e /***/x"),
            ("/api/santa/e/e/hunter2", "/api/santa/e/***/***"),
            ("/api/santa/%65/hunter2/preflight", "/api/santa/***"),
            ("/api/santa/e%2Fhunter2/preflight", "/api/santa/***"),
            ("/api/santa/e", "/api/santa/e"),
            ("/api/santa/preflight/ID", "/api/santa/preflight/ID"),
            ("/machines/é", "/machines/é"),
        ];
        for (text, shown) in cases {
            assert_eq!(path(text), shown, "{text}");
        }
        assert_eq!(Redacted::path(None).as_bytes(), b"");
    }

    #[test]
    fn what_looks_like_a_secret_is_masked_anywhere() {
        let cases = [
            ("/api/santa/Zk3vXo0n2Tq9LhJ5w-8RbA_c/preflight", "/api/santa/***/preflight"),
            ("/x/6f1ed002ab5595859014ebf0951522d9.txt", "/x/***.txt"),
            ("/é/6f1ed002ab5595859014ebf0951522d9é", "/é/***é"),
            ("/preflight/4F3B9A20-0D5C-4B1E-9D1A-7C2E5F6A8B90", ""),
            ("/_app/immutable/chunks/DPq7x2Ab.js", ""),
            ("/machines/mac-17.munich.example.org", ""),
            ("/x/ABCDEFGHabcdefghIJKLMNOPijkl", "/x/***"),
            ("/settings/notifications-and-reports", ""),
        ];
        for (text, shown) in cases {
            assert_eq!(path(text), if shown.is_empty() { text } else { shown });
        }
        let agent = b"curl/8 6f1ed002ab5595859014ebf0951522d9 \xff";
        assert_eq!(Redacted::text(agent).as_bytes(), "curl/8 *** \u{fffd}".as_bytes());
    }

    #[test]
    fn methods_are_words() {
        let shown =
            |method| String::from_utf8_lossy(Redacted::method(method).as_bytes()).into_owned();
        assert_eq!(shown("M-SEARCH"), "M-SEARCH");
        assert_eq!(shown("Zk3vXo0n2Tq9LhJ5w"), MASK);
        assert_eq!(shown(&"A".repeat(33)), MASK);
    }

    proptest! {
        #[test]
        fn no_generated_secret_is_ever_shown(
            before in "(/|//|api|santa|e|E|;|%|%2F|x|é| |\\.){0,8}",
            secret in "[A-Za-z][A-Za-z0-9_-]{30,41}[0-9]",
            after in "(/|;|%|\\.|é|preflight){0,4}",
        ) {
            let shown = path(&format!("/{before}/{secret}/{after}"));
            prop_assert!(!shown.contains(&secret), "{shown}");
        }

        #[test]
        fn the_marker_hides_words_too(
            before in "(/|//|api/|santa/|x/){0,4}",
            marker in "(e|E|e;x|e )/{1,3}",
            secret in "[a-z]{8,12}",
        ) {
            let shown = path(&format!("/{before}{marker}{secret}/preflight"));
            prop_assert!(!shown.contains(&secret), "{shown}");
        }
    }
}
