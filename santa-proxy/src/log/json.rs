//! Writing JSON and time stamps into a byte vector. Pure.

use std::time::{SystemTime, UNIX_EPOCH};

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

/// Appends a number with leading zeros.
fn push_padded(out: &mut Vec<u8>, number: u64, digits: u32) {
    for place in (0..digits).rev() {
        out.push(b'0' + u8::try_from(number / 10u64.pow(place) % 10).unwrap_or(0));
    }
}

/// Appends a time as RFC 3339 with milliseconds, in UTC.
pub(crate) fn push_time(out: &mut Vec<u8>, time: SystemTime) {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    let seconds = since.as_secs();
    let (year, month, day) = date(seconds / 86_400);
    push_padded(out, year, 4);
    for (separator, number) in [
        (b'-', month),
        (b'-', day),
        (b'T', seconds / 3_600 % 24),
        (b':', seconds / 60 % 60),
        (b':', seconds % 60),
    ] {
        out.push(separator);
        push_padded(out, number, 2);
    }
    out.push(b'.');
    push_padded(out, u64::from(since.subsec_millis()), 3);
    out.push(b'Z');
}

/// Year, month and day of the Gregorian calendar, `days` after 1970-01-01. Eras of 400 years
/// that begin in March have leap days at their ends only.
fn date(days: u64) -> (u64, u64, u64) {
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    (year_of_era + era * 400 + u64::from(month <= 2), month, day)
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

    #[test]
    fn dates_are_those_of_the_calendar() {
        for days in (0..80 * 366).step_by(13).chain([59, 60, 11_016, 11_017]) {
            let time = UNIX_EPOCH + Duration::from_secs(days * 86_400);
            let http = httpdate::fmt_http_date(time);
            let (year, month, day) = date(days);
            let name = "JanFebMarAprMayJunJulAugSepOctNovDec"
                .get((month as usize - 1) * 3..month as usize * 3)
                .expect("a month");
            assert_eq!(http[5..16], format!("{day:02} {name} {year}"), "{days}");
        }
    }
}
