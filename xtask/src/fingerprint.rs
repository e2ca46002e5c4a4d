//! The sources of what is built, read in a fixed order: whoever builds it again only
//! after a change takes a digest of them.

use std::fs;
use std::hash::{DefaultHasher, Hasher as _};
use std::path::Path;

use anyhow::{Context, Result};

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

/// Hands every file under `path` (a file or a folder) to `add`, with its relative name.
pub fn files(path: &Path, mut add: impl FnMut(&str, &[u8])) -> Result<()> {
    let mut names = Vec::new();
    list(path, Path::new(""), &mut names)
        .with_context(|| format!("cannot read {}", repo::shown(path)))?;
    names.sort();
    for name in names {
        let file = if name.is_empty() { path.to_owned() } else { path.join(&name) };
        let bytes =
            fs::read(&file).with_context(|| format!("cannot read {}", repo::shown(&file)))?;
        add(&name, &bytes);
    }
    Ok(())
}

/// A fingerprint of every file under `path`: good enough to notice a change, no proof
/// against someone who wants to hide one.
pub(crate) fn of(path: &Path) -> Result<String> {
    let mut hasher = DefaultHasher::new();
    files(path, |name, bytes| {
        for part in [name.as_bytes(), bytes] {
            hasher.write_usize(part.len());
            hasher.write(part);
        }
    })?;
    Ok(format!("{:016x}", hasher.finish()))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_or_moved_byte_changes_it_and_a_cache_does_not() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let write = |name: &str, text: &str| {
            fs::write(folder.path().join(name), text).expect("written");
        };
        let now = || of(folder.path()).expect("readable");
        write("a.py", "1");
        write("b.py", "23");
        let first = now();
        fs::create_dir(folder.path().join("__pycache__")).expect("made");
        write("__pycache__/a.pyc", "x");
        assert_eq!(now(), first);
        write("a.py", "12");
        write("b.py", "3");
        assert_ne!(now(), first);
    }
}
