//! Lock files carry names, versions and hashes, so that what is installed is
//! what was meant wherever it comes from; addresses of registries have no place
//! in them, since every machine has its own.

use anyhow::{Result, bail};
use serde_json::Value;
use toml::Table;

use crate::{files, repo};

const NPM: [&str; 3] = [
    "backend/tests/provider/package-lock.json",
    "frontend/package-lock.json",
    "xtask/tools/package-lock.json",
];
const PYTHON: [&str; 9] = [
    "backend/requirements.txt",
    "backend/requirements-dev.txt",
    "xtask/tools/circus.txt",
    "xtask/tools/kubernetes.txt",
    "xtask/tools/nextest.txt",
    "xtask/tools/node.txt",
    "xtask/tools/sbom.txt",
    "xtask/tools/squawk.txt",
    "xtask/tools/uv.txt",
];

/// What cargo calls the one registry it may use; it writes this itself.
const CARGO_SOURCE: &str = "registry+https://github.com/rust-lang/crates.io-index";

/// Checks all lock files and reports everything at once.
pub(crate) fn check() -> Result<()> {
    let mut wrong: Vec<String> = Vec::new();
    for name in NPM {
        wrong.extend(
            npm(&files::text(&repo::path(name))).into_iter().map(|text| format!("{name}: {text}")),
        );
    }
    for name in PYTHON {
        wrong.extend(
            python(&files::text(&repo::path(name)))
                .into_iter()
                .map(|text| format!("{name}: {text}")),
        );
    }
    wrong.extend(
        cargo(&files::text(&repo::path("Cargo.lock")))
            .into_iter()
            .map(|text| format!("Cargo.lock: {text}")),
    );
    if !wrong.is_empty() {
        bail!("{}", wrong.join("\n"));
    }
    Ok(())
}

fn npm(text: &str) -> Vec<String> {
    let Ok(lock) = serde_json::from_str::<Value>(text) else {
        return vec!["is missing or not JSON".to_owned()];
    };
    let Some(packages) = lock["packages"].as_object() else {
        return vec!["has no packages".to_owned()];
    };
    let mut wrong = Vec::new();
    for (path, package) in
        packages.iter().filter(|(path, package)| !path.is_empty() && package["link"] != true)
    {
        if package.get("resolved").is_some() {
            wrong.push(format!("{path} names an address; run npm with omit-lockfile-registry-resolved=true (frontend/.npmrc)"));
        }
        if !package["integrity"].is_string() || !package["version"].is_string() {
            wrong.push(format!("{path} has no version or no integrity hash; remove it from the lock and install again"));
        }
    }
    wrong
}

fn python(text: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    if text.trim().is_empty() {
        wrong.push("is missing or empty".to_owned());
    }
    if text.contains("://") || text.contains("--index") || text.contains("--find-links") {
        wrong.push("names an address; export with --no-emit-index-url".to_owned());
    }
    for entry in text
        .replace("\\\n", " ")
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
    {
        let name = entry.split([' ', ';', '=']).next().unwrap_or_default();
        if !entry.contains("==") || !entry.contains("--hash=sha256:") {
            wrong.push(format!(
                "{name} has no exact version or no hash; export with --generate-hashes"
            ));
        }
    }
    wrong
}

fn cargo(text: &str) -> Vec<String> {
    let Ok(lock) = text.parse::<Table>() else { return vec!["is missing or not TOML".to_owned()] };
    let packages = lock.get("package").and_then(toml::Value::as_array).into_iter().flatten();
    let field = |package: &toml::Value, key: &str| {
        package.get(key).and_then(toml::Value::as_str).map(str::to_owned)
    };
    packages
        .filter_map(|package| {
            let source = field(package, "source")?;
            let right = source == CARGO_SOURCE && field(package, "checksum").is_some();
            (!right).then(|| {
                format!(
                    "{} comes from {source} or has no checksum",
                    field(package, "name").unwrap_or_default()
                )
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_or_a_missing_hash_is_found() {
        assert!(npm(r#"{"packages":{"":{},"node_modules/a":{"version":"1.0.0","integrity":"sha512-x"}}}"#).is_empty());
        assert_eq!(npm(r#"{"packages":{"node_modules/a":{"version":"1.0.0","integrity":"sha512-x","resolved":"https://x/a.tgz"}}}"#).len(), 1);
        assert_eq!(npm(r#"{"packages":{"node_modules/a":{"version":"1.0.0"}}}"#).len(), 1);
        assert!(python("a==1 \\\n    --hash=sha256:00\n").is_empty());
        assert_eq!(python("a==1\n").len(), 1);
        assert_eq!(python("--index-url https://x/simple\na==1 --hash=sha256:00\n").len(), 2);
        assert_eq!(python("").len(), 1);
        assert_eq!(cargo("[[package]]\nname = \"a\"\nsource = \"git+https://x\"\n").len(), 1);
    }
}
