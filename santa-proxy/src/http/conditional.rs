//! Conditional requests (RFC 9110 §13) on a stored representation: which response
//! the preconditions ask for, in the order of §13.2.2. Pure.

use super::bytes::trim;
use super::date;
use super::field::{Fields, Name};

/// What identifies the selected representation.
#[derive(Debug, Clone, Copy)]
pub struct Validators<'v> {
    /// Strong entity tag with its quotes.
    pub etag: &'v str,
    /// Seconds since 1970.
    pub modified: u64,
}

/// What the preconditions of a GET or HEAD ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Send the representation.
    Send,
    /// 304
    NotModified,
    /// 412
    Failed,
}

/// Evaluates the preconditions; `now` in seconds since 1970.
#[must_use]
pub fn evaluate(fields: &Fields<'_>, current: &Validators<'_>) -> Outcome {
    let has = |name| fields.first(name).is_some();
    if has(Name::IfMatch) {
        if !tags_match(fields, Name::IfMatch, current.etag, false) {
            return Outcome::Failed;
        }
    } else if let Some(since) = date_of(fields, Name::IfUnmodifiedSince)
        && current.modified > since
    {
        return Outcome::Failed;
    }
    if has(Name::IfNoneMatch) {
        if tags_match(fields, Name::IfNoneMatch, current.etag, true) {
            return Outcome::NotModified;
        }
    } else if let Some(since) = date_of(fields, Name::IfModifiedSince)
        && current.modified <= since
    {
        return Outcome::NotModified;
    }
    Outcome::Send
}

/// Whether `If-Range` lets a `Range` be honored: absent, or strongly equal.
#[must_use]
pub fn range_applies(fields: &Fields<'_>, current: &Validators<'_>, now: u64) -> bool {
    let Some(value) = fields.first(Name::IfRange) else { return true };
    if fields.single(Name::IfRange).is_none() {
        return false;
    }
    if value.first() == Some(&b'"') {
        return value == current.etag.as_bytes();
    }
    // A date is a strong validator when it is exactly ours, and the second that it
    // names is over: within it the file might still change (RFC 9110 §8.8.2.2).
    date::parse(value).is_some_and(|date| date == current.modified && date < now)
}

fn date_of(fields: &Fields<'_>, name: Name) -> Option<u64> {
    fields.single(name).and_then(date::parse)
}

/// Whether any tag in the lines called `name` matches; `weak` compares weakly.
fn tags_match(fields: &Fields<'_>, name: Name, etag: &str, weak: bool) -> bool {
    fields.all(name).any(|value| {
        let mut rest = trim(value);
        if rest == b"*" {
            return true;
        }
        while let Some((is_weak, tag, after)) = next_tag(rest) {
            if tag == etag.as_bytes() && (weak || !is_weak) {
                return true;
            }
            rest = after;
        }
        false
    })
}

/// The next entity tag of a list: weakness, opaque tag with quotes, what follows.
fn next_tag(text: &[u8]) -> Option<(bool, &[u8], &[u8])> {
    let mut rest = text;
    while let [b' ' | b'\t' | b',', after @ ..] = rest {
        rest = after;
    }
    let (weak, tag) = match rest {
        [b'W', b'/', tag @ ..] => (true, tag),
        tag => (false, tag),
    };
    let [b'"', opaque @ ..] = tag else { return None };
    let end = opaque.iter().position(|byte| *byte == b'"')?;
    if opaque[..end].iter().any(|byte| !matches!(byte, 0x21 | 0x23..=0x7e | 0x80..)) {
        return None;
    }
    let after = trim(&opaque[end + 1..]);
    matches!(after, [] | [b',', ..]).then_some((weak, &tag[..end + 2], after))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NOW: u64 = 1_700_000_000;
    const CURRENT: Validators<'static> = Validators { etag: "\"abc\"", modified: 784_111_777 };
    const SAME: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
    const BEFORE: &str = "Sun, 06 Nov 1994 08:49:36 GMT";

    fn with(lines: &str, check: impl Fn(&Fields<'_>)) {
        let block = format!("{lines}\r\n");
        check(&Fields::parse(block.as_bytes(), 100).expect("syntax is fine"));
    }

    #[test]
    fn preconditions_are_evaluated_in_order() {
        use Outcome::{Failed, NotModified, Send};
        let cases = [
            (String::new(), Send),
            ("If-None-Match: \"abc\"\r\n".into(), NotModified),
            ("If-None-Match: W/\"abc\"\r\n".into(), NotModified),
            ("If-None-Match: \"x\", \"abc\"\r\n".into(), NotModified),
            ("If-None-Match: \"x\"\r\nIf-None-Match: \"abc\"\r\n".into(), NotModified),
            ("If-None-Match: *\r\n".into(), NotModified),
            ("If-None-Match: \"x\"\r\n".into(), Send),
            ("If-None-Match: abc\r\n".into(), Send),
            ("If-None-Match: \"a,b\", \"abc\"\r\n".into(), NotModified),
            (format!("If-Modified-Since: {SAME}\r\n"), NotModified),
            (format!("If-Modified-Since: {BEFORE}\r\n"), Send),
            ("If-Modified-Since: nonsense\r\n".into(), Send),
            (format!("If-None-Match: \"x\"\r\nIf-Modified-Since: {SAME}\r\n"), Send),
            ("If-Match: \"abc\"\r\n".into(), Send),
            ("If-Match: *\r\n".into(), Send),
            ("If-Match: W/\"abc\"\r\n".into(), Failed),
            ("If-Match: \"x\"\r\n".into(), Failed),
            ("If-Match: \"x\"\r\nIf-None-Match: \"abc\"\r\n".into(), Failed),
            ("If-Match: \"abc\"\r\nIf-None-Match: \"abc\"\r\n".into(), NotModified),
            (format!("If-Unmodified-Since: {SAME}\r\n"), Send),
            (format!("If-Unmodified-Since: {BEFORE}\r\n"), Failed),
            (format!("If-Match: \"abc\"\r\nIf-Unmodified-Since: {BEFORE}\r\n"), Send),
        ];
        for (lines, expected) in cases {
            with(&lines, |fields| assert_eq!(evaluate(fields, &CURRENT), expected, "{lines}"));
        }
    }

    #[test]
    fn if_range_needs_a_strong_match() {
        let cases = [
            ("".to_owned(), true),
            ("If-Range: \"abc\"\r\n".to_owned(), true),
            ("If-Range: W/\"abc\"\r\n".to_owned(), false),
            ("If-Range: \"x\"\r\n".to_owned(), false),
            (format!("If-Range: {SAME}\r\n"), true),
            (format!("If-Range: {BEFORE}\r\n"), false),
            ("If-Range: nonsense\r\n".to_owned(), false),
        ];
        for (lines, expected) in cases {
            with(&lines, |fields| {
                assert_eq!(range_applies(fields, &CURRENT, NOW), expected, "{lines}");
            });
        }
    }

    proptest! {
        #[test]
        fn any_conditions_are_decided(tags in "[W/\",* a-c\\-]{0,24}", date in "[A-Za-z0-9:, -]{0,32}") {
            let lines = format!("If-None-Match: {tags}\r\nIf-Modified-Since: {date}\r\nIf-Range: {tags}\r\n");
            with(&lines, |fields| {
                let _ = (evaluate(fields, &CURRENT), range_applies(fields, &CURRENT, NOW));
            });
        }
    }
}
