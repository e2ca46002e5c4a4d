//! Where an image comes from: an in-toto statement with SLSA's provenance (v1) about
//! its digest, in a DSSE envelope beside the archive. It carries no time and no random
//! number, so two runs on one commit write the same.

pub(crate) mod envelope;
pub(crate) mod key;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::pins::{self, Pin};
use super::settings::Source;
use super::{hash, oci};
use envelope::Envelope;
use key::SigningKey;
use xtask::platform::Platform;
use xtask::{files, repo};

const STATEMENT: &str = "https://in-toto.io/Statement/v1";
const PREDICATE: &str = "https://slsa.dev/provenance/v1";
/// How the parameters of a build are to be read.
const BUILD_TYPE: &str = "urn:santaserver:build:xtask-image:1";
const BUILDER: &str = "urn:santaserver:builder:cargo-xtask-image";
/// Every file that pins something that gets into an image.
const LOCKS: [&str; 5] = [
    "Cargo.lock",
    "backend/requirements.txt",
    "docker/rootfs.lock",
    "docker/rootfs.toml",
    "frontend/package-lock.json",
];

/// What a statement is made of.
pub(crate) struct Build<'a> {
    pub(crate) tag: &'a str,
    /// Of the image's manifest, with `sha256:`.
    pub(crate) digest: &'a str,
    pub(crate) platform: Platform,
    pub(crate) revision: &'a str,
    /// Whether the programs were built elsewhere.
    pub(crate) foreign_binaries: bool,
    pub(crate) pins: &'a [Pin],
    /// Paths of the lock files with their SHA-256.
    pub(crate) locks: Vec<(&'static str, String)>,
}

/// Where an archive's provenance lies.
pub(crate) fn beside(archive: &Path) -> PathBuf {
    let mut name = archive.as_os_str().to_owned();
    name.push(".intoto.json");
    PathBuf::from(name)
}

/// Writes the statement about an image beside its archive, signed when there is a key.
pub(crate) fn write(
    image: &oci::Image,
    source: &Source,
    foreign_binaries: bool,
    archive: &Path,
    key: Option<&SigningKey>,
) -> Result<()> {
    let pins = pins::parse(&files::text(&repo::path(pins::FILE)))?;
    let statement = statement(&Build {
        tag: &image.full_tag(),
        digest: &image.digest(),
        platform: image.platform,
        revision: &source.revision,
        foreign_binaries,
        pins: &pins,
        locks: lock_files()?,
    });
    let file = beside(archive);
    std::fs::write(&file, Envelope::seal(&statement, key).to_text())
        .with_context(|| format!("cannot write {}", repo::shown(&file)))
}

fn lock_files() -> Result<Vec<(&'static str, String)>> {
    let sum = |name: &'static str| {
        let bytes = std::fs::read(repo::path(name));
        Ok((name, hash::sha256(&bytes.with_context(|| format!("cannot read {name}"))?)))
    };
    LOCKS.into_iter().map(sum).collect()
}

/// The statement.
pub(crate) fn statement(build: &Build<'_>) -> Value {
    let digits = |digest: &str| digest.trim_start_matches("sha256:").to_owned();
    let source = json!({
        "name": "source",
        "digest": { "gitCommit": build.revision },
    });
    let locks =
        build.locks.iter().map(|(name, sum)| json!({ "name": name, "digest": { "sha256": sum } }));
    let packages = build
        .pins
        .iter()
        .filter(|pin| [build.platform.debian, "all"].contains(&pin.architecture.as_str()))
        .map(|pin| {
            json!({
                "name": pin.name,
                "uri": format!("pkg:deb/debian/{}@{}?arch={}", pin.name, pin.version, pin.architecture),
                "digest": { "sha256": pin.sha256 },
            })
        });
    let dependencies: Vec<Value> = [source].into_iter().chain(locks).chain(packages).collect();
    json!({
        "_type": STATEMENT,
        "subject": [{ "name": build.tag, "digest": { "sha256": digits(build.digest) } }],
        "predicateType": PREDICATE,
        "predicate": {
            "buildDefinition": {
                "buildType": BUILD_TYPE,
                "externalParameters": {
                    "command": "cargo xtask image",
                    "platform": format!("linux/{}", build.platform.debian),
                    "programs": if build.foreign_binaries { "built elsewhere" } else { "built here" },
                },
                "resolvedDependencies": dependencies,
            },
            "runDetails": { "builder": { "id": BUILDER } },
        },
    })
}

/// What is wrong with a statement about an image of this digest and revision.
pub(crate) fn mismatches(statement: &Value, digest: &str, revision: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    if statement["_type"] != STATEMENT || statement["predicateType"] != PREDICATE {
        wrong.push("it is not an in-toto statement of SLSA's provenance v1".to_owned());
        return wrong;
    }
    let subjects = statement["subject"].as_array().map(Vec::as_slice).unwrap_or_default();
    let digits = digest.trim_start_matches("sha256:");
    if !subjects.iter().any(|one| one["digest"]["sha256"] == digits) {
        wrong.push(format!("it is not about this image, {digest}"));
    }
    let definition = &statement["predicate"]["buildDefinition"];
    let dependencies = definition["resolvedDependencies"].as_array();
    let commits =
        dependencies.into_iter().flatten().filter_map(|one| one["digest"]["gitCommit"].as_str());
    if !commits.clone().any(|commit| commit == revision) {
        let named = commits.collect::<Vec<_>>().join(", ");
        wrong.push(format!("it names the commit \"{named}\", the image \"{revision}\""));
    }
    wrong
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGEST: &str = "sha256:ab12";

    fn pin(name: &str, architecture: &str) -> Pin {
        let text = |text: &str| text.to_owned();
        Pin {
            architecture: text(architecture),
            name: text(name),
            version: text("1.2-3"),
            sha256: text("cd"),
            path: text("debian/pool/x"),
        }
    }

    fn example(pins: &[Pin]) -> Value {
        statement(&Build {
            tag: "localhost/santaserver:unified",
            digest: DIGEST,
            platform: Platform::named("linux/arm64").expect("known"),
            revision: "0123",
            foreign_binaries: false,
            pins,
            locks: vec![("Cargo.lock", "ef".to_owned())],
        })
    }

    #[test]
    fn a_statement_names_what_went_into_the_image() {
        let pins = [pin("libc6", "arm64"), pin("libc6", "amd64"), pin("tzdata", "all")];
        let made = example(&pins);
        assert_eq!(made["subject"][0]["digest"]["sha256"], "ab12");
        let list = &made["predicate"]["buildDefinition"]["resolvedDependencies"];
        let names: Vec<_> =
            list.as_array().expect("a list").iter().map(|one| one["name"].clone()).collect();
        assert_eq!(names, ["source", "Cargo.lock", "libc6", "tzdata"]);
        assert_eq!(list[2]["uri"], "pkg:deb/debian/libc6@1.2-3?arch=arm64");
    }

    #[test]
    fn only_a_statement_about_the_image_fits_it() {
        let made = example(&[]);
        assert_eq!(mismatches(&made, DIGEST, "0123"), Vec::<String>::new());
        assert!(mismatches(&made, "sha256:ab13", "0123")[0].contains("not about this image"));
        assert!(mismatches(&made, DIGEST, "0124")[0].contains("names the commit \"0123\""));
        let mut other = made.clone();
        other["predicateType"] = "https://example.com/other".into();
        assert!(mismatches(&other, DIGEST, "0123")[0].contains("not an in-toto statement"));
        for broken in
            [Value::Null, json!([]), json!({ "_type": STATEMENT, "predicateType": PREDICATE })]
        {
            assert_ne!(mismatches(&broken, DIGEST, "0123"), Vec::<String>::new());
        }
    }
}
