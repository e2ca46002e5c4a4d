//! `cargo xtask release` in a clone with a history of its own.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Output;

use crate::clone::{Clone, text};

const FILES: [&str; 8] = [
    "Cargo.toml",
    "Cargo.lock",
    "backend/pyproject.toml",
    "backend/santaserver/__init__.py",
    "backend/openapi.json",
    "frontend/package.json",
    "frontend/package-lock.json",
    "CHANGELOG.md",
];
const CHANGES: &str = "# Changelog\n\n## Unreleased\n\n- Something new.\n";

struct Repository(Clone);

impl Repository {
    /// One commit on main, with something to release.
    fn new() -> Self {
        let clone = Clone::new();
        let original = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("a parent");
        for file in FILES {
            let copy = clone.path(file);
            fs::create_dir_all(copy.parent().expect("a folder")).expect("made");
            fs::copy(original.join(file), copy).expect("copied");
        }
        fs::write(clone.path("CHANGELOG.md"), CHANGES).expect("written");
        fs::write(clone.path(".gitignore"), "/bin/\n/.dev/\n").expect("written");
        let git = which::which("git").expect("git");
        std::os::unix::fs::symlink(git, clone.path("bin/git")).expect("linked");
        let repository = Self(clone);
        repository.git(&["init", "--quiet", "--initial-branch=main"]);
        repository.git(&["config", "user.name", "A Maintainer"]);
        repository.git(&["config", "user.email", "maintainer@example.com"]);
        repository.commit("first");
        repository
    }

    fn git(&self, words: &[&str]) -> String {
        let mut command = std::process::Command::new(self.0.path("bin/git"));
        let output = command.args(words).current_dir(self.0.path("")).output().expect("ran");
        assert!(output.status.success(), "{words:?}: {}", text(&output));
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    fn commit(&self, message: &str) {
        self.git(&["add", "--all"]);
        self.git(&["commit", "--quiet", "--message", message]);
    }

    fn release(&self, words: &[&str]) -> Output {
        self.0.xtask(&[&["release", "--no-image"], words].concat()).output().expect("ran")
    }

    /// All that a release may change.
    fn state(&self) -> [String; 3] {
        [self.git(&["rev-parse", "HEAD"]), self.git(&["tag"]), self.git(&["status", "--porcelain"])]
    }

    fn hook(&self, name: &str, script: &str) {
        let file = self.0.path(".git/hooks").join(name);
        fs::create_dir_all(file.parent().expect("a folder")).expect("made");
        fs::write(&file, format!("#!/bin/sh\n{script}\n")).expect("written");
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).expect("executable");
    }

    fn read(&self, file: &str) -> String {
        fs::read_to_string(self.0.path(file)).expect(file)
    }
}

#[test]
fn a_release_is_a_commit_with_the_version_everywhere_and_an_annotated_tag() {
    let repository = Repository::new();
    let before = repository.state();
    let dry = repository.release(&["77.1.0", "--dry-run"]);
    assert!(dry.status.success(), "{}", text(&dry));
    assert!(
        text(&dry).contains("v77.1.0") && text(&dry).contains("nothing was changed"),
        "{}",
        text(&dry)
    );
    assert_eq!(repository.state(), before);

    let done = repository.release(&["77.1.0"]);
    assert!(done.status.success(), "{}", text(&done));
    assert!(text(&done).contains("git push origin main v77.1.0"), "{}", text(&done));
    assert_eq!(repository.git(&["status", "--porcelain"]), "");
    assert_eq!(repository.git(&["cat-file", "-t", "v77.1.0"]), "tag");
    assert_eq!(
        repository.git(&["rev-parse", "v77.1.0^{commit}"]),
        repository.git(&["rev-parse", "HEAD"])
    );
    assert!(
        repository.git(&["tag", "--list", "--format=%(contents)"]).contains("- Something new.")
    );
    for file in FILES {
        assert!(repository.read(file).contains("77.1.0"), "{file}");
    }
    let changes = repository.read("CHANGELOG.md");
    assert!(changes.starts_with("# Changelog\n\n## Unreleased\n\n## 77.1.0 ("), "{changes}");
}

#[test]
fn everything_in_the_way_is_said_at_once_and_nothing_changes() {
    let repository = Repository::new();
    assert!(repository.release(&["77.1.0"]).status.success());
    repository.git(&["switch", "--quiet", "--create", "other"]);
    fs::write(repository.0.path("note"), "left over").expect("written");
    let before = repository.state();
    for (version, parts) in [
        ("77.1.0", &["not after 77.1.0", "released section"][..]),
        ("77.0.9", &["not after 77.1.0", "nothing under"]),
        ("next", &["is no version"]),
    ] {
        for dry in [&[version][..], &[version, "--dry-run"]] {
            let refused = repository.release(dry);
            let said = text(&refused);
            assert_eq!(refused.status.code(), Some(1), "{said}");
            for part in parts.iter().chain(&["git switch main", "1 files are not committed (note)"])
            {
                assert!(said.contains(part), "{part} is missing: {said}");
            }
        }
    }
    assert_eq!(repository.state(), before);
}

#[test]
fn a_release_that_fails_half_way_is_taken_back() {
    let repository = Repository::new();
    let before = repository.state();
    for (hook, script) in
        [("pre-commit", "exit 1"), ("reference-transaction", "! grep -q refs/tags/v77 || exit 1")]
    {
        std::os::unix::fs::symlink(
            which::which("grep").expect("grep"),
            repository.0.path("bin/grep"),
        )
        .ok();
        repository.hook(hook, script);
        let failed = repository.release(&["77.1.0"]);
        assert_eq!(failed.status.code(), Some(1), "{}", text(&failed));
        assert!(text(&failed).contains("the clone is as it was"), "{}", text(&failed));
        assert_eq!(repository.state(), before, "{hook}");
        assert_eq!(repository.read("CHANGELOG.md"), CHANGES);
        fs::remove_file(repository.0.path(".git/hooks").join(hook)).expect("removed");
    }
    assert!(repository.release(&["77.1.0"]).status.success());
}
