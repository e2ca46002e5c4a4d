//! Byte ranges (RFC 9110 §14) of a representation of known length. Pure.

use super::bytes::{decimal, list, trim};

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
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// Everything: no range, or one that is ignored.
    Whole,
    /// This part.
    Part(Range),
    /// Nothing that exists: 416.
    Unsatisfiable,
}

/// Reads a `Range` value for a representation of `length` bytes. What is not exactly the
/// grammar, and several parts at once, are ignored as RFC 9110 §14.2 allows.
#[must_use]
pub fn wanted(value: Option<&[u8]>, length: u64) -> Wanted {
    let Some(set) = value.and_then(range_set) else { return Wanted::Whole };
    let mut wanted = None;
    for spec in list(set) {
        wanted = match (resolve(spec, length), wanted) {
            (Err(()), _) | (Ok(Some(_)), Some(Wanted::Part(_))) => return Wanted::Whole,
            (Ok(Some(range)), _) => Some(Wanted::Part(range)),
            (Ok(None), before) => before.or(Some(Wanted::Unsatisfiable)),
        };
    }
    wanted.unwrap_or(Wanted::Whole)
}

fn range_set(value: &[u8]) -> Option<&[u8]> {
    let (unit, rest) = value.split_at_checked(5)?;
    let rest = rest.strip_prefix(b"=")?;
    unit.eq_ignore_ascii_case(b"bytes").then_some(rest)
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

/// A position; one too large for 64 bits lies beyond every end.
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
        let part = |first, last| Wanted::Part(Range { first, last });
        let cases = [
            ("bytes=0-0", part(0, 0)),
            ("bytes=2-4", part(2, 4)),
            ("Bytes=5-", part(5, 9)),
            ("bytes=-3", part(7, 9)),
            ("bytes=-99", part(0, 9)),
            ("bytes=0-99", part(0, 9)),
            ("bytes=0-99999999999999999999999", part(0, 9)),
            ("bytes=0-1, 4-5", Wanted::Whole),
            ("bytes=20-,0-1", part(0, 1)),
            ("bytes=20-,30-", Wanted::Unsatisfiable),
            ("bytes=20-,x", Wanted::Whole),
            ("bytes=4-5,0-1", Wanted::Whole),
            ("bytes=0-1,20-", part(0, 1)),
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
    }

    proptest! {
        #[test]
        fn a_part_lies_within_the_representation(value in "bytes=([0-9]{0,3}-[0-9]{0,3},?){0,5}", length in 0u64..500) {
            if let Wanted::Part(part) = wanted(Some(value.as_bytes()), length) {
                prop_assert!(part.first <= part.last && part.last < length);
            }
        }
    }
}
