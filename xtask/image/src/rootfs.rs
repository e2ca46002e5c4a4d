//! `docker/rootfs.toml`: which packages the base layer is made of and which of
//! their files it takes. Knows nothing of versions; those are in the lock.

use std::collections::BTreeMap;

use anyhow::{Context, Result};

/// Where it is, relative to the repository.
pub(crate) const FILE: &str = "docker/rootfs.toml";

/// The whole file.
pub(crate) struct Rootfs {
    /// Debian's release by name, such as `trixie`.
    pub(crate) suite: String,
    /// The same by number, such as `13`.
    pub(crate) version: String,
    packages: BTreeMap<String, Choice>,
}

/// What is taken of one package.
#[derive(Default)]
struct Choice {
    keep: Vec<String>,
    drop: Vec<String>,
}

impl Rootfs {
    /// Reads the file; an error names the key.
    pub(crate) fn parse(text: &str) -> Result<Self> {
        let table: toml::Table = text.parse().with_context(|| format!("cannot read {FILE}"))?;
        let word = |key: &str| {
            table
                .get(key)
                .and_then(toml::Value::as_str)
                .map(str::to_owned)
                .with_context(|| format!("{FILE}: {key} is missing"))
        };
        let entries = table.get("package").and_then(toml::Value::as_table);
        let entries = entries.with_context(|| format!("{FILE}: no [package.NAME] in it"))?;
        let mut packages = BTreeMap::new();
        for (name, entry) in entries {
            let choice = Choice {
                keep: patterns(name, entry, "keep")?,
                drop: patterns(name, entry, "drop")?,
            };
            packages.insert(name.clone(), choice);
        }
        Ok(Self { suite: word("suite")?, version: word("version")?, packages })
    }

    /// The packages, sorted.
    pub(crate) fn packages(&self) -> impl Iterator<Item = &str> {
        self.packages.keys().map(String::as_str)
    }

    /// Whether `path` (without the leading slash) of `package` goes into the image.
    pub(crate) fn takes(&self, package: &str, path: &str) -> bool {
        let license = path == format!("usr/share/doc/{package}/copyright")
            || path == format!("usr/share/doc/{package}");
        let Some(choice) = self.packages.get(package) else { return false };
        license
            || (choice.keep.iter().any(|pattern| fits(pattern, path))
                && !choice.drop.iter().any(|pattern| fits(pattern, path)))
    }
}

fn patterns(package: &str, entry: &toml::Value, key: &str) -> Result<Vec<String>> {
    let Some(list) = entry.get(key) else { return Ok(Vec::new()) };
    let list = list.as_array().with_context(|| format!("{FILE}: {package}.{key} is not a list"))?;
    list.iter()
        .map(|item| item.as_str().map(str::to_owned))
        .collect::<Option<_>>()
        .with_context(|| format!("{FILE}: {package}.{key} holds something that is not text"))
}

/// Whether `pattern` fits all of `path`; "*" stands for any characters.
fn fits(pattern: &str, path: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == path,
        Some((start, rest)) => path.strip_prefix(start).is_some_and(|path| {
            (0..=path.len())
                .filter(|at| path.is_char_boundary(*at))
                .any(|at| fits(rest, &path[at..]))
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_any_characters() {
        for (pattern, path, expected) in [
            ("usr/lib/*.so*", "usr/lib/x/libz.so.1", true),
            ("usr/lib/*.so*", "usr/lib/x/libz.a", false),
            ("*/test/*", "usr/lib/python3.13/test/a.py", true),
            ("*/test/*", "usr/lib/python3.13/testing.py", false),
            ("usr/bin/x", "usr/bin/xy", false),
        ] {
            assert_eq!(fits(pattern, path), expected, "{pattern} {path}");
        }
    }

    #[test]
    fn a_license_is_always_taken_and_a_foreign_file_never() {
        let rootfs = Rootfs::parse(
            "suite='s'\nversion='1'\n[package.a]\nkeep=['usr/bin/*']\ndrop=['usr/bin/sh']\n",
        )
        .expect("valid");
        let taken = |path: &str| rootfs.takes("a", path);
        assert!(taken("usr/bin/python") && taken("usr/share/doc/a/copyright"));
        assert!(!taken("usr/bin/sh") && !taken("usr/share/doc/a/NEWS") && !taken("etc/shadow"));
        assert!(!rootfs.takes("b", "usr/bin/python"));
    }
}
