//! Byte ranges (RFC 9110 §14) of a representation of known length. Pure.

use super::bytes::{decimal, list, trim};

/// More ranges than this in one request are ignored: the whole is sent.
pub const MOST_RANGES: usize = 16;

/// An inclusive range of bytes that lies within the representation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Range {
    /// First byte.
    pub first: u64,
    /// Last byte.
    pub last: u64,
}

impl Range {
    /// Number of bytes, at least one.
    #[must_use]
    pub fn len(self) -> u64 {
        self.last - self.first + 1
    }

    /// Never; present because `len` is.
    #[must_use]
    pub fn is_empty(self) -> bool {
        false
    }
}

/// What a `Range` field asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wanted {
    /// Everything: no range, or one that is to be ignored.
    Whole,
    /// These parts, in the order asked for; never empty.
    Parts(Vec<Range>),
    /// Nothing that exists: 416.
    Unsatisfiable,
}

/// Reads a `Range` value for a representation of `length` bytes. What is not
/// exactly the grammar, or wasteful, is ignored as RFC 9110 §14.2 allows.
#[must_use]
pub fn wanted(value: Option<&[u8]>, length: u64) -> Wanted {
    let Some(set) = value.and_then(range_set) else { return Wanted::Whole };
    let mut parts = Vec::new();
    let mut asked = 0;
    for spec in list(set) {
        asked += 1;
        match resolve(spec, length) {
            Err(()) => return Wanted::Whole,
            Ok(Some(range)) => parts.push(range),
            Ok(None) => {}
        }
    }
    if asked == 0 || asked > MOST_RANGES || wasteful(&parts, length) {
        return Wanted::Whole;
    }
    if parts.is_empty() { Wanted::Unsatisfiable } else { Wanted::Parts(parts) }
}

fn range_set(value: &[u8]) -> Option<&[u8]> {
    let (unit, rest) = value.split_at_checked(5)?;
    let rest = rest.strip_prefix(b"=")?;
    unit.eq_ignore_ascii_case(b"bytes").then_some(rest)
}

/// Parts that overlap, or together exceed the whole, cost more than the whole.
fn wasteful(parts: &[Range], length: u64) -> bool {
    parts.len() > 1 && {
        let total: u64 = parts.iter().map(|part| part.len()).sum();
        let overlap = |(i, a): (usize, &Range)| {
            parts[i + 1..].iter().any(|b| a.first <= b.last && b.first <= a.last)
        };
        total > length || parts.iter().enumerate().any(overlap)
    }
}

/// One `first-last`, `first-` or `-suffix`; nothing when it selects no byte.
fn resolve(spec: &[u8], length: u64) -> Result<Option<Range>, ()> {
    let dash = spec.iter().position(|byte| *byte == b'-').ok_or(())?;
    let (first, last) = (&spec[..dash], &spec[dash + 1..]);
    if trim(first).len() != first.len() || trim(last).len() != last.len() {
        return Err(());
    }
    match (first, last) {
        (b"", suffix) => {
            let suffix = position(suffix)?.min(length);
            Ok((suffix > 0).then(|| Range { first: length - suffix, last: length - 1 }))
        }
        (first, b"") => {
            let first = position(first)?;
            Ok((first < length).then(|| Range { first, last: length - 1 }))
        }
        (first, last) => {
            let (first, last) = (position(first)?, position(last)?);
            if last < first {
                return Err(());
            }
            Ok((first < length).then(|| Range { first, last: last.min(length - 1) }))
        }
    }
}

/// A position; one too large for 64 bits is simply behind every end.
fn position(text: &[u8]) -> Result<u64, ()> {
    if text.is_empty() || !text.iter().all(u8::is_ascii_digit) {
        return Err(());
    }
    Ok(decimal(text).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn ranges_are_resolved_or_ignored() {
        let parts = |ranges: &[(u64, u64)]| {
            Wanted::Parts(ranges.iter().map(|&(first, last)| Range { first, last }).collect())
        };
        let cases = [
            ("bytes=0-0", parts(&[(0, 0)])),
            ("bytes=2-4", parts(&[(2, 4)])),
            ("Bytes=5-", parts(&[(5, 9)])),
            ("bytes=-3", parts(&[(7, 9)])),
            ("bytes=-99", parts(&[(0, 9)])),
            ("bytes=0-99", parts(&[(0, 9)])),
            ("bytes=0-99999999999999999999999", parts(&[(0, 9)])),
            ("bytes=0-1, 4-5", parts(&[(0, 1), (4, 5)])),
            ("bytes=4-5,0-1", parts(&[(4, 5), (0, 1)])),
            ("bytes=0-1,20-", parts(&[(0, 1)])),
            ("bytes=10-", Wanted::Unsatisfiable),
            ("bytes=-0", Wanted::Unsatisfiable),
            ("bytes=20-30", Wanted::Unsatisfiable),
            ("bytes=4-2", Wanted::Whole),
            ("bytes=", Wanted::Whole),
            ("bytes=a-b", Wanted::Whole),
            ("bytes=1", Wanted::Whole),
            ("bytes=-", Wanted::Whole),
            ("bytes=0 - 1", Wanted::Whole),
            ("bytes 0-1", Wanted::Whole),
            ("items=0-1", Wanted::Whole),
            ("bytes=0-5,3-9", Wanted::Whole),
            ("bytes=0-,0-", Wanted::Whole),
            ("bytes=+1-2", Wanted::Whole),
        ];
        for (value, expected) in cases {
            assert_eq!(wanted(Some(value.as_bytes()), 10), expected, "{value}");
        }
        assert_eq!(wanted(Some(b"bytes=0-"), 0), Wanted::Unsatisfiable);
        let many = format!(
            "bytes={}",
            (0..17).map(|i| format!("{}-{}", i * 2, i * 2)).collect::<Vec<_>>().join(",")
        );
        assert_eq!(wanted(Some(many.as_bytes()), 100), Wanted::Whole);
    }

    proptest! {
        #[test]
        fn parts_lie_within_the_representation(value in "bytes=([0-9]{0,3}-[0-9]{0,3},?){0,5}", length in 0u64..500) {
            if let Wanted::Parts(parts) = wanted(Some(value.as_bytes()), length) {
                prop_assert!(!parts.is_empty());
                for part in parts {
                    prop_assert!(part.first <= part.last && part.last < length);
                }
            }
        }
    }
}
