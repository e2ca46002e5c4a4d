//! SHA-256 as hexadecimal digits, of bytes and of whole source folders.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use sha2::{Digest as _, Sha256};

use crate::repo;

/// Folders that hold nothing that is shipped.
const LEFT_OUT: [&str; 11] = [
    "__pycache__",
    "build",
    "node_modules",
    "test-results",
    ".svelte-kit",
    ".mypy_cache",
    ".ruff_cache",
    ".pytest_cache",
    ".hypothesis",
    ".venv",
    "target",
];

/// Collects inputs into one SHA-256; each part is told apart by its length.
#[derive(Default)]
pub(crate) struct Inputs(Sha256);

impl Inputs {
    /// Adds one part.
    pub(crate) fn add(mut self, part: &[u8]) -> Self {
        self.0.update((part.len() as u64).to_le_bytes());
        self.0.update(part);
        self
    }

    /// Adds every file under `path` (a file or a folder) with its relative name.
    pub(crate) fn files(mut self, path: &Path) -> Result<Self> {
        let mut names = Vec::new();
        list(path, Path::new(""), &mut names)
            .with_context(|| format!("cannot read {}", repo::shown(path)))?;
        names.sort();
        for name in names {
            let file = if name.is_empty() { path.to_owned() } else { path.join(&name) };
            let bytes =
                fs::read(&file).with_context(|| format!("cannot read {}", repo::shown(&file)))?;
            self = self.add(name.as_bytes()).add(&bytes);
        }
        Ok(self)
    }

    /// The digits.
    pub(crate) fn finish(self) -> String {
        digits(&self.0.finalize())
    }
}

/// Relative names of all files under `root`; a file itself has the empty name.
fn list(root: &Path, relative: &Path, names: &mut Vec<String>) -> std::io::Result<()> {
    let path = if relative.as_os_str().is_empty() { root.to_owned() } else { root.join(relative) };
    if !path.is_dir() {
        names.push(relative.display().to_string());
        return Ok(());
    }
    for entry in fs::read_dir(&path)? {
        let entry = entry?;
        let name = entry.file_name();
        if !LEFT_OUT.iter().any(|left| name == *left) {
            list(root, &relative.join(name), names)?;
        }
    }
    Ok(())
}

/// The SHA-256 of `bytes`.
pub(crate) fn sha256(bytes: &[u8]) -> String {
    digits(&Sha256::digest(bytes))
}

fn digits(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_told_apart() {
        let of = |parts: &[&str]| {
            parts.iter().fold(Inputs::default(), |all, part| all.add(part.as_bytes())).finish()
        };
        assert_ne!(of(&["ab", "c"]), of(&["a", "bc"]));
        assert_eq!(sha256(b"abc")[..16], *"ba7816bf8f01cfea");
    }

    #[test]
    fn a_changed_byte_changes_the_sum_and_a_cache_does_not() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let sum = || Inputs::default().files(folder.path()).expect("readable").finish();
        fs::write(folder.path().join("a.py"), "1").expect("written");
        let first = sum();
        fs::create_dir(folder.path().join("__pycache__")).expect("made");
        fs::write(folder.path().join("__pycache__/a.pyc"), "x").expect("written");
        assert_eq!(sum(), first);
        fs::write(folder.path().join("a.py"), "2").expect("written");
        assert_ne!(sum(), first);
    }
}
