//! CHANGELOG.md: the sections of versions, and the pending one that becomes the next. Pure.

use semver::Version;

/// Its name.
pub(crate) const FILE: &str = "CHANGELOG.md";

/// The heading of what belongs to no version yet.
const UNRELEASED: &str = "Unreleased";
/// How the heading of a version ends that is prepared but has no date yet.
const PREPARED: &str = " (unreleased)";

/// A section: its heading without `## `, and the text up to the next.
#[derive(Debug, PartialEq, Eq)]
struct Section<'a> {
    heading: &'a str,
    text: &'a str,
}

impl Section<'_> {
    fn version(&self) -> Option<Version> {
        Version::parse(self.heading.split_whitespace().next()?).ok()
    }
}

/// The changelog of a release, and what it says of it.
#[derive(Debug)]
pub(super) struct Released {
    pub(super) text: String,
    pub(super) notes: String,
}

/// What comes before the first section, and the sections.
fn sections(text: &str) -> (&str, Vec<Section<'_>>) {
    let starts: Vec<usize> = std::iter::once(0)
        .filter(|_| text.starts_with("## "))
        .chain(text.match_indices("\n## ").map(|(at, _)| at + 1))
        .collect();
    let ends = starts.iter().skip(1).copied().chain([text.len()]);
    let cut = starts.iter().zip(ends).map(|(start, end)| {
        let section = &text[*start + 3..end];
        let (heading, text) = section.split_once('\n').unwrap_or((section, ""));
        Section { heading: heading.trim(), text: text.trim() }
    });
    (text[..starts.first().copied().unwrap_or(text.len())].trim_end(), cut.collect())
}

/// Turns what is pending into the section of `version`: that of `Unreleased`, and that of the
/// version itself if it is prepared. An empty `Unreleased` is left for what comes next.
pub(super) fn released(text: &str, version: &Version, date: &str) -> Result<Released, String> {
    let (head, sections) = sections(text);
    let prepared = format!("{version}{PREPARED}");
    let is_pending = |one: &Section<'_>| one.heading == UNRELEASED || one.heading == prepared;
    if let Some(one) =
        sections.iter().find(|one| one.version().as_ref() == Some(version) && !is_pending(one))
    {
        return Err(format!(
            "{FILE} has a released section \"{}\" already; choose the next version",
            one.heading
        ));
    }
    if let Some(other) =
        sections.iter().find(|one| one.heading.ends_with(PREPARED) && !is_pending(one))
    {
        return Err(format!(
            "{FILE} prepares another version: \"{}\"; rename that section or release that version",
            other.heading
        ));
    }
    let notes: Vec<&str> = sections
        .iter()
        .filter(|one| is_pending(one))
        .map(|one| one.text)
        .filter(|text| !text.is_empty())
        .collect();
    if notes.is_empty() {
        return Err(format!(
            "{FILE} has nothing under \"## {UNRELEASED}\"; say there what users and operators will notice"
        ));
    }
    let notes = notes.join("\n");
    let rest = sections.iter().filter(|one| !is_pending(one));
    let mut text = format!("{head}\n\n## {UNRELEASED}\n\n## {version} ({date})\n\n{notes}\n");
    for section in rest {
        text += &format!("\n## {}\n\n{}\n", section.heading, section.text);
    }
    Ok(Released { text, notes })
}

/// What a changelog says of releases.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct History {
    /// Versions that have a date, the newest first.
    pub(crate) released: Vec<Version>,
    /// Whether something is written down that belongs to none of them.
    pub(crate) pending: bool,
}

/// Reads it.
pub(crate) fn history(text: &str) -> History {
    let (_, sections) = sections(text);
    let is_pending =
        |one: &&Section<'_>| one.heading == UNRELEASED || one.heading.ends_with(PREPARED);
    let pending = sections.iter().filter(is_pending).any(|one| !one.text.is_empty());
    let dated = sections.iter().filter(|one| !is_pending(one));
    let mut released: Vec<Version> = dated.filter_map(Section::version).collect();
    released.sort_by(|one, other| other.cmp(one));
    History { released, pending }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "# Changelog\n\nNewest first.\n\n## Unreleased\n\n- New.\n  More of it.\n\n## 0.1.0 (2026-01-02)\n\n- Old.\n";

    fn version(text: &str) -> Version {
        Version::parse(text).expect("a version")
    }

    #[test]
    fn what_is_pending_becomes_the_version_and_room_is_left() {
        let released = released(TEXT, &version("0.2.0"), "2026-11-30").expect("released");
        assert_eq!(released.notes, "- New.\n  More of it.");
        assert_eq!(
            released.text,
            "# Changelog\n\nNewest first.\n\n## Unreleased\n\n## 0.2.0 (2026-11-30)\n\n- New.\n  More of it.\n\n## 0.1.0 (2026-01-02)\n\n- Old.\n"
        );
    }

    #[test]
    fn a_prepared_version_is_released_with_what_came_after() {
        let text = "# C\n\n## Unreleased\n\n- Late.\n\n## 0.1.0 (unreleased)\n\n- First.\n";
        let released = released(text, &version("0.1.0"), "2026-11-30").expect("released");
        assert_eq!(
            released.text,
            "# C\n\n## Unreleased\n\n## 0.1.0 (2026-11-30)\n\n- Late.\n- First.\n"
        );
    }

    #[test]
    fn what_cannot_be_released_is_refused() {
        for (text, number, part) in [
            (TEXT, "0.1.0", "released section"),
            ("# C\n\n## Unreleased\n\n## 0.1.0 (2026-01-02)\n\n- Old.\n", "0.2.0", "nothing under"),
            ("# C\n", "0.2.0", "nothing under"),
            ("# C\n\n## 0.3.0 (unreleased)\n\n- New.\n", "0.2.0", "prepares another"),
        ] {
            let refusal = released(text, &version(number), "2026-11-30").expect_err("refused");
            assert!(refusal.contains(part), "{refusal}");
        }
    }

    #[test]
    fn releases_are_those_with_a_date() {
        let read = |text| {
            let History { released, pending } = history(text);
            (released.iter().map(ToString::to_string).collect::<Vec<_>>(), pending)
        };
        assert_eq!(read(TEXT), (vec!["0.1.0".to_owned()], true));
        assert_eq!(read("## Unreleased\n\n## 0.1.0 (unreleased)\n\n- y\n"), (vec![], true));
        let two = "## Unreleased\n\n## 0.9.0 (2026-01-02)\n\n- y\n\n## 0.10.0 (2026-02-02)\n";
        assert_eq!(read(two), (vec!["0.10.0".to_owned(), "0.9.0".to_owned()], false));
    }
}
