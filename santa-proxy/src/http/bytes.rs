//! Byte classes and the small list and number grammars of RFC 9110 §5.6.
//! Knows nothing of messages; everything here is a plain function over bytes.

/// Builds a 256-entry table that is true for the given bytes.
const fn table(ranges: &[(u8, u8)], singles: &[u8]) -> [bool; 256] {
    let mut table = [false; 256];
    let mut i = 0;
    while i < ranges.len() {
        let mut byte = ranges[i].0;
        while byte <= ranges[i].1 {
            table[byte as usize] = true;
            byte += 1;
        }
        i += 1;
    }
    i = 0;
    while i < singles.len() {
        table[singles[i] as usize] = true;
        i += 1;
    }
    table
}

const LETTERS_AND_DIGITS: &[(u8, u8)] = &[(b'0', b'9'), (b'A', b'Z'), (b'a', b'z')];

static TOKEN: [bool; 256] = table(LETTERS_AND_DIGITS, b"!#$%&'*+-.^_`|~");

/// `pchar` and `/` of RFC 3986 §3.3, and `|`, `[`, `]`, which browsers leave
/// unescaped in paths.
static PATH: [bool; 256] = table(LETTERS_AND_DIGITS, b"-._~!$&'()*+,;=:@%/|[]");

/// `query` of RFC 3986 §3.4 and what browsers leave unescaped there.
static QUERY: [bool; 256] = table(LETTERS_AND_DIGITS, b"-._~!$&'()*+,;=:@%/?|[]{}^\\`");

const HEX_DIGITS: &[u8; 16] = b"0123456789abcdef";

/// `tchar` of RFC 9110 §5.6.2.
#[must_use]
pub fn is_token_byte(byte: u8) -> bool {
    TOKEN[byte as usize]
}

/// A whole `token`: one `tchar` or more.
#[must_use]
pub fn is_token(text: &[u8]) -> bool {
    !text.is_empty() && text.iter().all(|byte| is_token_byte(*byte))
}

/// Whether all of `text` is allowed in the path of a request target.
#[must_use]
pub fn is_path(text: &[u8]) -> bool {
    text.iter().all(|byte| PATH[*byte as usize])
}

/// Whether all of `text` is allowed in the query of a request target.
#[must_use]
pub fn is_query(text: &[u8]) -> bool {
    text.iter().all(|byte| QUERY[*byte as usize])
}

/// A field value: visible characters, `obs-text`, inner spaces and tabs.
#[must_use]
pub fn is_field_value(text: &[u8]) -> bool {
    text.iter().all(|byte| matches!(byte, b'\t' | b' '..=b'~' | 0x80..))
}

/// Removes optional white space (space and tab) from both ends.
#[must_use]
pub fn trim(mut text: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] = text {
        text = rest;
    }
    while let [rest @ .., b' ' | b'\t'] = text {
        text = rest;
    }
    text
}

/// The elements of a comma-separated list, trimmed, without the empty ones.
/// Quoted strings are not understood: for lists of tokens only.
pub fn list(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|byte| *byte == b',').map(trim).filter(|element| !element.is_empty())
}

/// `1*DIGIT` as a number; nothing else, no sign, no overflow.
#[must_use]
pub fn decimal(text: &[u8]) -> Option<u64> {
    if text.is_empty() {
        return None;
    }
    text.iter().try_fold(0u64, |number, byte| {
        let digit = byte.checked_sub(b'0').filter(|digit| *digit <= 9)?;
        number.checked_mul(10)?.checked_add(u64::from(digit))
    })
}

/// Value of one hexadecimal digit.
#[must_use]
pub fn hex_digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        b'A'..=b'F' => Some(byte - b'A' + 10),
        _ => None,
    }
}

/// Appends `number` in decimal.
pub fn push_decimal(out: &mut Vec<u8>, mut number: u64) {
    let mut digits = [0u8; 20];
    let mut start = digits.len();
    loop {
        start -= 1;
        digits[start] = b'0' + u8::try_from(number % 10).unwrap_or(0);
        number /= 10;
        if number == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[start..]);
}

/// Appends `number` as 16 lower-case hexadecimal digits.
pub fn push_hex_padded(out: &mut String, number: u64) {
    let mut digits = [0; 16];
    for (pair, byte) in digits.chunks_exact_mut(2).zip(number.to_be_bytes()) {
        pair[0] = HEX_DIGITS[usize::from(byte >> 4)];
        pair[1] = HEX_DIGITS[usize::from(byte & 15)];
    }
    // Always text.
    out.push_str(std::str::from_utf8(&digits).unwrap_or_default());
}

/// Appends `number` in lower-case hexadecimal without leading zeros.
pub fn push_hex(out: &mut Vec<u8>, number: u64) {
    let digits = (64 - number.leading_zeros()).div_ceil(4).max(1);
    for place in (0..digits).rev() {
        let nibble = usize::try_from(number >> (place * 4) & 0xf).unwrap_or(0);
        out.push(HEX_DIGITS[nibble]);
    }
}

/// Appends the Base64 form (RFC 4648 §4) of `data`.
pub fn push_base64(out: &mut Vec<u8>, data: &[u8]) {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for group in data.chunks(3) {
        let byte = |place: usize| u32::from(group.get(place).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for digit in 0..4 {
            let value = (bits >> (18 - 6 * digit) & 63) as usize;
            out.push(if digit <= group.len() { DIGITS[value] } else { b'=' });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimal_takes_digits_only() {
        let cases: &[(&str, Option<u64>)] = &[
            ("0", Some(0)),
            ("007", Some(7)),
            ("18446744073709551615", Some(u64::MAX)),
            ("18446744073709551616", None),
            ("", None),
            ("+1", None),
            ("-1", None),
            ("1 ", None),
            ("0x1", None),
            ("1,1", None),
        ];
        for (text, expected) in cases {
            assert_eq!(decimal(text.as_bytes()), *expected, "{text:?}");
        }
    }

    #[test]
    fn numbers_are_written_as_they_are_read() {
        for number in [0, 1, 9, 10, 255, 256, 65_535, u64::MAX] {
            let mut out = Vec::new();
            push_decimal(&mut out, number);
            assert_eq!(decimal(&out), Some(number));
            out.clear();
            push_hex(&mut out, number);
            assert_eq!(out, format!("{number:x}").into_bytes());
        }
    }

    #[test]
    fn lists_drop_empty_elements_and_space() {
        let elements: Vec<&[u8]> = list(b" a ,,b\t, ,c").collect();
        assert_eq!(elements, [b"a", b"b", b"c"]);
    }

    #[test]
    fn base64_is_padded_to_groups_of_four() {
        for (data, text) in
            [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg==")]
        {
            let mut out = Vec::new();
            push_base64(&mut out, data.as_bytes());
            assert_eq!(out, text.as_bytes(), "{data}");
        }
    }
}
