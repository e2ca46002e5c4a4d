//! Pure: text in JSON that no reader takes for more than one line, whatever it
//! splits on: carriage return, vertical tab, form feed, the separators of ASCII
//! and Unicode, NUL. Everything that could move a cursor is escaped as well.

/// Whether a reader or a terminal may take it for more than a character.
#[must_use]
pub(crate) fn is_unsafe(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}' | '\u{2029}')
}

/// Whether text has an unsafe character. Two looks at all bytes, of which the
/// compiler and `memchr` take many at a time: that is why nothing here branches.
#[must_use]
pub(crate) fn holds_unsafe(text: &[u8]) -> bool {
    any(text, |byte| (byte < b' ') | (byte == 0x7f))
        || memchr::memchr2_iter(0xc2, 0xe2, text).any(|at| begins_unsafe(&text[at..]))
}

/// Whether text in UTF-8 begins with an unsafe character beyond ASCII.
fn begins_unsafe(text: &[u8]) -> bool {
    matches!(text, [0xc2, 0x80..=0x9f, ..] | [0xe2, 0x80, 0xa8 | 0xa9, ..])
}

fn any(text: &[u8], is: impl Fn(u8) -> bool) -> bool {
    text.iter().fold(false, |found, byte| found | is(*byte))
}

/// Whether a JSON text has neither an unsafe character nor an escape: whatever is
/// taken out of it can be written as it stands.
#[must_use]
pub(crate) fn is_plain(json: &[u8]) -> bool {
    !holds_unsafe(json) && memchr::memchr(b'\\', json).is_none()
}

/// Appends a string, in quotes.
pub(crate) fn string(out: &mut Vec<u8>, text: &str) {
    if !holds_unsafe(text.as_bytes()) && memchr::memchr2(b'"', b'\\', text.as_bytes()).is_none() {
        out.push(b'"');
        out.extend_from_slice(text.as_bytes());
        return out.push(b'"');
    }
    let begin = out.len();
    // Writing a string to memory cannot fail.
    let _ = serde_json::to_writer(&mut *out, text);
    if holds_unsafe(&out[begin..]) {
        escape(out, begin);
    }
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
                out.extend_from_slice(format!("\\u{:04x}", u32::from(c)).as_bytes());
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
