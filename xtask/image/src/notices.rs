//! The license texts of what is compiled into the programs and the console.
//! Those of Debian's and Python's packages lie beside their files already.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use serde_json::Value;
use xshell::cmd;

use xtask::platform::Platform;
use xtask::{repo, run};

/// A library that is compiled in.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Library {
    pub(crate) name: String,
    pub(crate) version: String,
    /// SPDX expression, as the library states it.
    pub(crate) license: String,
    /// Folder of its sources.
    folder: String,
}

impl Library {
    /// A library whose license text lies elsewhere.
    pub(crate) fn new(name: String, version: String, license: String) -> Self {
        Self { name, version, license, folder: String::new() }
    }
}

/// The crates of the two programs.
pub(crate) fn crates(platform: Platform) -> Result<Vec<Library>> {
    let shell = run::shell()?;
    let target = platform.rust;
    let text = run::output(
        "list the crates",
        cmd!(shell, "cargo metadata --locked --format-version 1 --filter-platform {target}"),
    )?;
    let metadata: Value = serde_json::from_str(&text).context("cannot read cargo's metadata")?;
    Ok(closure(&metadata, &["santa-proxy", "santa-supervise"]))
}

/// What the named packages are linked with, themselves left out.
fn closure(metadata: &Value, roots: &[&str]) -> Vec<Library> {
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let packages: BTreeMap<String, Value> = list(&metadata["packages"])
        .into_iter()
        .map(|package| (text(&package["id"]), package))
        .collect();
    let needs: BTreeMap<String, Vec<String>> = list(&metadata["resolve"]["nodes"])
        .iter()
        .map(|node| {
            let linked = list(&node["deps"])
                .into_iter()
                .filter(|dep| list(&dep["dep_kinds"]).iter().any(|kind| kind["kind"].is_null()))
                .map(|dep| text(&dep["pkg"]))
                .collect();
            (text(&node["id"]), linked)
        })
        .collect();
    let is_root = |package: &Value| roots.contains(&text(&package["name"]).as_str());
    let mut open: Vec<String> =
        packages.iter().filter(|(_, package)| is_root(package)).map(|(id, _)| id.clone()).collect();
    let mut seen = BTreeSet::new();
    while let Some(id) = open.pop() {
        if seen.insert(id.clone()) {
            open.extend(needs.get(&id).cloned().unwrap_or_default());
        }
    }
    let linked = seen.iter().filter_map(|id| packages.get(id));
    let mut found: Vec<Library> =
        linked.filter(|package| !package["source"].is_null()).map(library).collect();
    found.sort();
    found
}

fn library(package: &Value) -> Library {
    let manifest = text(&package["manifest_path"]);
    let folder = Path::new(&manifest).parent().unwrap_or(Path::new("")).display().to_string();
    Library {
        name: text(&package["name"]),
        version: text(&package["version"]),
        license: text(&package["license"]),
        folder,
    }
}

/// The console's libraries: what it depends on, and the framework it is compiled with.
pub(crate) fn console() -> Result<Vec<Library>> {
    let lock = fs::read_to_string(repo::path("frontend/package-lock.json"))
        .context("cannot read frontend/package-lock.json")?;
    let lock: Value =
        serde_json::from_str(&lock).context("cannot read frontend/package-lock.json")?;
    Ok(bundled(&lock, &repo::path("frontend").display().to_string()))
}

const FRAMEWORK: [&str; 2] = ["node_modules/svelte", "node_modules/@sveltejs/kit"];

fn bundled(lock: &Value, folder: &str) -> Vec<Library> {
    let packages = lock["packages"].as_object().cloned().unwrap_or_default();
    packages
        .iter()
        .filter(|(path, package)| {
            let shipped =
                package["dev"] != true && package["devOptional"] != true && package["peer"] != true;
            FRAMEWORK.contains(&path.as_str()) || (shipped && !path.is_empty())
        })
        .map(|(path, package)| Library {
            name: path.rsplit("node_modules/").next().unwrap_or(path).to_owned(),
            version: text(&package["version"]),
            license: text(&package["license"]),
            folder: format!("{folder}/{path}"),
        })
        .collect()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// All license texts, each once, under the libraries that it is of.
pub(crate) fn texts(libraries: &[Library]) -> String {
    let mut owners: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for library in libraries {
        let title = format!("{} {} ({})", library.name, library.version, library.license);
        for text in license_files(Path::new(&library.folder)) {
            owners.entry(text).or_default().insert(title.clone());
        }
    }
    let mut parts: Vec<String> = owners
        .into_iter()
        .map(|(text, titles)| {
            format!(
                "{}\n\n{}\n",
                titles.into_iter().collect::<Vec<_>>().join("\n"),
                text.trim_end()
            )
        })
        .collect();
    parts.sort();
    parts.join(&format!("\n{}\n\n", "-".repeat(80)))
}

fn license_files(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok);
    let named = entries.filter(|entry| {
        let name = entry.file_name().to_string_lossy().to_uppercase();
        ["LICENSE", "LICENCE", "COPYING", "NOTICE", "UNLICENSE"]
            .iter()
            .any(|start| name.starts_with(start))
    });
    let mut found: Vec<String> =
        named.filter_map(|entry| fs::read_to_string(entry.path()).ok()).collect();
    found.sort();
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_linked_counts_and_what_only_builds_or_tests_does_not() {
        let package = |name: &str, source: Value| json!({"id": name, "name": name, "version": "1", "license": "MIT", "manifest_path": "/x/Cargo.toml", "source": source});
        let dep = |name: &str, kind: Value| json!({"pkg": name, "dep_kinds": [{"kind": kind}]});
        let metadata = json!({
            "packages": [package("proxy", json!(null)), package("linked", json!("r")), package("deep", json!("r")), package("tests", json!("r"))],
            "resolve": {"nodes": [
                {"id": "proxy", "deps": [dep("linked", json!(null)), dep("tests", json!("dev"))]},
                {"id": "linked", "deps": [dep("deep", json!(null))]},
            ]},
        });
        let names: Vec<String> =
            closure(&metadata, &["proxy"]).into_iter().map(|library| library.name).collect();
        assert_eq!(names, ["deep", "linked"]);
    }

    #[test]
    fn one_text_is_written_once_for_all_its_owners() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let library = |name: &str| {
            let own = folder.path().join(name);
            fs::create_dir(&own).expect("made");
            fs::write(own.join("LICENSE"), "the text").expect("written");
            Library {
                name: name.to_owned(),
                version: "1".to_owned(),
                license: "MIT".to_owned(),
                folder: own.display().to_string(),
            }
        };
        assert_eq!(texts(&[library("b"), library("a")]), "a 1 (MIT)\nb 1 (MIT)\n\nthe text\n");
    }
}
