//! What a scanner reads: the packages and the controls, as CycloneDX or as osv-scanner's
//! own lock file.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::report::Format;
use super::{KINDS, Kind, Package, debian_url};

/// The document for a scanner, and how its file is called.
pub(super) fn document(format: Format, packages: &[Package]) -> (&'static str, String) {
    let release = packages
        .iter()
        .find_map(|package| package.url.rsplit_once("distro=debian-").map(|(_, release)| release))
        .unwrap_or_default();
    let controls = KINDS.map(|kind| control(kind, release));
    let mut urls = BTreeSet::new();
    // Packages of one source are one.
    let all = packages.iter().chain(&controls).filter(|package| urls.insert(&package.url));
    let (name, document) = match format {
        Format::OsvScanner => ("osv-scanner.json", lock_file(all, release)),
        Format::Grype | Format::Trivy => ("bom.cdx.json", cyclonedx(all, release)),
    };
    (name, format!("{document:#}\n"))
}

fn control(kind: Kind, release: &str) -> Package {
    let (name, version) = kind.control();
    let url = match kind {
        Kind::Debian => debian_url(name, version, &format!("debian-{release}")),
        _ => format!("{}{name}@{version}", kind.prefix()),
    };
    Package { kind, name: name.to_owned(), version: version.to_owned(), url }
}

fn cyclonedx<'p>(packages: impl Iterator<Item = &'p Package>, release: &str) -> Value {
    let mut components: Vec<Value> = packages
        .map(|package| {
            json!({
                "type": "library", "bom-ref": package.url, "purl": package.url,
                "name": package.name, "version": package.version,
            })
        })
        .collect();
    // Without it trivy leaves Debian's packages out.
    components.push(json!({
        "type": "operating-system", "bom-ref": "os", "name": "debian", "version": release,
    }));
    json!({
        "bomFormat": "CycloneDX", "specVersion": "1.6", "version": 1, "components": components,
    })
}

/// osv-scanner ignores the release of Debian in an SBOM, and would report what any
/// release has.
fn lock_file<'p>(packages: impl Iterator<Item = &'p Package>, release: &str) -> Value {
    let entry = |package: &Package| {
        let ecosystem = match package.kind {
            Kind::Debian => format!("Debian:{release}"),
            Kind::Python => "PyPI".to_owned(),
            Kind::Rust => "crates.io".to_owned(),
            Kind::Npm => "npm".to_owned(),
        };
        json!({"package": {
            "name": package.name, "version": package.version, "ecosystem": ecosystem,
        }})
    };
    json!({"results": [{"packages": packages.map(entry).collect::<Vec<_>>()}]})
}
