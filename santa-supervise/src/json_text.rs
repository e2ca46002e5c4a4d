//! Pure: text in JSON that no reader takes for more than one line, whatever it
//! splits on: carriage return, vertical tab, form feed, the separators of ASCII
//! and Unicode, NUL. Everything that could move a cursor is escaped as well.

use std::io::Write as _;

/// Whether a reader or a terminal may take it for more than a character.
#[must_use]
pub(crate) fn is_unsafe(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}' | '\u{2029}')
}

/// Whether text has an unsafe character.
#[must_use]
pub(crate) fn holds_unsafe(text: &[u8]) -> bool {
    any(text, may_be_unsafe) && (0..text.len()).any(|at| unsafe_at(text, at).is_some())
}

/// Whether any byte meets a condition. The compiler takes many bytes at a time: that
/// is why neither this nor a condition branches.
fn any(text: &[u8], is: impl Fn(u8) -> bool) -> bool {
    text.iter().fold(0, |found, byte| found | u8::from(is(*byte))) != 0
}

/// Whether a byte is an unsafe character, or one beyond ASCII may begin with it.
const fn may_be_unsafe(byte: u8) -> bool {
    (byte < b' ') | (byte == 0x7f) | (byte == 0xc2) | (byte == 0xe2)
}

/// The unsafe character that begins at a byte of text in UTF-8, and its length.
fn unsafe_at(text: &[u8], at: usize) -> Option<(u16, usize)> {
    match text[at..] {
        [byte @ (..b' ' | 0x7f), ..] => Some((byte.into(), 1)),
        [0xc2, byte @ 0x80..=0x9f, ..] => Some((byte.into(), 2)),
        [0xe2, 0x80, byte @ (0xa8 | 0xa9), ..] => Some((0x2000 | u16::from(byte & 0x7f), 3)),
        _ => None,
    }
}

/// Whether a JSON text has neither an unsafe character nor an escape: whatever is
/// taken out of it can be written as it stands.
#[must_use]
pub(crate) fn is_plain(json: &[u8]) -> bool {
    !any(json, |byte| may_be_unsafe(byte) | (byte == b'\\'))
        || !holds_unsafe(json) && memchr::memchr(b'\\', json).is_none()
}

/// How many bytes are looked at together.
const BLOCK: usize = 16;

/// Whether a string may need an escape at a byte.
const fn may_need_escape(byte: u8) -> bool {
    may_be_unsafe(byte) | (byte == b'"') | (byte == b'\\')
}

/// The same for each byte: within a block a look-up is quickest.
const MAY_NEED_ESCAPE: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < table.len() {
        table[byte] = may_need_escape(byte as u8);
        byte += 1;
    }
    table
};

/// Appends a string, in quotes.
pub(crate) fn string(out: &mut Vec<u8>, text: &str) {
    let text = text.as_bytes();
    out.reserve(text.len() + 2);
    out.push(b'"');
    let (mut written, mut at) = (0, 0);
    while at < text.len() {
        match text[at..].first_chunk::<BLOCK>() {
            Some(block) if !any(block, may_need_escape) => {
                at += BLOCK;
                continue;
            }
            _ => {}
        }
        let end = text.len().min(at + BLOCK);
        while at < end {
            if !MAY_NEED_ESCAPE[usize::from(text[at])] {
                at += 1;
            } else if let Some((escape, length)) = escape_at(text, at) {
                out.extend_from_slice(&text[written..at]);
                // Writing to memory cannot fail.
                let _ = match escape {
                    Escape::Short(letter) => out.write_all(&[b'\\', letter]),
                    Escape::Code(code) => write!(out, "\\u{code:04x}"),
                };
                at += length;
                written = at;
            } else {
                at += 1;
            }
        }
    }
    out.extend_from_slice(&text[written..]);
    out.push(b'"');
}

/// How JSON writes a character that does not stand for itself.
enum Escape {
    /// Behind a backslash.
    Short(u8),
    Code(u16),
}

/// The escape of a character that needs one, and the character's length.
fn escape_at(text: &[u8], at: usize) -> Option<(Escape, usize)> {
    let short = match text[at] {
        byte @ (b'"' | b'\\') => byte,
        b'\n' => b'n',
        b'\r' => b'r',
        b'\t' => b't',
        8 => b'b',
        12 => b'f',
        _ => return unsafe_at(text, at).map(|(code, length)| (Escape::Code(code), length)),
    };
    Some((Escape::Short(short), 1))
}

/// Appends a value as it was written, which serde has found to be JSON.
pub(crate) fn value(out: &mut Vec<u8>, json: &str) {
    let begin = out.len();
    out.extend_from_slice(json.as_bytes());
    if holds_unsafe(json.as_bytes()) {
        escape(out, begin);
    }
}

/// Escapes what is unsafe from `begin` on. In JSON a character below the space
/// stands only between values, where a space means the same; the others stand
/// only in strings.
fn escape(out: &mut Vec<u8>, begin: usize) {
    let text = out.split_off(begin);
    for c in String::from_utf8_lossy(&text).chars() {
        match c {
            '\0'..' ' => out.push(b' '),
            c if is_unsafe(c) => {
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            c => out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn strings_and_values_keep_their_meaning_on_one_line() {
        let mut out = Vec::new();
        string(&mut out, "a\r\u{b}\u{85}\u{2028}\u{2029}\u{7f}\0\u{1b}é€\"\n");
        let expected = r#""a\r\u000b\u0085\u2028\u2029\u007f\u0000\u001bé€\"\n""#;
        assert_eq!(String::from_utf8(out).expect("UTF-8"), expected);
        let mut out = Vec::new();
        value(&mut out, "{\"a\":\r[1,\t2],\"\u{85}é\":\"\u{2028}\"}");
        let expected = "{\"a\": [1, 2],\"\\u0085é\":\"\\u2028\"}";
        assert_eq!(String::from_utf8(out).expect("UTF-8"), expected);
    }

    #[test]
    fn every_character_is_judged_alike_by_its_bytes() {
        for c in '\0'..=char::MAX {
            assert_eq!(holds_unsafe(c.encode_utf8(&mut [0; 4]).as_bytes()), is_unsafe(c), "{c:?}");
        }
    }

    proptest! {
        #[test]
        fn any_text_comes_back_and_holds_nothing_unsafe(text: String) {
            prop_assert_eq!(holds_unsafe(text.as_bytes()), text.contains(is_unsafe));
            let mut out = Vec::new();
            string(&mut out, &text);
            let written = String::from_utf8(out).expect("UTF-8");
            prop_assert!(!written.contains(is_unsafe));
            prop_assert_eq!(serde_json::from_str::<String>(&written).expect("JSON"), text);
        }
    }
}
