use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use super::super::super::tree::Tree;
use super::super::finding::Verdict;
use super::report::Format;
use super::*;
use serde_json::json;

/// One package of each kind; Debian's is made from a source of another name.
fn image() -> Image {
    let part = |name: &str, version: &str, url: &str| json!({"name": name, "version": version, "purl": url});
    let bill = json!({"components": [
        part("libssl3t64", "3.5.1-1+deb13u1+b1", "pkg:deb/debian/libssl3t64@3.5.1-1?arch=amd64&distro=debian-13"),
        part("pydantic_core", "2.9.0", "pkg:pypi/pydantic_core@2.9.0"),
        part("ring", "0.17.9", "pkg:cargo/ring@0.17.9"),
        part("@sveltejs/kit", "3.0.0", "pkg:npm/%40sveltejs/kit@3.0.0"),
    ]});
    let mut tree = Tree::default();
    tree.file(sbom::PATH, bill.to_string().into_bytes());
    let control = "Package: libssl3t64\nSource: openssl (3.5.1-1+deb13u1)\n";
    tree.file("var/lib/dpkg/status.d/libssl3t64", control.as_bytes().to_vec());
    Image { tree, ..Image::default() }
}

/// A program that speaks a scanner's JSON: it is called as the scanner is, insists on
/// its arguments and on an SBOM that can be read, and prints `report`.
fn speaker(folder: &Path, name: &str, arguments: &str, report: &Value, code: u8) -> String {
    let (program, output) = (folder.join(name), folder.join(format!("{name}.json")));
    fs::write(&output, report.to_string()).expect("written");
    let checks = if arguments.contains("osv-scanner:") {
        "grep -q '\"ecosystem\": \"Debian:13\"' \"$file\" || exit 126\n\
         grep -q '\"version\": \"3.5.1-1+deb13u1\"' \"$file\" || exit 125\n"
    } else {
        "grep -q 'pkg:deb/debian/openssl@3.5.1-1%2Bdeb13u1?arch=source&distro=debian-13' \"$file\" || exit 126\n\
         grep -q 'operating-system' \"$file\" || exit 125\n"
    };
    let script = format!(
        "#!/bin/sh\nfor last; do :; done\nfile=${{last#*:}}\n\
         case \"$*\" in {arguments}) ;; *) echo \"unknown: $*\" >&2; exit 127;; esac\n\
         {checks}cat '{}'\nexit {code}\n",
        output.display()
    );
    fs::write(&program, script).expect("written");
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("made a program");
    program.display().to_string()
}

/// What each scanner prints of these packages: name, version, a fix.
fn report(format: Format, found: &[(Kind, &str, &str, &str)]) -> Value {
    let url = |kind: Kind, name: &str| format!("{}{name}", kind.prefix());
    let ecosystem = |kind| match kind {
        Kind::Debian => "Debian:13",
        Kind::Python => "PyPI",
        Kind::Rust => "crates.io",
        Kind::Npm => "npm",
    };
    let each = found.iter().map(|&(kind, name, version, fixed)| match format {
        Format::Grype => {
            let fixes: &[&str] = if fixed.is_empty() { &[] } else { &[fixed] };
            json!({
                "vulnerability": {"id": "CVE-1", "fix": {"versions": fixes, "state": "x"}},
                "artifact": {"name": name, "version": version, "purl": url(kind, name)},
            })
        }
        Format::Trivy => json!({
            "VulnerabilityID": "CVE-1", "PkgName": name, "InstalledVersion": version,
            "FixedVersion": fixed, "PkgIdentifier": {"PURL": url(kind, name)},
        }),
        Format::OsvScanner => {
            let package = json!({"name": name, "version": version, "ecosystem": ecosystem(kind)});
            let events = if fixed.is_empty() {
                json!([{"introduced": "0"}])
            } else {
                json!([{"introduced": "0"}, {"fixed": fixed}])
            };
            let other = json!({"package": {"name": name, "ecosystem": "Debian:12"},
                "ranges": [{"events": [{"fixed": "of another release"}]}]});
            let commits = json!({"type": "GIT", "events": [{"introduced": "0"}, {"fixed": "5e1f"}]});
            let own = json!({"package": package,
                "ranges": [{"type": "ECOSYSTEM", "events": events}, commits]});
            json!({"package": package, "vulnerabilities": [{"id": "CVE-1", "affected": [other, own]}]})
        }
    });
    let each: Vec<Value> = each.collect();
    match format {
        Format::Grype => json!({"matches": each}),
        Format::Trivy => json!({"SchemaVersion": 2, "Results": [{"Vulnerabilities": each}]}),
        Format::OsvScanner => json!({"results": [{"packages": each}]}),
    }
}

fn controls(kinds: &[Kind]) -> Vec<(Kind, &'static str, &'static str, &'static str)> {
    kinds.iter().map(|kind| (*kind, kind.control().0, kind.control().1, "9")).collect()
}

const SCANNERS: [(&str, Format, &str); 3] = [
    (
        "osv-scanner",
        Format::OsvScanner,
        "'scan source --format=json --lockfile osv-scanner:'*/osv-scanner.json",
    ),
    ("grype_linux_amd64", Format::Grype, "'--quiet --output=json sbom:'*/bom.cdx.json"),
    ("trivy", Format::Trivy, "'sbom --quiet --format=json '*/bom.cdx.json"),
];

#[test]
fn every_scanner_is_run_and_read() {
    let folder = tempfile::tempdir().expect("temporary folder");
    for (name, format, arguments) in SCANNERS {
        let mut found = controls(&KINDS);
        found.push((Kind::Rust, "ring", "0.17.9", "0.17.12"));
        found.push((Kind::Npm, "@sveltejs/kit", "3.0.0", ""));
        let program = speaker(folder.path(), name, arguments, &report(format, &found), 1);
        let lines =
            check(&image(), Some(&program)).unwrap_or_else(|error| panic!("{name}: {error:#}"));
        let verdicts: Vec<Verdict> = lines.iter().map(|line| line.verdict).collect();
        use Verdict::{Failed, Holds};
        assert_eq!(verdicts, [Holds, Holds, Failed, Holds], "{name}: {lines:?}");
        assert_eq!(lines[2].detail, "CVE-1 ring 0.17.9 (fixed in 0.17.12)", "{name}");
        assert!(lines[3].detail.contains("1 are known for which there is no fix yet"), "{lines:?}");
    }
}

#[test]
fn a_scanner_without_data_for_a_kind_has_not_checked_it() {
    for (name, format, _) in SCANNERS {
        for missing in KINDS {
            let known: Vec<Kind> = KINDS.into_iter().filter(|kind| *kind != missing).collect();
            let found = format.read(&report(format, &controls(&known)).to_string()).expect("read");
            let packages = packages(&image());
            for kind in KINDS {
                let line = verdict(kind, &packages, name, &found);
                let wanted = if kind == missing { Verdict::NotChecked } else { Verdict::Holds };
                assert_eq!(line.verdict, wanted, "{name} {}: {}", line.name, line.detail);
            }
        }
    }
}

#[test]
fn a_named_scanner_that_checks_nothing_is_an_error() {
    let folder = tempfile::tempdir().expect("temporary folder");
    for (name, format, arguments) in SCANNERS {
        let error = |report: &Value, code| {
            let program = speaker(folder.path(), name, arguments, report, code);
            format!("{:#}", check(&image(), Some(&program)).expect_err("not checked"))
        };
        let empty = error(&report(format, &[]), 0);
        assert!(empty.contains("it has no data for this kind"), "{empty}");
        assert!(error(&report(format, &controls(&KINDS)), 127).contains("ended with"));
        assert!(error(&json!({"status": "no database"}), 0).contains("made no report"));
    }
    let other = check(&image(), Some("true")).expect_err("no scanner").to_string();
    assert!(other.contains("none of the known scanners"), "{other}");
    let gone = check(&image(), Some("/nonexistent/grype")).expect_err("not there").to_string();
    assert!(gone.contains("was not found"), "{gone}");
}

#[test]
fn without_a_scanner_nothing_is_checked() {
    let lines = unchecked(&packages(&image()), scanner::NONE);
    assert!(lines.iter().all(|line| line.verdict == Verdict::NotChecked));
    assert!(lines[0].detail.starts_with("1 packages; no scanner was found"), "{lines:?}");
}

#[test]
fn packages_of_one_source_are_asked_about_once() {
    let packages = packages(&image());
    let twice = [packages.clone(), packages.clone()].concat();
    for (_, format, _) in SCANNERS {
        assert_eq!(input::document(format, &twice), input::document(format, &packages));
    }
    assert_eq!(packages[0].name, "openssl");
}
