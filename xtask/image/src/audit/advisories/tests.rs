use serde_json::json;

use super::super::super::tree::Tree;
use super::super::finding::Verdict;
use super::*;

/// One package of each kind, made from a source of another name where that is so.
fn image() -> Image {
    let part = |name: &str, version: &str, url: &str| json!({"name": name, "version": version, "purl": url});
    let bill = json!({"components": [
        part("libssl3t64", "3.5.1-1+deb13u1+b1", "pkg:deb/debian/libssl3t64@3.5.1-1?arch=amd64&distro=debian-13"),
        part("pydantic_core", "2.9.0", "pkg:pypi/pydantic_core@2.9.0"),
        part("ring", "0.17.9", "pkg:cargo/ring@0.17.9"),
        part("@sveltejs/kit", "3.0.0-next.2", "pkg:npm/%40sveltejs/kit@3.0.0-next.2"),
    ]});
    let mut tree = Tree::default();
    tree.file(sbom::PATH, bill.to_string().into_bytes());
    let control = "Package: libssl3t64\nSource: openssl (3.5.1-1+deb13u1)\n";
    tree.file("var/lib/dpkg/status.d/libssl3t64", control.as_bytes().to_vec());
    Image { tree, ..Image::default() }
}

fn verdicts(database: Option<&[Value]>) -> Vec<Verdict> {
    check(&image(), database).into_iter().map(|finding| finding.verdict).collect()
}

fn record(ecosystem: &str, name: &str, affected: &Value) -> Value {
    let mut affected = affected.clone();
    affected["package"] = json!({"ecosystem": ecosystem, "name": name});
    json!({"id": "X-1", "affected": [affected]})
}

fn ranged(kind: &str, events: &[(&str, &str)]) -> Value {
    let events: Vec<Value> = events.iter().map(|(name, at)| json!({*name: at})).collect();
    json!({"ranges": [{"type": kind, "events": events}]})
}

#[test]
fn a_database_that_knows_nothing_is_not_good_news() {
    assert_eq!(verdicts(None), [Verdict::NotChecked; 4]);
    assert_eq!(verdicts(Some(&[])), [Verdict::NotChecked; 4]);
    let one = [record("npm", "other", &json!({"versions": ["1"]}))];
    let others = [Verdict::NotChecked, Verdict::NotChecked, Verdict::NotChecked, Verdict::Holds];
    assert_eq!(verdicts(Some(&one)), others);
    // Another release of Debian says nothing about this one.
    let one = [record("Debian:12", "openssl", &json!({"versions": ["3.5.1-1+deb13u1"]}))];
    assert_eq!(verdicts(Some(&one)), [Verdict::NotChecked; 4]);
    let finding = check(&image(), Some(&one)).remove(0);
    assert_eq!(finding.detail, "1 packages; the database has no record of Debian:13");
}

#[test]
fn each_kind_is_compared_by_its_own_rules() {
    let range = |last: &str| ranged("ECOSYSTEM", &[("introduced", "0"), ("fixed", last)]);
    for (at, ecosystem, name, inside, outside) in [
        // The source package's version, without what a rebuild appends.
        (0, "Debian:13", "openssl", "3.5.1-1+deb13u1+b1", "3.5.1-1+deb13u1"),
        (0, "Debian", "openssl", "3.5.1-1+deb13u2", "3.5.1-1"),
        (1, "PyPI", "Pydantic.Core", "2.10", "2.9"),
        (2, "crates.io", "ring", "0.17.10", "0.17.9"),
        (3, "npm", "@sveltejs/kit", "3.0.0-next.10", "3.0.0-next.2"),
    ] {
        for (fixed, expected) in [(inside, Verdict::Failed), (outside, Verdict::Holds)] {
            let database = [record(ecosystem, name, &range(fixed))];
            assert_eq!(verdicts(Some(&database))[at], expected, "{name}, fixed in {fixed}");
        }
    }
}

#[test]
fn versions_and_ranges_count_as_the_specification_says() {
    let failed = Verdict::Failed;
    let gap = [("introduced", "3.0"), ("fixed", "2.0"), ("introduced", "0"), ("fixed", "9")];
    for (affected, expected) in [
        (json!({"versions": ["2.9.0"]}), failed),
        (json!({"versions": ["2.8.0"]}), Verdict::Holds),
        (ranged("ECOSYSTEM", &[("introduced", "2.9"), ("last_affected", "2.9.0")]), failed),
        (ranged("ECOSYSTEM", &[("introduced", "0"), ("last_affected", "2.8")]), Verdict::Holds),
        // Events need not be in order.
        (ranged("ECOSYSTEM", &gap), Verdict::Holds),
        (ranged("ECOSYSTEM", &[("fixed", "3.0"), ("introduced", "2.0")]), failed),
        // What cannot be decided is never good news.
        (ranged("ECOSYSTEM", &[("introduced", "some day")]), failed),
        (ranged("GIT", &[("introduced", "0"), ("fixed", "abc")]), failed),
        (json!({}), failed),
    ] {
        let database = [record("PyPI", "pydantic-core", &affected)];
        assert_eq!(verdicts(Some(&database))[1], expected, "{affected}");
    }
    // Versions that are listed do not hide a range.
    let mut both = ranged("ECOSYSTEM", &[("introduced", "0"), ("fixed", "2.9.1")]);
    both["versions"] = json!(["2.8.0"]);
    let database = [record("PyPI", "pydantic-core", &both)];
    let finding = check(&image(), Some(&database)).remove(1);
    assert_eq!(finding.detail, "X-1 pydantic-core 2.9.0 (fixed in 2.9.1)");
    let mut withdrawn = database[0].clone();
    withdrawn["withdrawn"] = json!("2026-01-01T00:00:00Z");
    assert_eq!(verdicts(Some(&[withdrawn]))[1], Verdict::NotChecked);
}

#[test]
fn a_database_is_a_file_or_a_folder_of_folders() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let place = folder.path().join("PyPI");
    fs::create_dir(&place).expect("made");
    let one = record("PyPI", "x", &json!({"versions": ["1"]}));
    fs::write(place.join("X-1.json"), one.to_string()).expect("written");
    fs::write(folder.path().join("all.jsonl"), format!("{one}\n{one}\n")).expect("written");
    fs::write(folder.path().join("README"), "no record").expect("written");
    assert_eq!(load(folder.path()).expect("read").len(), 3);
    for wrong in ["{", "{\"advisories\": []}"] {
        fs::write(place.join("X-2.json"), wrong).expect("written");
        let error = load(folder.path()).expect_err("refused");
        assert!(format!("{error:#}").contains("X-2.json"), "{error:#}");
    }
    assert!(load(&folder.path().join("missing")).is_err());
}
