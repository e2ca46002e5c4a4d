//! Which of two versions is the later one, by the rules of the ecosystem that they
//! belong to.

use std::cmp::Ordering;
use std::str::FromStr as _;

/// How versions of a kind of packages are ordered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scheme {
    /// Debian Policy, 5.6.12.
    Debian,
    /// PEP 440.
    Python,
    /// Semantic Versioning 2.0.0.
    Semantic,
}

impl Scheme {
    /// The order of two versions; none when one of them is no version at all.
    pub(crate) fn compare(self, one: &str, other: &str) -> Option<Ordering> {
        match self {
            Self::Debian => Some(debian(one, other)),
            Self::Python => {
                let parse = |text| pep440_rs::Version::from_str(text).ok();
                Some(parse(one)?.cmp(&parse(other)?))
            }
            Self::Semantic => Some(semantic(one)?.cmp_precedence(&semantic(other)?)),
        }
    }
}

/// Advisories leave out zeros at the end, which a semantic version may not.
fn semantic(text: &str) -> Option<semver::Version> {
    let (core, rest) = text.split_at(text.find(['-', '+']).unwrap_or(text.len()));
    let missing = 3usize.checked_sub(core.split('.').count())?;
    semver::Version::parse(&format!("{core}{}{rest}", ".0".repeat(missing))).ok()
}

fn debian(one: &str, other: &str) -> Ordering {
    let split = |text: &str| {
        let (epoch, rest) = text.split_once(':').unwrap_or(("0", text));
        let (upstream, revision) = rest.rsplit_once('-').unwrap_or((rest, "0"));
        (epoch.parse::<u64>().unwrap_or(0), upstream.to_owned(), revision.to_owned())
    };
    let (one, other) = (split(one), split(other));
    one.0
        .cmp(&other.0)
        .then_with(|| debian_part(&one.1, &other.1))
        .then_with(|| debian_part(&one.2, &other.2))
}

/// Texts and numbers in turn, from the left.
fn debian_part(one: &str, other: &str) -> Ordering {
    let (mut one, mut other) = (one, other);
    while !one.is_empty() || !other.is_empty() {
        let (text, other_text) = (cut(&mut one, false), cut(&mut other, false));
        let (number, other_number) = (cut(&mut one, true), cut(&mut other, true));
        let order = debian_text(text, other_text).then_with(|| debian_number(number, other_number));
        if order.is_ne() {
            return order;
        }
    }
    Ordering::Equal
}

/// Takes the digits, or all up to the next digit, off the front.
fn cut<'a>(text: &mut &'a str, digits: bool) -> &'a str {
    let end = text.find(|c: char| c.is_ascii_digit() != digits).unwrap_or(text.len());
    let (taken, rest) = text.split_at(end);
    *text = rest;
    taken
}

/// A tilde sorts before the end, the end before letters, letters before the rest.
fn debian_text(one: &str, other: &str) -> Ordering {
    let weight = |byte: Option<&u8>| match byte {
        Some(b'~') => (0, 0),
        None => (1, 0),
        Some(letter) if letter.is_ascii_alphabetic() => (2, *letter),
        Some(sign) => (3, *sign),
    };
    let (one, other) = (one.as_bytes(), other.as_bytes());
    let orders =
        (0..one.len().max(other.len())).map(|at| weight(one.get(at)).cmp(&weight(other.get(at))));
    orders.into_iter().find(|order| order.is_ne()).unwrap_or(Ordering::Equal)
}

/// By value, however long the numbers are.
fn debian_number(one: &str, other: &str) -> Ordering {
    let (one, other) = (one.trim_start_matches('0'), other.trim_start_matches('0'));
    one.len().cmp(&other.len()).then_with(|| one.cmp(other))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ascend(scheme: Scheme, versions: &[&str]) {
        for (at, one) in versions.iter().enumerate() {
            for (other_at, other) in versions.iter().enumerate() {
                let expected = at.cmp(&other_at);
                assert_eq!(scheme.compare(one, other), Some(expected), "{one} and {other}");
            }
        }
    }

    const DEBIAN: [&str; 16] = [
        "0~rc1-1",
        "0-1",
        "1.0~beta1-1",
        "1.0~beta1-1+b1",
        "1.0-1~deb13u1",
        "1.0-1",
        "1.0-1+b2",
        "1.0-1+deb13u1",
        "1.0-1+deb13u1+b1",
        "1.0-1.1",
        "1.0-2",
        "1.0a-1",
        "1.0+dfsg-1",
        "1.2.9-1",
        "1.2.10-1",
        "1:0.1-1",
    ];

    #[test]
    fn debian_versions_are_ordered_as_its_policy_says() {
        ascend(Scheme::Debian, &DEBIAN);
        for (one, other) in [("1.0", "1.0-0"), ("0:1-1", "1-1"), ("1.01-1", "1.1-1")] {
            assert_eq!(debian(one, other), Ordering::Equal, "{one} and {other}");
        }
    }

    #[test]
    fn debian_versions_are_ordered_as_dpkg_orders_them() {
        let Some(dpkg) = xtask::run::find("dpkg") else { return };
        for pair in DEBIAN.windows(2) {
            let status = std::process::Command::new(&dpkg)
                .args(["--compare-versions", pair[0], "lt", pair[1]])
                .status()
                .expect("dpkg runs");
            assert!(status.success(), "dpkg puts {} not before {}", pair[0], pair[1]);
        }
    }

    #[test]
    fn python_and_semantic_versions_have_rules_of_their_own() {
        let python = ["1.0.dev1", "1.0a1", "1.0rc1", "1.0", "1.0.post1", "1.9", "1.10", "1!0.1"];
        ascend(Scheme::Python, &python);
        let semantic = [
            "0",
            "0.9.9",
            "1.0.0-alpha",
            "1.0.0-alpha.2",
            "1.0.0-alpha.10",
            "1.0",
            "1.9",
            "1.10.0",
        ];
        ascend(Scheme::Semantic, &semantic);
        assert_eq!(Scheme::Semantic.compare("1.0.0+a", "1.0.0+b"), Some(Ordering::Equal));
        assert_eq!(Scheme::Python.compare("1.0", "1.0.0"), Some(Ordering::Equal));
        for scheme in [Scheme::Python, Scheme::Semantic] {
            assert_eq!(scheme.compare("1.0.0", "some"), None);
        }
    }
}
