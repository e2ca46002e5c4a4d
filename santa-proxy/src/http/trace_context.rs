//! The `traceparent` field of W3C Trace Context, level 1 and later. Pure.

use super::field::{Fields, Name};

/// The identifier of a trace: 32 digits of hexadecimal in small letters, not all 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TraceId([u8; 32]);

impl TraceId {
    /// The trace that a request belongs to; nothing when it names none, or in a wrong form.
    #[must_use]
    pub fn of(fields: &Fields<'_>) -> Option<Self> {
        fields.single(Name::TraceParent).and_then(parse)
    }

    /// The digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

/// `VERSION-TRACE-PARENT-FLAGS`; versions after 00 may have more behind it.
fn parse(value: &[u8]) -> Option<TraceId> {
    let (head, rest) = value.split_at_checked(55)?;
    let [v1, v2, b'-', trace @ ..] = head else { return None };
    let (trace, tail) = trace.split_first_chunk::<32>()?;
    let [b'-', parent @ .., b'-', f1, f2] = tail else { return None };
    let version = [*v1, *v2];
    let known = match &version {
        b"00" => rest.is_empty(),
        b"ff" => false,
        _ => rest.is_empty() || rest.starts_with(b"-"),
    };
    let digits = |text: &[u8]| text.iter().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    let named = |text: &[u8]| text.iter().any(|b| *b != b'0');
    (known
        && [&version[..], trace, parent, &[*f1, *f2]].into_iter().all(digits)
        && named(trace)
        && named(parent))
    .then_some(TraceId(*trace))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_form_of_the_standard_names_a_trace() {
        let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
        let cases = [
            ("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", true),
            ("01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more", true),
            ("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more", false),
            ("01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01more", false),
            ("ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", false),
            ("00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01", false),
            ("00-00000000000000000000000000000000-00f067aa0ba902b7-01", false),
            ("00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01", false),
            ("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0", false),
            ("00_4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", false),
            ("00-4bf92f3577b34da6a3ce929d0e0e473\"-00f067aa0ba902b7-01", false),
            ("", false),
        ];
        for (value, valid) in cases {
            let found = parse(value.as_bytes());
            assert_eq!(found.as_ref().map(TraceId::as_str), valid.then_some(trace), "{value}");
        }
    }
}
