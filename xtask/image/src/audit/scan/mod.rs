//! Known vulnerabilities, by a scanner of the machine's over what the image is made of.
//! [`input`] is what it reads, [`scanner`] runs it, [`report`] reads what it prints. Each
//! kind of packages has a control among them: an old release that is known to be
//! vulnerable. A scanner that does not report it has no database for that kind, or does
//! not know it at all, and that it finds nothing in the others means nothing: they were
//! "not checked".

mod input;
mod report;
mod scanner;

use std::collections::BTreeSet;

use anyhow::Result;
use serde_json::Value;

use super::super::sbom;
use super::archive::Image;
use super::finding::Finding;
use report::Vulnerability;

/// A kind of packages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Debian,
    Python,
    Rust,
    Npm,
}

const KINDS: [Kind; 4] = [Kind::Debian, Kind::Python, Kind::Rust, Kind::Npm];

impl Kind {
    /// The line of the table.
    fn title(self) -> &'static str {
        match self {
            Self::Debian => "advisories deb",
            Self::Python => "advisories pypi",
            Self::Rust => "advisories cargo",
            Self::Npm => "advisories npm",
        }
    }

    /// How its package URLs begin.
    fn prefix(self) -> &'static str {
        match self {
            Self::Debian => "pkg:deb/debian/",
            Self::Python => "pkg:pypi/",
            Self::Rust => "pkg:cargo/",
            Self::Npm => "pkg:npm/",
        }
    }

    /// The kind of a package URL.
    fn of(url: &str) -> Option<Self> {
        KINDS.into_iter().find(|kind| url.starts_with(kind.prefix()))
    }

    /// A release with vulnerabilities that have been public for years.
    fn control(self) -> (&'static str, &'static str) {
        match self {
            Self::Debian => ("openssl", "1.0.1e-1"),
            Self::Python => ("jinja2", "2.4.1"),
            Self::Rust => ("smallvec", "0.6.3"),
            Self::Npm => ("lodash", "4.17.4"),
        }
    }
}

/// A package as scanners are asked about it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Package {
    kind: Kind,
    name: String,
    version: String,
    url: String,
}

/// A line for each kind of packages. An error when a scanner was asked for by name and
/// did not check all of them.
pub(super) fn check(image: &Image, wanted: Option<&str>) -> Result<Vec<Finding>> {
    let packages = packages(image);
    let scanned = scanner::choose(wanted).and_then(|found| match found {
        Some(scanner) => scanner.scan(&packages).map(Some),
        None => Ok(None),
    });
    match scanned {
        Ok(Some(scan)) => {
            let lines = KINDS.map(|kind| verdict(kind, &packages, &scan.name, &scan.found));
            if wanted.is_some()
                && let Some(unchecked) = lines.iter().find(|line| line.was_not_checked())
            {
                anyhow::bail!("{}: {}", unchecked.name, unchecked.detail);
            }
            Ok(lines.to_vec())
        }
        Ok(None) => Ok(unchecked(&packages, scanner::NONE)),
        Err(error) if wanted.is_some() || xtask::run::check().is_err() => Err(error),
        Err(error) => Ok(unchecked(&packages, &format!("{error:#}"))),
    }
}

fn unchecked(packages: &[Package], why: &str) -> Vec<Finding> {
    let why = why.lines().next().unwrap_or_default();
    let line = |kind| {
        Finding::not_checked(
            Kind::title(kind),
            format!("{} packages; {why}", count(kind, packages)),
        )
    };
    KINDS.map(line).to_vec()
}

fn count(kind: Kind, packages: &[Package]) -> usize {
    packages.iter().filter(|package| package.kind == kind).count()
}

fn verdict(kind: Kind, packages: &[Package], scanner: &str, found: &[Vulnerability]) -> Finding {
    let (name, version) = kind.control();
    let is_control = |one: &Vulnerability| one.package == name && one.version == version;
    let (control, found): (Vec<_>, Vec<_>) =
        found.iter().filter(|one| one.kind == kind).partition(|one| is_control(one));
    let count = count(kind, packages);
    if control.is_empty() {
        let why = format!(
            "{count} packages; {scanner} finds nothing in {name} {version} either, which is known to be vulnerable: it has no data for this kind"
        );
        return Finding::not_checked(kind.title(), why);
    }
    let ids = |fixable: bool| -> BTreeSet<String> {
        let chosen = found.iter().filter(|one| one.fixed.is_some() == fixable);
        chosen.map(|one| one.to_string()).collect()
    };
    let waiting = match ids(false).len() {
        0 => String::new(),
        many => format!("; {many} are known for which there is no fix yet"),
    };
    let promise = format!(
        "{count} packages, no vulnerability that a newer version fixes{waiting} ({scanner})"
    );
    Finding::none(kind.title(), promise, ids(true).into_iter().collect())
}

/// The packages of the image's bill of materials. Debian's are named by their source,
/// as its advisories do.
fn packages(image: &Image) -> Vec<Package> {
    let text = image.text(sbom::PATH).unwrap_or_default();
    let bill: Value = serde_json::from_str(&text).unwrap_or_default();
    let components = bill["components"].as_array().cloned().unwrap_or_default();
    let field = |part: &Value, key: &str| part[key].as_str().unwrap_or_default().to_owned();
    components
        .iter()
        .filter_map(|part| {
            let url = field(part, "purl");
            let kind = Kind::of(&url)?;
            let (name, version) = (field(part, "name"), field(part, "version"));
            if kind != Kind::Debian {
                return Some(Package { kind, name, version, url });
            }
            let (name, version) = sbom::made_from(&image.tree, &name, &version);
            let release = url.split(['?', '&']).find_map(|part| part.strip_prefix("distro="));
            let url = debian_url(&name, &version, release.unwrap_or_default());
            Some(Package { kind, name, version, url })
        })
        .collect()
}

fn debian_url(name: &str, version: &str, release: &str) -> String {
    let (name, version) = (sbom::escape(name), sbom::escape(version));
    format!("{}{name}@{version}?arch=source&distro={release}", Kind::Debian.prefix())
}

#[cfg(test)]
mod tests;
