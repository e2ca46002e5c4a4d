//! Which content coding to send (RFC 9110 §12.5.3), by the client's q-values
//! and then by what is smallest. Pure.

use super::bytes::{list, trim};

/// A representation on disk: as it is, or compressed beforehand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Coding {
    /// Brotli.
    Br,
    /// Zstandard.
    Zstd,
    /// gzip.
    Gzip,
    /// No coding.
    Identity,
}

impl Coding {
    /// In order of preference among equals.
    pub const ALL: [Self; 4] = [Self::Br, Self::Zstd, Self::Gzip, Self::Identity];

    /// The name in `Content-Encoding`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Br => "br",
            Self::Zstd => "zstd",
            Self::Gzip => "gzip",
            Self::Identity => "identity",
        }
    }

    fn of(name: &[u8]) -> Option<Self> {
        if name.eq_ignore_ascii_case(b"x-gzip") {
            return Some(Self::Gzip);
        }
        Self::ALL.into_iter().find(|coding| name.eq_ignore_ascii_case(coding.name().as_bytes()))
    }
}

/// Chooses among the codings for which `available` is true; `values` are the
/// `Accept-Encoding` lines. Nothing when the client rules out all of them.
pub fn choose<'v>(
    values: impl Iterator<Item = &'v [u8]>,
    available: impl Fn(Coding) -> bool,
) -> Option<Coding> {
    let mut quality: [Option<u16>; 4] = [None; 4];
    let mut rest: Option<u16> = None;
    let mut stated = false;
    for element in values.flat_map(list) {
        stated = true;
        let (name, weight) = element_weight(element);
        let Some(weight) = weight else { continue };
        if name == b"*" {
            rest = Some(weight);
        } else if let Some(coding) = Coding::of(name) {
            quality[coding as usize] = Some(weight);
        }
    }
    if !stated {
        return Some(Coding::Identity);
    }
    let weight = |coding: Coding| match (quality[coding as usize], coding) {
        (Some(weight), _) => weight,
        // Acceptable unless ruled out, and then the last choice.
        (None, Coding::Identity) => rest.map_or(1, |rest| rest.min(1)),
        (None, _) => rest.unwrap_or(0),
    };
    let mut best: Option<(Coding, u16)> = None;
    for coding in Coding::ALL.into_iter().filter(|coding| available(*coding)) {
        let weight = weight(coding);
        if weight > 0 && best.is_none_or(|(_, found)| weight > found) {
            best = Some((coding, weight));
        }
    }
    best.map(|(coding, _)| coding)
}

/// Name and weight in thousandths; no weight when it is malformed.
fn element_weight(element: &[u8]) -> (&[u8], Option<u16>) {
    let mut parts = element.split(|byte| *byte == b';').map(trim);
    let name = parts.next().unwrap_or_default();
    match (parts.next(), parts.next()) {
        (None, _) => (name, Some(1000)),
        (Some([b'q' | b'Q', b'=', value @ ..]), None) => (name, quality_value(value)),
        _ => (name, None),
    }
}

/// `0`, `0.125`, `1.000` … in thousandths.
pub(crate) fn quality_value(text: &[u8]) -> Option<u16> {
    let (whole, fraction) = match text {
        [whole] | [whole, b'.'] => (whole, &[][..]),
        [whole, b'.', fraction @ ..] if fraction.len() <= 3 => (whole, fraction),
        _ => return None,
    };
    let mut thousandths = 0;
    for place in 0..3 {
        let digit = fraction.get(place).copied().unwrap_or(b'0');
        thousandths = thousandths * 10 + u16::from(digit.checked_sub(b'0').filter(|d| *d <= 9)?);
    }
    match whole {
        b'0' => Some(thousandths),
        b'1' if thousandths == 0 => Some(1000),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clients_weights_decide_and_then_size() {
        use Coding::{Br, Gzip, Identity, Zstd};
        let all = [Br, Zstd, Gzip, Identity];
        let cases: &[(Option<&str>, &[Coding], Option<Coding>)] = &[
            (None, &all, Some(Identity)),
            (Some(""), &all, Some(Identity)),
            (Some("gzip, deflate, br, zstd"), &all, Some(Br)),
            (Some("gzip, deflate"), &all, Some(Gzip)),
            (Some("gzip;q=1, br;q=0.5"), &all, Some(Gzip)),
            (Some("GZIP"), &all, Some(Gzip)),
            (Some("x-gzip"), &all, Some(Gzip)),
            (Some("br;q=0, gzip;q=0.001"), &all, Some(Gzip)),
            (Some("br;q=0"), &all, Some(Identity)),
            (Some("*"), &all, Some(Br)),
            (Some("*;q=0.1, zstd"), &all, Some(Zstd)),
            (Some("identity;q=1, br;q=0.5"), &all, Some(Identity)),
            (Some("br"), &[Gzip, Identity], Some(Identity)),
            (Some("identity;q=0"), &[Identity], None),
            (Some("*;q=0"), &all, None),
            (Some("*;q=0, identity"), &all, Some(Identity)),
            (Some("br;q=2"), &all, Some(Identity)),
            (Some("br;q=0.1234"), &all, Some(Identity)),
            (Some("br;level=4"), &all, Some(Identity)),
            (Some("gzip;q=0.8 , br ; q=0.9"), &all, Some(Br)),
        ];
        for (header, available, expected) in cases {
            let values = header.iter().map(|header| header.as_bytes());
            assert_eq!(choose(values, |c| available.contains(&c)), *expected, "{header:?}");
        }
    }
}
