//! Writing JSON and time stamps into a byte vector. Pure.

use std::time::{SystemTime, UNIX_EPOCH};

use santa_config::calendar::{push_padded, push_rfc3339};

use crate::http::bytes::push_decimal;

/// Appends `text` as a JSON string; what is not UTF-8 becomes U+FFFD.
pub(crate) fn push_string(out: &mut Vec<u8>, text: &[u8]) {
    out.push(b'"');
    // Without an early end, which would keep the processor from looking at many at a time.
    let is_plain = |byte: u8| (b' '..=b'~').contains(&byte) & (byte != b'"') & (byte != b'\\');
    if text.iter().fold(true, |plain, byte| plain & is_plain(*byte)) {
        out.extend_from_slice(text);
    } else {
        for character in String::from_utf8_lossy(text).chars() {
            push_escaped(out, character);
        }
    }
    out.push(b'"');
}

fn push_escaped(out: &mut Vec<u8>, character: char) {
    match character {
        '"' => out.extend_from_slice(b"\\\""),
        '\\' => out.extend_from_slice(b"\\\\"),
        '\n' => out.extend_from_slice(b"\\n"),
        '\r' => out.extend_from_slice(b"\\r"),
        '\t' => out.extend_from_slice(b"\\t"),
        control if (control as u32) < 0x20 || control == '\x7f' => {
            out.extend_from_slice(format!("\\u{:04x}", control as u32).as_bytes());
        }
        other => out.extend_from_slice(other.encode_utf8(&mut [0; 4]).as_bytes()),
    }
}

/// Appends `,"name":` and the string.
pub(crate) fn push_field(out: &mut Vec<u8>, name: &str, text: &[u8]) {
    out.extend_from_slice(b",\"");
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\":");
    push_string(out, text);
}

/// Appends `,"name":` and the number.
pub(crate) fn push_number(out: &mut Vec<u8>, name: &str, number: u64) {
    out.extend_from_slice(b",\"");
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\":");
    push_decimal(out, number);
}

/// Appends `,"name":` and microseconds as milliseconds with three decimals.
pub(crate) fn push_millis(out: &mut Vec<u8>, name: &str, micros: u128) {
    let micros = u64::try_from(micros).unwrap_or(u64::MAX);
    push_number(out, name, micros / 1000);
    out.push(b'.');
    push_padded(out, micros % 1000, 3);
}

/// Appends a time as RFC 3339 with milliseconds, in UTC.
pub(crate) fn push_time(out: &mut Vec<u8>, time: SystemTime) {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    push_rfc3339(out, u64::try_from(since.as_millis()).unwrap_or(0));
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn text(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).expect("UTF-8")
    }

    #[test]
    fn strings_cannot_break_out_of_their_quotes() {
        assert_eq!(
            text(|out| push_string(out, b"a\"b\\\n\x1b\xff")),
            "\"a\\\"b\\\\\\n\\u001b\u{fffd}\""
        );
        assert_eq!(text(|out| push_string(out, "é".as_bytes())), "\"é\"");
    }

    #[test]
    fn times_and_durations_have_a_fixed_form() {
        let time = UNIX_EPOCH + Duration::from_millis(784_111_777_007);
        assert_eq!(text(|out| push_time(out, time)), "1994-11-06T08:49:37.007Z");
        assert_eq!(text(|out| push_millis(out, "d", 12_034)), ",\"d\":12.034");
    }
}
