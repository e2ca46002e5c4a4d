//! The release before on this schema: its own code and its own tests of the sync protocol, with
//! this checkout's migrations applied. While a server is replaced, both run on one database,
//! and a rollback keeps the new schema.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use semver::Version;
use xshell::cmd;

use crate::commands::release::{CHANGELOG, History, history, tag_of};
use crate::tools::{postgres, python};
use crate::{files, repo, run};

/// Migrations, relative to `backend`.
const VERSIONS: &str = "santaserver/migrations/versions";
/// What of the release before is run.
const TESTS: &str = "tests/sync";
/// What of it is about the time that 100,000 rules take.
const LARGE: &str = "tests/sync/test_large_changes.py";

/// Fails when the release before does not pass its sync tests on this schema.
pub(crate) fn check() -> Result<()> {
    let history = history(&files::text(&repo::path(CHANGELOG)));
    let Some(version) = previous(&history, look_up)? else {
        out!("no release before this one");
        return Ok(());
    };
    let tag = tag_of(&version);
    let folder = repo::dev("previous-release");
    unpack(&tag, &folder)?;
    let backend = folder.join("backend");
    let new = overlay(&repo::path("backend").join(VERSIONS), &backend.join(VERSIONS))?;
    if new.is_empty() {
        out!("{tag} has the same schema");
        return Ok(());
    }
    let (python, database) = (python::ensure_installed()?, postgres::ensure_installed()?);
    let shell = run::shell_in(&backend)?;
    shell.set_var("SANTA_PG_BIN", database);
    shell.set_var("PYTHONPATH", &backend);
    let list = new.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
    let tests = cmd!(shell, "{python} -m pytest -q -x -n 2 --ignore={LARGE} {TESTS}");
    run::output(&format!("run the sync tests of {tag} with the migrations {list}"), tests)
        .map(drop)
        .with_context(|| format!("{tag} does not work on this schema, so it cannot run beside this version, nor be gone back to; expand in this release, and contract in the one after"))
}

/// What a clone knows of the tag of a version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tag {
    Missing,
    /// It is this very commit.
    Here,
    Before,
}

/// The release before this commit, if there is one. The newest one that the changelog names is
/// being made as long as it has no tag and nothing is pending.
fn previous(
    history: &History,
    look_up: impl Fn(&Version) -> Result<Tag>,
) -> Result<Option<Version>> {
    for (place, version) in history.released.iter().enumerate() {
        match look_up(version)? {
            Tag::Before => return Ok(Some(version.clone())),
            Tag::Here => {}
            Tag::Missing if place == 0 && !history.pending => {}
            Tag::Missing => bail!(
                "{CHANGELOG} names {version} as a release, but this clone has no tag {}; git fetch --tags, or in a shallow clone git fetch --unshallow --tags",
                tag_of(version)
            ),
        }
    }
    Ok(None)
}

fn look_up(version: &Version) -> Result<Tag> {
    let shell = run::shell()?;
    let commit = |name: &str| {
        let name = format!("{name}^{{commit}}");
        run::ended("ask git for a commit", cmd!(shell, "git rev-parse --verify --quiet {name}"))
    };
    let tagged = commit(&format!("refs/tags/{}", tag_of(version)))?;
    if !tagged.status.success() {
        return Ok(Tag::Missing);
    }
    Ok(if commit("HEAD")?.stdout == tagged.stdout { Tag::Here } else { Tag::Before })
}

/// The backend of a tag.
fn unpack(tag: &str, folder: &Path) -> Result<()> {
    files::remove(folder)?;
    fs::create_dir_all(folder).with_context(|| format!("cannot create {}", repo::shown(folder)))?;
    let shell = run::shell()?;
    let archive = folder.join("backend.tar");
    let what = format!("read the backend of {tag}");
    run::output(&what, cmd!(shell, "git archive --output {archive} {tag} backend"))?;
    run::output(&what, cmd!(shell, "tar --extract --file {archive} --directory {folder}"))?;
    Ok(fs::remove_file(archive)?)
}

/// Puts the present migrations over those of a release; returns those that it did not have.
fn overlay(from: &Path, to: &Path) -> Result<Vec<String>> {
    let (before, now) = (migrations(to)?, migrations(from)?);
    let gone: Vec<&String> = before.difference(&now).collect();
    ensure!(
        gone.is_empty(),
        "a released migration is gone: {gone:?}; restore it, for databases have it"
    );
    for name in &now {
        let (source, target) = (from.join(name), to.join(name));
        let text = files::text(&source);
        ensure!(
            !before.contains(name) || files::text(&target) == text,
            "{name} was released and has changed; a database that has it refuses the new one: restore it, and add another migration"
        );
        fs::write(&target, text)
            .with_context(|| format!("cannot write {}", repo::shown(&target)))?;
    }
    Ok(now.difference(&before).cloned().collect())
}

fn migrations(folder: &Path) -> Result<BTreeSet<String>> {
    let entries =
        fs::read_dir(folder).with_context(|| format!("there is no {}", repo::shown(folder)))?;
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    Ok(names.filter(|name| name.ends_with(".sql")).collect())
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    #[test]
    fn the_release_before_is_the_newest_that_is_not_being_made() {
        let find = |released: &[u64], pending, tags: &[(u64, Tag)]| {
            let released = released.iter().map(|minor| Version::new(0, *minor, 0)).collect();
            let look_up = |version: &Version| {
                let known = tags.iter().find(|(minor, _)| *minor == version.minor);
                Ok(known.map_or(Tag::Missing, |(_, tag)| *tag))
            };
            let found = previous(&History { released, pending }, look_up);
            found
                .map(|version| version.map(|version| version.minor))
                .map_err(|error| error.to_string())
        };
        assert_eq!(find(&[], true, &[]), Ok(None));
        // The first release while it is made, then made.
        assert_eq!(find(&[1], false, &[]), Ok(None));
        assert_eq!(find(&[1], false, &[(1, Tag::Here)]), Ok(None));
        assert_eq!(find(&[1], true, &[(1, Tag::Before)]), Ok(Some(1)));
        // The second.
        assert_eq!(find(&[2, 1], false, &[(1, Tag::Before)]), Ok(Some(1)));
        assert_eq!(find(&[2, 1], false, &[(2, Tag::Here), (1, Tag::Before)]), Ok(Some(1)));
        assert_eq!(find(&[2, 1], true, &[(2, Tag::Before), (1, Tag::Before)]), Ok(Some(2)));
        // A clone without tags.
        for (released, pending) in [(&[1][..], true), (&[2, 1], false)] {
            let refused = find(released, pending, &[]).expect_err("refused");
            assert!(refused.contains("git fetch --tags"), "{refused}");
        }
    }

    fn folder(migrations: &[(&str, &str)]) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().expect("temporary folder");
        for (name, text) in migrations {
            fs::write(folder.path().join(name), text).expect("written");
        }
        let path = folder.path().to_owned();
        (folder, path)
    }

    #[test]
    fn a_released_migration_neither_changes_nor_goes() {
        let (_released, old) = folder(&[("0001_a.sql", "one"), ("0002_b.sql", "two")]);
        let refusal = |now: &[(&str, &str)]| {
            let (_now, new) = folder(now);
            overlay(&new, &old).expect_err("refused").to_string()
        };
        assert!(refusal(&[("0001_a.sql", "one")]).contains("is gone"));
        assert!(refusal(&[("0001_a.sql", "other"), ("0002_b.sql", "two")]).contains("has changed"));
        let (_now, new) =
            folder(&[("0001_a.sql", "one"), ("0002_b.sql", "two"), ("0003_c.sql", "three")]);
        assert_eq!(overlay(&new, &old).expect("laid over"), ["0003_c.sql"]);
        assert_eq!(files::text(&old.join("0003_c.sql")), "three");
    }
}
