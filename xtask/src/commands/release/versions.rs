//! Where the version is written. Every place is here; `cargo xtask codegen` and the lock
//! files find it as it was.

use std::path::Path;

use anyhow::{Context, Result};
use semver::Version;

use crate::repo;

/// A file of workspace members without a source of their own.
const CARGO_LOCK: &str = "Cargo.lock";

/// What stands around the version in a file; each pair has to be there exactly once.
const PLACES: [(&str, &str); 7] = [
    ("Cargo.toml", "[workspace.package]\nversion = \"{}\"\n"),
    ("backend/pyproject.toml", "[project]\nname = \"santaserver\"\nversion = \"{}\"\n"),
    ("backend/santaserver/__init__.py", "\n__version__ = \"{}\"\n"),
    ("backend/openapi.json", "\",\n    \"version\": \"{}\"\n  },\n  \"paths\""),
    ("frontend/package.json", "{\n  \"name\": \"santaserver-console\",\n  \"version\": \"{}\",\n"),
    (
        "frontend/package-lock.json",
        "{\n  \"name\": \"santaserver-console\",\n  \"version\": \"{}\",\n",
    ),
    (
        "frontend/package-lock.json",
        "    \"\": {\n      \"name\": \"santaserver-console\",\n      \"version\": \"{}\",\n",
    ),
];

/// A file and what it becomes.
#[derive(Debug)]
pub(super) struct Edit {
    pub(super) file: &'static str,
    before: String,
    after: String,
}

impl Edit {
    pub(super) fn new(file: &'static str, before: String, after: String) -> Self {
        Self { file, before, after }
    }

    /// Whether it becomes another one.
    pub(super) fn changes(&self) -> bool {
        self.before != self.after
    }

    pub(super) fn write(&self) -> Result<()> {
        let path = repo::path(self.file);
        std::fs::write(&path, &self.after).with_context(|| format!("cannot write {}", self.file))
    }
}

/// The edits that set `version`; or each place that is not as it is expected.
pub(super) fn edits(
    version: &Version,
    read: impl Fn(&str) -> String,
) -> Result<Vec<Edit>, Vec<String>> {
    let mut edits: Vec<Edit> = Vec::new();
    let mut problems = Vec::new();
    for (file, around) in PLACES {
        if edits.last().is_none_or(|edit| edit.file != file) {
            let text = read(file);
            edits.push(Edit::new(file, text.clone(), text));
        }
        let Some(edit) = edits.last_mut() else { continue };
        match set(&edit.after, around, version) {
            Some(text) => edit.after = text,
            None => problems.push(format!("{file} has no line like {:?}, or several; correct xtask/src/commands/release/versions.rs", around.trim())),
        }
    }
    let lock = read(CARGO_LOCK);
    let after = set_in_lock(&lock, version);
    edits.push(Edit::new(CARGO_LOCK, lock, after));
    if problems.is_empty() { Ok(edits) } else { Err(problems) }
}

/// Sets the version that stands between the halves of `around`, if it is there once.
fn set(text: &str, around: &str, version: &Version) -> Option<String> {
    let (before, after) = around.split_once("{}")?;
    let mut found = text.match_indices(before).filter_map(|(at, _)| {
        let start = at + before.len();
        let length = text[start..].find('"')?;
        text[start + length..].starts_with(after).then_some((start, start + length))
    });
    let (start, end) = found.next()?;
    if found.next().is_some() {
        return None;
    }
    Some(format!("{}{version}{}", &text[..start], &text[end..]))
}

/// Sets the version of every package that comes from no registry: those of the workspace.
fn set_in_lock(text: &str, version: &Version) -> String {
    const PACKAGE: &str = "[[package]]\n";
    let packages = text.split(PACKAGE).map(|package| {
        let ours = package.starts_with("name = ") && !package.contains("\nsource = ");
        let set = ours.then(|| set(package, "\nversion = \"{}\"\n", version)).flatten();
        set.unwrap_or_else(|| package.to_owned())
    });
    packages.collect::<Vec<_>>().join(PACKAGE)
}

/// The files that have a version, for the commit.
pub(super) fn files() -> impl Iterator<Item = &'static Path> {
    let all = PLACES.iter().map(|(file, _)| *file).chain([CARGO_LOCK, super::CHANGELOG]);
    all.map(Path::new)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files;

    #[test]
    fn every_file_of_the_repository_has_its_version_where_it_is_expected() {
        let read = |file: &str| files::text(&repo::path(file));
        let new = Version::new(98, 7, 6);
        let edits = edits(&new, read).unwrap_or_else(|problems| panic!("{problems:#?}"));
        for edit in &edits {
            assert!(edit.changes() && edit.after.contains("98.7.6"), "{}", edit.file);
        }
        let lock = &edits.last().expect("the lock").after;
        let ours = lock.split("[[package]]\n").filter(|one| !one.contains("source = ")).skip(1);
        for package in ours {
            assert!(package.contains("version = \"98.7.6\""), "{package}");
        }
        assert!(lock.contains("name = \"xtask\"\nversion = \"98.7.6\""));
    }

    #[test]
    fn a_place_that_is_missing_or_there_twice_is_a_problem() {
        let version = Version::new(1, 0, 0);
        let around = "\nversion = \"{}\"\n";
        assert_eq!(
            set("a\nversion = \"0.1.0\"\nb", around, &version).as_deref(),
            Some("a\nversion = \"1.0.0\"\nb")
        );
        assert_eq!(set("version: 0.1.0", around, &version), None);
        assert_eq!(set("\nversion = \"1\"\n\nversion = \"2\"\n", around, &version), None);
        assert_eq!(edits(&version, |_| String::new()).expect_err("all").len(), PLACES.len());
    }
}
