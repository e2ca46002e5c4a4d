//! Whether an image is complete: what its parts need at run time, and what its
//! readers need to know, is in it.

use serde_json::Value;

use super::super::tree::{Node, Tree};
use super::super::{elf, etc, sbom};
use super::archive::Image;
use super::finding::Finding;

/// OpenSSL finds the authorities.
pub(crate) fn certificates(tree: &Tree) -> Finding {
    let missing = vec!["OpenSSL finds no authority: TLS to other servers would fail".to_owned()];
    let wrong = if etc::has_certificates(tree) { vec![] } else { missing };
    Finding::none("certificates", "OpenSSL finds the authorities", wrong)
}

/// Every loader and library that a file names is in the tree.
pub(crate) fn libraries(tree: &Tree) -> Finding {
    let mut wrong = Vec::new();
    let mut count = 0;
    for (path, bytes) in tree.files().filter(|(_, bytes)| elf::is_elf(bytes)) {
        count += 1;
        let Ok(wants) = elf::wants(bytes) else {
            wrong.push(format!("{path} cannot be read"));
            continue;
        };
        let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
        let own =
            wants.run_path.iter().map(|place| place.replace("$ORIGIN", &format!("/{folder}")));
        let places: Vec<String> =
            own.chain([format!("/usr/lib/{}-linux-gnu", wants.machine)]).collect();
        let found =
            |name: &String| places.iter().any(|place| tree.resolves(&format!("{place}/{name}")));
        wrong.extend(
            wants
                .libraries
                .iter()
                .filter(|name| !found(name))
                .map(|name| format!("{path} lacks {name}")),
        );
        wrong.extend(
            wants
                .interpreter
                .iter()
                .filter(|loader| !tree.resolves(loader))
                .map(|loader| format!("{path} lacks {loader}")),
        );
    }
    Finding::none(
        "libraries",
        format!("{count} programs and libraries find all that they name"),
        wrong,
    )
}

/// Every module has byte code that is loaded without looking at the source.
pub(crate) fn byte_code(tree: &Tree) -> Finding {
    const UNCHECKED_HASH: [u8; 4] = [1, 0, 0, 0];
    let mut wrong = Vec::new();
    let sources: Vec<&str> =
        tree.files().map(|(path, _)| path).filter(|path| path.ends_with(".py")).collect();
    for path in &sources {
        let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
        let compiled =
            format!("{folder}/__pycache__/{}.cpython-313.pyc", name.trim_end_matches(".py"));
        let unchecked = |node: &Node| matches!(node, Node::File { bytes, .. } if bytes.get(4..8) == Some(&UNCHECKED_HASH));
        if !tree.get(&compiled).is_some_and(unchecked) {
            wrong.push((*path).to_owned());
        }
    }
    Finding::none(
        "byte code",
        format!("{} modules load without being compiled", sources.len()),
        wrong,
    )
}

/// Every Debian package has its license.
pub(crate) fn licenses(tree: &Tree) -> Finding {
    let statuses = tree.files().filter_map(|(path, _)| path.strip_prefix("var/lib/dpkg/status.d/"));
    let names: Vec<&str> = statuses.collect();
    let lacking =
        names.iter().filter(|name| !tree.resolves(&format!("usr/share/doc/{name}/copyright")));
    Finding::none(
        "licenses",
        format!("{} Debian packages with theirs", names.len()),
        lacking.map(|name| (*name).to_owned()).collect(),
    )
}

/// The bill of materials lists what is there.
pub(crate) fn bill(image: &Image) -> Finding {
    let text = image.text(sbom::PATH).unwrap_or_default();
    let document: Value = serde_json::from_str(&text).unwrap_or_default();
    let components = document["components"].as_array().cloned().unwrap_or_default();
    let count = |kind: &str| {
        let start = format!("pkg:{kind}/");
        components
            .iter()
            .filter(|part| part["purl"].as_str().is_some_and(|url| url.starts_with(&start)))
            .count()
    };
    let there = |start: &str, end: &str| {
        image
            .tree
            .files()
            .filter(|(path, _)| path.starts_with(start) && path.ends_with(end))
            .count()
    };
    let mut wrong = Vec::new();
    for (kind, present) in [
        ("deb", there("var/lib/dpkg/status.d/", "")),
        ("pypi", there("app/", ".dist-info/METADATA")),
    ] {
        if count(kind) != present {
            wrong.push(format!("{} of {present} packages of kind {kind} are listed", count(kind)));
        }
    }
    if count("cargo") == 0 || count("npm") == 0 {
        wrong.push("what the programs and the console are compiled of is not listed".to_owned());
    }
    Finding::none("materials", format!("{} components", components.len()), wrong)
}

#[cfg(test)]
mod tests {
    use super::super::finding::Verdict;
    use super::*;
    use xtask::platform::Platform;

    fn tree(files: &[(&str, &str)]) -> Tree {
        let mut tree = Tree::default();
        for (path, text) in files {
            tree.file(path, text.as_bytes().to_vec());
        }
        tree
    }

    #[test]
    fn missing_or_checked_byte_code_is_found() {
        let source = ("app/x.py", "1");
        let compiled = |flags: u8| format!("mmmm{}\0\0\0hashhash", char::from(flags));
        let pyc = "app/__pycache__/x.cpython-313.pyc";
        assert_eq!(byte_code(&tree(&[source])).verdict, Verdict::Failed);
        assert_eq!(byte_code(&tree(&[source, (pyc, &compiled(3))])).verdict, Verdict::Failed);
        assert_eq!(byte_code(&tree(&[source, (pyc, &compiled(1))])).verdict, Verdict::Holds);
    }

    #[test]
    fn an_image_without_authorities_is_found() {
        let mut found = Tree::default();
        assert_eq!(certificates(&found).verdict, Verdict::Failed);
        found.file("usr/share/ca-certificates/mozilla/a.crt", *b"-----BEGIN CERTIFICATE-----");
        etc::add(&mut found, Platform::named("linux/amd64").expect("known"));
        assert_eq!(certificates(&found).verdict, Verdict::Holds);
    }

    #[test]
    fn a_package_without_its_license_is_found() {
        let status = ("var/lib/dpkg/status.d/libz", "Package: libz");
        assert_eq!(licenses(&tree(&[status])).verdict, Verdict::Failed);
        let license = ("usr/share/doc/libz/copyright", "zlib");
        assert_eq!(licenses(&tree(&[status, license])).verdict, Verdict::Holds);
    }

    #[test]
    fn a_package_that_the_bill_of_materials_leaves_out_is_found() {
        let image = |urls: &[&str]| {
            let parts: Vec<Value> =
                urls.iter().map(|url| serde_json::json!({ "purl": url })).collect();
            let bill = serde_json::json!({ "components": parts }).to_string();
            let status = ("var/lib/dpkg/status.d/libz", "Package: libz");
            let python = ("app/x-1.dist-info/METADATA", "Name: x");
            Image { tree: tree(&[status, python, (sbom::PATH, &bill)]), ..Image::default() }
        };
        let all = ["pkg:deb/debian/libz@1", "pkg:pypi/x@1", "pkg:cargo/y@1", "pkg:npm/z@1"];
        assert_eq!(bill(&image(&all)).verdict, Verdict::Holds);
        for missing in 0..all.len() {
            let some: Vec<&str> = all.into_iter().filter(|url| *url != all[missing]).collect();
            assert_eq!(bill(&image(&some)).verdict, Verdict::Failed, "{}", all[missing]);
        }
    }
}
