//! The clone as git knows it: what is in the way of a release, the commit, the tag, and the
//! way back.

use anyhow::{Context, Result};
use semver::Version;
use xshell::{Shell, cmd};

use super::versions;
use crate::run;

const BRANCH: &str = "main";

/// How a version is called in git.
pub(crate) fn tag_of(version: &Version) -> String {
    format!("v{version}")
}

/// What git says before anything is changed.
pub(super) struct Clone {
    shell: Shell,
    head: String,
    branch: String,
    /// Lines of `git status`.
    changed: Vec<String>,
    releases: Vec<Version>,
    shallow: bool,
    /// How many commits the branch lacks that its remote was seen to have.
    behind: usize,
}

impl Clone {
    pub(super) fn look() -> Result<Self> {
        let shell = run::shell()?;
        let ask = |what: &str, words: &[&str]| git(&shell, what, words);
        let head = ask("ask git for the commit", &["rev-parse", "HEAD"])?;
        let branch = ask("ask git for the branch", &["rev-parse", "--abbrev-ref", "HEAD"])?;
        let changed = ask("ask git what has changed", &["status", "--porcelain"])?;
        let tags = ask("ask git for the tags", &["tag", "--list", "v*"])?;
        let shallow =
            ask("ask git whether the clone is whole", &["rev-parse", "--is-shallow-repository"])?;
        // A clone without a remote is behind nothing.
        let behind = ask("compare with the remote", &["rev-list", "--count", "HEAD..origin/main"]);
        run::check()?;
        Ok(Self {
            head: head.trim().to_owned(),
            branch: branch.trim().to_owned(),
            changed: changed.lines().map(str::to_owned).collect(),
            releases: versions_of(&tags),
            shallow: shallow.trim() == "true",
            behind: behind.ok().and_then(|count| count.trim().parse().ok()).unwrap_or(0),
            shell,
        })
    }

    pub(super) fn head(&self) -> &str {
        self.head.get(..12).unwrap_or(&self.head)
    }

    pub(super) fn last_release(&self) -> String {
        self.releases.iter().max().map_or_else(|| "no release".to_owned(), tag_of)
    }

    /// What is in the way of any release.
    pub(super) fn refusals(&self) -> Vec<String> {
        let mut found = Vec::new();
        if self.branch != BRANCH {
            found.push(format!(
                "this is {}, and releases are made on {BRANCH}; git switch {BRANCH}",
                self.branch
            ));
        }
        if !self.changed.is_empty() {
            let files = self.changed.iter().map(|line| line.get(3..).unwrap_or(line));
            let files: Vec<&str> = files.take(5).collect();
            found.push(format!(
                "{} files are not committed ({}{}); commit or stash them",
                self.changed.len(),
                files.join(", "),
                if self.changed.len() > 5 { ", …" } else { "" }
            ));
        }
        if self.shallow {
            found.push(
                "this clone is shallow, so tags may be missing; git fetch --unshallow --tags"
                    .to_owned(),
            );
        }
        if self.behind > 0 {
            found.push(format!(
                "origin/{BRANCH} has {} more commits; git pull --ff-only",
                self.behind
            ));
        }
        found
    }

    /// What is in the way of this version.
    pub(super) fn refusal_of(&self, version: &Version) -> Option<String> {
        let last = self.releases.iter().max()?;
        (version <= last).then(|| {
            format!("{version} is not after {last}, the last release; choose a greater version")
        })
    }

    /// Commits the files of a release; returns the commit's short name.
    pub(super) fn commit(&self, version: &Version) -> Result<String> {
        let (shell, message) = (&self.shell, format!("release: {version}"));
        let files: Vec<_> = versions::files().collect();
        run::output("add the release to git", cmd!(shell, "git add -- {files...}"))?;
        let commit = cmd!(shell, "git commit --quiet --allow-empty --message {message}");
        run::output("commit the release", commit)?;
        git(shell, "ask git for the commit", &["rev-parse", "--short=12", "HEAD"])
            .map(|id| id.trim().to_owned())
    }

    /// Makes an annotated tag.
    pub(super) fn tag(&self, tag: &str, version: &Version, notes: &str) -> Result<()> {
        let shell = &self.shell;
        let command = cmd!(shell, "git tag --annotate --cleanup=whitespace --file=- {tag}");
        run::output_of("tag the release", command, &format!("SantaServer {version}\n\n{notes}\n"))
            .map(drop)
    }

    /// Takes everything back that a release may have done.
    pub(super) fn restore(&self, tag: &str) -> Result<()> {
        let (shell, head) = (&self.shell, &self.head);
        // There is none when the failure came before it.
        let _ = git(shell, "remove the tag", &["tag", "--delete", tag]);
        run::output("take the release back", cmd!(shell, "git reset --quiet --hard {head}"))
            .map(drop)
    }
}

fn git(shell: &Shell, what: &str, words: &[&str]) -> Result<String> {
    run::output(what, cmd!(shell, "git {words...}"))
        .with_context(|| "git has to be installed, and this to be a clone")
}

/// The versions that tags are named after.
fn versions_of(tags: &str) -> Vec<Version> {
    tags.lines().filter_map(|tag| Version::parse(tag.strip_prefix('v')?).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_as_such_and_other_tags_are_none() {
        let found = versions_of("v0.9.0\nv0.10.0\nv0.10.0-rc.1\nvnext\n1.0.0\n");
        assert_eq!(found.iter().max().map(tag_of).as_deref(), Some("v0.10.0"));
        assert_eq!(found.len(), 3);
    }
}
