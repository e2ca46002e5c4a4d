//! Known vulnerabilities, from a database of OSV records that is handed in. Where
//! there is none, or it knows nothing of a kind of package, that is "not checked":
//! silence about an unknown package is not good news.

use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::super::sbom;
use super::archive::Image;
use super::finding::Finding;
use super::versions::Scheme;

/// A kind of packages, as package URLs and as OSV call it.
struct Kind {
    name: &'static str,
    url: &'static str,
    ecosystem: &'static str,
    scheme: Scheme,
}

const KINDS: [Kind; 4] = [
    Kind {
        name: "advisories deb",
        url: "pkg:deb/debian/",
        ecosystem: "Debian",
        scheme: Scheme::Debian,
    },
    Kind { name: "advisories pypi", url: "pkg:pypi/", ecosystem: "PyPI", scheme: Scheme::Python },
    Kind {
        name: "advisories cargo",
        url: "pkg:cargo/",
        ecosystem: "crates.io",
        scheme: Scheme::Semantic,
    },
    Kind { name: "advisories npm", url: "pkg:npm/", ecosystem: "npm", scheme: Scheme::Semantic },
];

/// A package as advisories name it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Package {
    name: String,
    version: String,
}

/// Reads the records: a file with one record, a list of them or one a line, or a
/// folder with any number of such files and folders.
pub(crate) fn load(path: &Path) -> Result<Vec<Value>> {
    let shown = path.display();
    if path.is_dir() {
        let mut all = Vec::new();
        for entry in fs::read_dir(path).with_context(|| format!("cannot read {shown}"))? {
            let file = entry?.path();
            let ending = file.extension().is_some_and(|end| end == "json" || end == "jsonl");
            if ending || file.is_dir() {
                all.extend(load(&file)?);
            }
        }
        return Ok(all);
    }
    let text = fs::read_to_string(path).with_context(|| format!("cannot read {shown}"))?;
    let values = serde_json::Deserializer::from_str(&text).into_iter::<Value>();
    let values: Vec<Value> =
        values.collect::<Result<_, _>>().with_context(|| format!("{shown} is not JSON"))?;
    let records: Vec<Value> = values
        .into_iter()
        .flat_map(|value| match value {
            Value::Array(list) => list,
            one => vec![one],
        })
        .collect();
    let known = records.iter().all(|record| record["id"].is_string());
    ensure!(known, "{shown} holds something that is no OSV record (it has no id)");
    Ok(records)
}

/// A line for each kind of package.
pub(crate) fn check(image: &Image, database: Option<&[Value]>) -> Vec<Finding> {
    let text = image.text(sbom::PATH).unwrap_or_default();
    let bill: Value = serde_json::from_str(&text).unwrap_or_default();
    let components = bill["components"].as_array().cloned().unwrap_or_default();
    KINDS
        .iter()
        .map(|kind| {
            let url = |part: &&Value| text_of(&part["purl"]).starts_with(kind.url);
            let own: Vec<&Value> = components.iter().filter(url).collect();
            let release = own.first().and_then(|part| release(&text_of(&part["purl"])));
            let packages: Vec<Package> = own
                .into_iter()
                .map(|part| Package {
                    name: text_of(&part["name"]),
                    version: text_of(&part["version"]),
                })
                .map(|package| match kind.scheme {
                    Scheme::Debian => {
                        let (name, version) =
                            sbom::made_from(&image.tree, &package.name, &package.version);
                        Package { name, version }
                    }
                    Scheme::Python => Package { name: normal(&package.name), ..package },
                    Scheme::Semantic => package,
                })
                .collect();
            of_kind(kind, release.as_deref(), &packages, database)
        })
        .collect()
}

/// The release in a package URL such as `pkg:deb/debian/x@1?distro=debian-13`.
fn release(url: &str) -> Option<String> {
    let (_, qualifiers) = url.split_once('?')?;
    let mut found = qualifiers.split('&').filter_map(|part| part.strip_prefix("distro=debian-"));
    found.next().map(str::to_owned)
}

/// A Python name as the index compares names.
fn normal(name: &str) -> String {
    let parts = name.split(['-', '_', '.']).filter(|part| !part.is_empty());
    parts.collect::<Vec<_>>().join("-").to_lowercase()
}

fn of_kind(
    kind: &Kind,
    release: Option<&str>,
    packages: &[Package],
    database: Option<&[Value]>,
) -> Finding {
    let count = packages.len();
    let Some(database) = database else {
        let why =
            format!("{count} packages; no database was given (--advisories PATH, OSV records)");
        return Finding::not_checked(kind.name, why);
    };
    let records: Vec<(&Value, &Value)> = database
        .iter()
        .filter(|record| record["withdrawn"].is_null())
        .flat_map(|record| {
            let affected = record["affected"].as_array().into_iter().flatten();
            affected.map(move |affected| (record, affected))
        })
        .filter(|(_, affected)| {
            let ecosystem = text_of(&affected["package"]["ecosystem"]);
            let (name, of) = ecosystem.split_once(':').unwrap_or((&ecosystem, ""));
            name == kind.ecosystem && (of.is_empty() || Some(of) == release)
        })
        .collect();
    if records.is_empty() {
        let ecosystem = release
            .map_or(kind.ecosystem.to_owned(), |release| format!("{}:{release}", kind.ecosystem));
        let why = format!("{count} packages; the database has no record of {ecosystem}");
        return Finding::not_checked(kind.name, why);
    }
    let affected: BTreeSet<String> = packages
        .iter()
        .flat_map(|package| records.iter().map(move |record| (package, record)))
        .filter_map(|(package, (record, affected))| {
            let why = concerns(kind.scheme, package, affected)?;
            Some(format!("{} {} {}{why}", text_of(&record["id"]), package.name, package.version))
        })
        .collect();
    let promise = format!("{count} packages, none in {} records", records.len());
    Finding::none(kind.name, promise, affected.into_iter().collect())
}

/// Whether a record concerns this package, as OSV's specification evaluates it; the
/// text adds what a person has to know.
fn concerns(scheme: Scheme, package: &Package, affected: &Value) -> Option<String> {
    let name = text_of(&affected["package"]["name"]);
    let name = if scheme == Scheme::Python { normal(&name) } else { name };
    if name != package.name {
        return None;
    }
    let mut listed = affected["versions"].as_array().into_iter().flatten();
    if listed.any(|one| one == package.version.as_str()) {
        return Some(String::new());
    }
    // Commits say nothing about a released package.
    let ranges = affected["ranges"].as_array().into_iter().flatten();
    let ranges: Vec<&Value> = ranges.filter(|range| range["type"] != "GIT").collect();
    if ranges.is_empty() && affected["versions"].as_array().is_none_or(Vec::is_empty) {
        return Some(" (perhaps: the record names no version)".to_owned());
    }
    ranges.into_iter().find_map(|range| match in_range(scheme, &package.version, range) {
        Some(false) => None,
        Some(true) => Some(remedy(range)),
        None => Some(" (perhaps: a version cannot be compared)".to_owned()),
    })
}

fn remedy(range: &Value) -> String {
    let events = range["events"].as_array().into_iter().flatten();
    let fixed: Vec<&str> = events.filter_map(|event| event["fixed"].as_str()).collect();
    match fixed.last() {
        Some(version) => format!(" (fixed in {version})"),
        None => String::new(),
    }
}

/// Walks the events from the earliest version to the latest: the last one that the
/// version has reached decides. None when versions cannot be compared.
fn in_range(scheme: Scheme, version: &str, range: &Value) -> Option<bool> {
    let mut events = Vec::new();
    for event in range["events"].as_array()? {
        for (name, at) in event.as_object()? {
            events.push((name.as_str(), at.as_str()?));
        }
    }
    let reached = |at: &str| {
        if at == "0" { Some(Ordering::Greater) } else { scheme.compare(version, at) }
    };
    let mut sorted: Vec<(&str, &str, Ordering)> = Vec::new();
    for (name, at) in events {
        sorted.push((name, at, reached(at)?));
    }
    sorted.sort_by(|(_, one, _), (_, other, _)| match (*one, *other) {
        ("0", "0") => Ordering::Equal,
        ("0", _) => Ordering::Less,
        (_, "0") => Ordering::Greater,
        (one, other) => scheme.compare(one, other).unwrap_or(Ordering::Equal),
    });
    let mut inside = false;
    for (name, _, order) in sorted {
        match name {
            "introduced" => inside |= order.is_ge(),
            "fixed" | "limit" => inside &= order.is_lt(),
            "last_affected" => inside &= order.is_le(),
            _ => {}
        }
    }
    Some(inside)
}

fn text_of(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests;
