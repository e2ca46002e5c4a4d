//! Known vulnerabilities, from a database of OSV records that is handed in. Where
//! there is none, or it knows nothing of a kind of package, that is "not checked":
//! silence about an unknown package is not good news.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use serde_json::Value;

use super::super::sbom;
use super::archive::Image;
use super::finding::Finding;

/// Kinds of package URLs and OSV's names of their ecosystems.
const ECOSYSTEMS: [(&str, &str); 4] =
    [("deb", "Debian:13"), ("pypi", "PyPI"), ("cargo", "crates.io"), ("npm", "npm")];

/// Reads the records: one JSON file, one record a line, or a folder of files.
pub(crate) fn load(path: &Path) -> Result<Vec<Value>> {
    if path.is_dir() {
        let mut all = Vec::new();
        for entry in
            fs::read_dir(path).with_context(|| format!("cannot read {}", path.display()))?
        {
            let file = entry?.path();
            if file.extension().is_some_and(|ending| ending == "json" || ending == "jsonl") {
                all.extend(load(&file)?);
            }
        }
        return Ok(all);
    }
    let text =
        fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let values = serde_json::Deserializer::from_str(&text).into_iter::<Value>();
    let values: Vec<Value> = values
        .collect::<Result<_, _>>()
        .with_context(|| format!("{} is not JSON", path.display()))?;
    Ok(values
        .into_iter()
        .flat_map(|value| match value {
            Value::Array(list) => list,
            one => vec![one],
        })
        .collect())
}

/// A line for each kind of package.
pub(crate) fn check(image: &Image, database: Option<&[Value]>) -> Vec<Finding> {
    const NAMES: [&str; 4] =
        ["advisories deb", "advisories pypi", "advisories cargo", "advisories npm"];
    let text = image.text(sbom::PATH).unwrap_or_default();
    let bill: Value = serde_json::from_str(&text).unwrap_or_default();
    let components = bill["components"].as_array().cloned().unwrap_or_default();
    let kinds = ECOSYSTEMS.iter().zip(NAMES);
    kinds
        .map(|((kind, ecosystem), name)| one_kind(name, kind, ecosystem, &components, database))
        .collect()
}

fn one_kind(
    name: &'static str,
    kind: &str,
    ecosystem: &str,
    components: &[Value],
    database: Option<&[Value]>,
) -> Finding {
    let start = format!("pkg:{kind}/");
    let own: Vec<&Value> = components
        .iter()
        .filter(|part| part["purl"].as_str().is_some_and(|url| url.starts_with(&start)))
        .collect();
    let Some(database) = database else {
        return Finding::not_checked(
            name,
            format!(
                "{} packages; no database was given (--advisories FILE, OSV records)",
                own.len()
            ),
        );
    };
    let records: Vec<(&Value, &Value)> = database
        .iter()
        .flat_map(|record| {
            record["affected"]
                .as_array()
                .into_iter()
                .flatten()
                .map(move |affected| (record, affected))
        })
        .filter(|(_, affected)| affected["package"]["ecosystem"] == ecosystem)
        .collect();
    if records.is_empty() {
        return Finding::not_checked(
            name,
            format!("{} packages; the database has no record of {ecosystem}", own.len()),
        );
    }
    let mut affected = BTreeSet::new();
    for part in &own {
        for (record, entry) in &records {
            if let Some(why) = concerns(part, entry) {
                affected.insert(format!(
                    "{} {} {}{why}",
                    text(&record["id"]),
                    text(&part["name"]),
                    text(&part["version"])
                ));
            }
        }
    }
    Finding::none(
        name,
        format!("{} packages, none in {} records", own.len(), records.len()),
        affected.into_iter().collect(),
    )
}

/// Whether a record concerns this component; the text marks what a person must decide.
fn concerns(part: &Value, affected: &Value) -> Option<&'static str> {
    if affected["package"]["name"] != part["name"] {
        return None;
    }
    let version = text(&part["version"]);
    let listed = affected["versions"].as_array().cloned().unwrap_or_default();
    if !listed.is_empty() {
        return listed.iter().any(|one| one == version.as_str()).then_some("");
    }
    let ranges = affected["ranges"].as_array().cloned().unwrap_or_default();
    // Other kinds of ranges follow rules of their own.
    if ranges.is_empty() || ranges.iter().any(|range| range["type"] != "SEMVER") {
        return Some(" (perhaps: only a range is given)");
    }
    ranges.iter().any(|range| in_range(&version, range)).then_some("")
}

/// Walks the events in order: the last one at or below the version decides.
fn in_range(version: &str, range: &Value) -> bool {
    let mut inside = false;
    for event in range["events"].as_array().into_iter().flatten() {
        if let Some(from) = event["introduced"].as_str() {
            inside |= numbers(version) >= numbers(from);
        }
        if let Some(until) = event["fixed"].as_str() {
            inside &= numbers(version) < numbers(until);
        }
        if let Some(last) = event["last_affected"].as_str() {
            inside &= numbers(version) <= numbers(last);
        }
    }
    inside
}

/// The numbers of a semantic version; what follows them is left out.
fn numbers(version: &str) -> Vec<u64> {
    let plain = version.split(['-', '+']).next().unwrap_or_default();
    let mut numbers: Vec<u64> = plain.split('.').map(|part| part.parse().unwrap_or(0)).collect();
    numbers.resize(3, 0);
    numbers
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::super::finding::Verdict;
    use super::*;
    use serde_json::json;

    fn verdict(database: Option<&[Value]>) -> Verdict {
        let part = json!({"name": "fastapi", "version": "1.2.3", "purl": "pkg:pypi/fastapi@1.2.3"});
        one_kind("x", "pypi", "PyPI", &[part], database).verdict
    }

    fn record(ecosystem: &str, affected: Value) -> Value {
        let mut affected = affected;
        affected["package"] = json!({"ecosystem": ecosystem, "name": "fastapi"});
        json!({"id": "X-1", "affected": [affected]})
    }

    #[test]
    fn a_database_that_knows_nothing_is_not_good_news() {
        assert_eq!(verdict(None), Verdict::NotChecked);
        assert_eq!(verdict(Some(&[])), Verdict::NotChecked);
        let other = [record("npm", json!({"versions": ["1.2.3"]}))];
        assert_eq!(verdict(Some(&other)), Verdict::NotChecked);
    }

    #[test]
    fn listed_versions_and_ranges_are_found_and_others_are_not() {
        let ranged = |kind: &str, fixed: &str| json!({"ranges": [{"type": kind, "events": [{"introduced": "0"}, {"fixed": fixed}]}]});
        for (affected, expected) in [
            (json!({"versions": ["1.2.3"]}), Verdict::Failed),
            (json!({"versions": ["1.2.2"]}), Verdict::Holds),
            (ranged("SEMVER", "1.2.4"), Verdict::Failed),
            (ranged("SEMVER", "1.2.3"), Verdict::Holds),
            (ranged("ECOSYSTEM", "1.2.3"), Verdict::Failed),
        ] {
            let database = [record("PyPI", affected.clone())];
            assert_eq!(verdict(Some(&database)), expected, "{affected}");
        }
    }
}
