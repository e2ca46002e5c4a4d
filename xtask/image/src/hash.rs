//! SHA-256 as hexadecimal digits, of bytes and of whole source folders.

use std::path::Path;

use anyhow::Result;
use sha2::{Digest as _, Sha256};
use xtask::fingerprint;

/// Collects inputs into one SHA-256; each part is preceded by its length.
#[derive(Default)]
pub(crate) struct Inputs(Sha256);

impl Inputs {
    /// Adds one part.
    pub(crate) fn add(mut self, part: &[u8]) -> Self {
        self.part(part);
        self
    }

    /// Adds every file under `path` (a file or a folder) with its relative name.
    pub(crate) fn files(mut self, path: &Path) -> Result<Self> {
        fingerprint::files(path, |name, bytes| {
            self.part(name.as_bytes());
            self.part(bytes);
        })?;
        Ok(self)
    }

    fn part(&mut self, part: &[u8]) {
        self.0.update((part.len() as u64).to_le_bytes());
        self.0.update(part);
    }

    /// The digits.
    pub(crate) fn finish(self) -> String {
        digits(&self.0.finalize())
    }
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
    use std::fs;

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
    fn names_and_contents_of_files_are_inputs() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let sum = || Inputs::default().files(folder.path()).expect("readable").finish();
        fs::write(folder.path().join("a.py"), "1").expect("written");
        let first = sum();
        assert_eq!(first, Inputs::default().add(b"a.py").add(b"1").finish());
        fs::rename(folder.path().join("a.py"), folder.path().join("b.py")).expect("renamed");
        assert_ne!(sum(), first);
    }
}
