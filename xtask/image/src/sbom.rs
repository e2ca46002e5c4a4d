//! The bill of materials: every component of the image as CycloneDX 1.6, with
//! package URLs that scanners know. It carries no time and no random number.

use serde_json::{Value, json};

use super::base::STATUS;
use super::notices::Library;
use super::pins::Pin;
use super::tree::{Node, Tree};

/// Where it is in the image.
pub(crate) const PATH: &str = "usr/share/santaserver/sbom.json";

/// Everything that goes into an image, by where it comes from.
pub(crate) struct Parts<'a> {
    /// Debian's release by number.
    pub(crate) release: &'a str,
    pub(crate) debian: &'a [Pin],
    /// The base layer, whose control files say what Debian's packages are made from.
    pub(crate) base: &'a Tree,
    pub(crate) python: Vec<Library>,
    pub(crate) rust: Vec<Library>,
    pub(crate) console: Vec<Library>,
}

/// The document.
pub(crate) fn document(parts: &Parts<'_>) -> String {
    let mut components: Vec<Value> =
        parts.debian.iter().map(|pin| debian(pin, parts.base, parts.release)).collect();
    for (kind, libraries) in
        [("pypi", &parts.python), ("cargo", &parts.rust), ("npm", &parts.console)]
    {
        components.extend(libraries.iter().map(|library| component(kind, library)));
    }
    let own = json!({
        "type": "application",
        "bom-ref": "santaserver",
        "name": "santaserver",
        "version": env!("CARGO_PKG_VERSION"),
        "licenses": [{ "expression": "Apache-2.0" }],
    });
    let document = json!({
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": { "component": own },
        "components": components,
    });
    format!("{document:#}\n")
}

fn debian(pin: &Pin, base: &Tree, release: &str) -> Value {
    let (name, version) = made_from(base, &pin.name, &pin.version);
    let upstream = match (name == pin.name, version == pin.version) {
        (true, true) => String::new(),
        (_, true) => format!("&upstream={}", escape(&name)),
        (_, false) => format!("&upstream={}", escape(&format!("{name}@{version}"))),
    };
    let url = format!(
        "pkg:deb/debian/{}@{}?arch={}{upstream}&distro=debian-{release}",
        escape(&pin.name),
        escape(&pin.version),
        pin.architecture
    );
    json!({
        "type": "library", "bom-ref": url, "name": pin.name, "version": pin.version, "purl": url,
        "hashes": [{ "alg": "SHA-256", "content": pin.sha256 }],
    })
}

/// Name and version of the source package that a Debian package is made from, which
/// Debian's advisories speak of. Its control file says it where it is another one:
/// `Source: NAME`, or `Source: NAME (VERSION)`.
pub(crate) fn made_from(tree: &Tree, package: &str, version: &str) -> (String, String) {
    let text = match tree.get(&format!("{STATUS}/{package}")) {
        Some(Node::File { bytes, .. }) => String::from_utf8_lossy(bytes),
        _ => "".into(),
    };
    let field =
        text.lines().find_map(|line| line.strip_prefix("Source:")).unwrap_or(package).trim();
    let (name, version) = match field.split_once(" (") {
        Some((name, version)) => (name, version.trim_end_matches(')')),
        None => (field, version),
    };
    (name.to_owned(), version.to_owned())
}

fn component(kind: &str, library: &Library) -> Value {
    let url = format!("pkg:{kind}/{}@{}", escape(&library.name), escape(&library.version));
    let mut component = json!({
        "type": "library", "bom-ref": url, "name": library.name, "version": library.version, "purl": url,
    });
    if !library.license.is_empty() {
        component["licenses"] = json!([{ "license": { "name": library.license } }]);
    }
    component
}

/// Percent-encodes what has a meaning in a package URL.
pub(crate) fn escape(text: &str) -> String {
    text.chars()
        .map(|c| match c {
            '%' | '+' | '@' | ':' | '?' | '#' | ' ' => format!("%{:02X}", u32::from(c)),
            c => c.to_string(),
        })
        .collect()
}

/// Python's packages as they lie in a tree.
pub(crate) fn python(tree: &Tree) -> Vec<Library> {
    let metadata = tree.entries().filter_map(|(path, node)| match node {
        Node::File { bytes, .. } if path.ends_with(".dist-info/METADATA") => Some(bytes),
        _ => None,
    });
    let mut found: Vec<Library> = metadata
        .map(|bytes| {
            let text = String::from_utf8_lossy(bytes);
            let field = |name: &str| {
                let head = text.lines().take_while(|line| !line.is_empty());
                let mut values =
                    head.filter_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
                values.next().unwrap_or_default().to_owned()
            };
            let license = [field("License-Expression"), field("License")]
                .into_iter()
                .find(|text| !text.is_empty());
            Library::new(
                field("Name").to_lowercase(),
                field("Version"),
                license.unwrap_or_default(),
            )
        })
        .collect();
    found.sort();
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_source_has_its_package_urls() {
        let mut tree = Tree::default();
        tree.file(
            "app/x-1.dist-info/METADATA",
            *b"Name: X\nVersion: 1\nLicense-Expression: MIT\n\nName: no\n",
        );
        for (name, source) in [("zlib1g", "zlib"), ("libx", "x (2)"), ("tzdata", "tzdata")] {
            let control = format!("Package: {name}\nSource: {source}\n");
            tree.file(&format!("{STATUS}/{name}"), control.into_bytes());
        }
        let lines = ["zlib1g 1:1.3+d", "libx 2+b1", "tzdata 3"]
            .map(|package| format!("amd64 {package} {} debian/x\n", "0".repeat(64)));
        let pins = super::super::pins::parse(&lines.concat());
        let parts = Parts {
            release: "13",
            debian: &pins.expect("a lock"),
            base: &tree,
            python: python(&tree),
            rust: vec![Library::new("libc".to_owned(), "0.2.1".to_owned(), "MIT".to_owned())],
            console: vec![Library::new("@sveltejs/kit".to_owned(), "3".to_owned(), String::new())],
        };
        let document: Value = serde_json::from_str(&document(&parts)).expect("JSON");
        let urls: Vec<&str> = document["components"]
            .as_array()
            .expect("a list")
            .iter()
            .filter_map(|part| part["purl"].as_str())
            .collect();
        assert_eq!(
            urls,
            [
                "pkg:deb/debian/zlib1g@1%3A1.3%2Bd?arch=amd64&upstream=zlib&distro=debian-13",
                "pkg:deb/debian/libx@2%2Bb1?arch=amd64&upstream=x%402&distro=debian-13",
                "pkg:deb/debian/tzdata@3?arch=amd64&distro=debian-13",
                "pkg:pypi/x@1",
                "pkg:cargo/libc@0.2.1",
                "pkg:npm/%40sveltejs/kit@3",
            ]
        );
    }
}
