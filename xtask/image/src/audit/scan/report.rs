//! What scanners print, read into one form.

use std::fmt;

use anyhow::{Context, Result};
use serde_json::Value;

use super::Kind;

/// A scanner whose output is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    Grype,
    OsvScanner,
    Trivy,
}

/// A known vulnerability of one package.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Vulnerability {
    pub(super) kind: Kind,
    pub(super) id: String,
    pub(super) package: String,
    pub(super) version: String,
    /// The version that no longer has it, when there is one.
    pub(super) fixed: Option<String>,
}

impl fmt::Display for Vulnerability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { id, package, version, fixed, .. } = self;
        write!(f, "{id} {package} {version}")?;
        fixed.iter().try_for_each(|fixed| write!(f, " (fixed in {fixed})"))
    }
}

impl Format {
    /// The vulnerabilities in a report; an error when it is no report.
    pub(super) fn read(self, text: &str) -> Result<Vec<Vulnerability>> {
        let report: Value = serde_json::from_str(text).context("its output is not JSON")?;
        match self {
            Self::Grype => grype(&report),
            Self::OsvScanner => osv_scanner(&report),
            Self::Trivy => trivy(&report),
        }
    }
}

fn list<'a>(value: &'a Value, key: &str) -> impl Iterator<Item = &'a Value> {
    value[key].as_array().into_iter().flatten()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn some(value: &Value) -> Option<String> {
    value.as_str().filter(|text| !text.is_empty()).map(str::to_owned)
}

fn grype(report: &Value) -> Result<Vec<Vulnerability>> {
    let matches = report["matches"].as_array().context("its output has no matches")?;
    let read = |one: &Value| {
        let (vulnerability, artifact) = (&one["vulnerability"], &one["artifact"]);
        Some(Vulnerability {
            kind: Kind::of(artifact["purl"].as_str()?)?,
            id: text(&vulnerability["id"]),
            package: text(&artifact["name"]),
            version: text(&artifact["version"]),
            fixed: some(&vulnerability["fix"]["versions"][0]),
        })
    };
    Ok(matches.iter().filter_map(read).collect())
}

fn trivy(report: &Value) -> Result<Vec<Vulnerability>> {
    report["SchemaVersion"].as_u64().context("its output has no SchemaVersion")?;
    let found = list(report, "Results").flat_map(|result| list(result, "Vulnerabilities"));
    let read = |one: &Value| {
        Some(Vulnerability {
            kind: Kind::of(one["PkgIdentifier"]["PURL"].as_str()?)?,
            id: text(&one["VulnerabilityID"]),
            package: text(&one["PkgName"]),
            version: text(&one["InstalledVersion"]),
            fixed: some(&one["FixedVersion"]),
        })
    };
    Ok(found.filter_map(read).collect())
}

fn osv_scanner(report: &Value) -> Result<Vec<Vulnerability>> {
    report["results"].as_array().context("its output has no results")?;
    let packages = list(report, "results").flat_map(|result| list(result, "packages"));
    Ok(packages
        .flat_map(|entry| {
            let package = &entry["package"];
            list(entry, "vulnerabilities").filter_map(move |one| {
                let ecosystem = package["ecosystem"].as_str()?;
                Some(Vulnerability {
                    kind: of_ecosystem(ecosystem.split(':').next()?)?,
                    id: text(&one["id"]),
                    package: text(&package["name"]),
                    version: text(&package["version"]),
                    fixed: fixed(one, package),
                })
            })
        })
        .collect())
}

fn of_ecosystem(name: &str) -> Option<Kind> {
    match name {
        "Debian" => Some(Kind::Debian),
        "PyPI" => Some(Kind::Python),
        "crates.io" => Some(Kind::Rust),
        "npm" => Some(Kind::Npm),
        _ => None,
    }
}

/// The last version that an OSV record names as a fix for a package. A record may
/// speak of other packages and of other releases of Debian too; for Git, a fix is a commit.
fn fixed(record: &Value, package: &Value) -> Option<String> {
    let same = |affected: &&Value| {
        ["name", "ecosystem"].iter().all(|key| affected["package"][key] == package[key])
    };
    let ranges = list(record, "affected")
        .filter(same)
        .flat_map(|one| list(one, "ranges"))
        .filter(|range| range["type"] != "GIT");
    ranges.flat_map(|range| list(range, "events")).filter_map(|event| some(&event["fixed"])).last()
}
