//! Every path of the repository, as functions. `dist/` holds what is built,
//! `.dev/` what the development loop keeps. Which clone it is, is found out when the
//! program runs: several clones may share one target directory, and then they run
//! the same file.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use anyhow::{Context, Result, bail, ensure};

static ROOT: OnceLock<PathBuf> = OnceLock::new();

/// Tells processes that this one starts which clone they work for.
pub(crate) const ROOT_VARIABLE: &str = "SANTA_XTASK_ROOT";

/// Files by which a clone is known.
const MARKS: [&str; 2] = ["xtask/Cargo.toml", "docker/santa.toml"];

/// Finds the clone that this command is for: the one whose `cargo xtask` it is, else
/// the one that the working directory lies in.
pub(crate) fn find() -> Result<&'static Path> {
    if ROOT.get().is_none() {
        let variable = |name: &str| std::env::var_os(name).map(PathBuf::from);
        let package = variable("CARGO_MANIFEST_DIR").filter(|folder| folder.ends_with("xtask"));
        let named = package.and_then(|folder| Some(folder.parent()?.to_owned()));
        let _ = ROOT.set(clone(named, variable(ROOT_VARIABLE))?);
    }
    Ok(root())
}

fn clone(named: Option<PathBuf>, inherited: Option<PathBuf>) -> Result<PathBuf> {
    if let Some(root) = named.or(inherited) {
        ensure!(
            is_clone(&root),
            "the clone in {} is gone; run cargo xtask inside a clone of SantaServer",
            root.display()
        );
        return Ok(root);
    }
    let here = std::env::current_dir()
        .context("the working directory is gone; change into a clone of SantaServer")?;
    match here.ancestors().find(|folder| is_clone(folder)) {
        Some(root) => Ok(root.to_owned()),
        None => {
            bail!("{} is not in a clone of SantaServer; run cargo xtask inside one", here.display())
        }
    }
}

fn is_clone(root: &Path) -> bool {
    MARKS.iter().all(|mark| root.join(mark).is_file())
}

/// The repository's root.
pub fn root() -> &'static Path {
    // Only tests come here without `find` in `main`; cargo names their package.
    ROOT.get_or_init(|| {
        let package = std::env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from);
        let above = package.iter().flat_map(|folder| folder.ancestors());
        above.into_iter().find(|folder| is_clone(folder)).unwrap_or(Path::new(".")).to_owned()
    })
}

/// A path in the repository.
pub fn path(relative: &str) -> PathBuf {
    root().join(relative)
}

/// What the development loop keeps: database, sockets, logs, tools.
pub fn dev(relative: &str) -> PathBuf {
    let folder = root().join(".dev");
    if relative.is_empty() { folder } else { folder.join(relative) }
}

/// What is built.
pub fn dist(relative: &str) -> PathBuf {
    root().join("dist").join(relative)
}

/// A path as people read it: relative to the repository where it lies inside.
pub fn shown(path: &Path) -> String {
    path.strip_prefix(root()).unwrap_or(path).display().to_string()
}

/// A folder with a short, plain path that stands for `folder`: the paths of Unix
/// sockets are limited, and a repository may lie deep. Each user has their own.
pub fn short(folder: &Path) -> PathBuf {
    let bytes = folder.as_os_str().as_encoded_bytes();
    let number =
        bytes.iter().fold(0u64, |sum, byte| sum.wrapping_mul(31).wrapping_add(u64::from(*byte)));
    let user = rustix::process::geteuid().as_raw();
    PathBuf::from(format!("/tmp/santaserver-{user}-{number:x}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fake_clone() -> tempfile::TempDir {
        let folder = tempfile::tempdir().expect("temporary folder");
        for mark in MARKS {
            let file = folder.path().join(mark);
            std::fs::create_dir_all(file.parent().expect("a folder")).expect("made");
            std::fs::write(file, "").expect("written");
        }
        folder
    }

    #[test]
    fn the_clone_is_the_one_that_cargo_names_and_a_vanished_one_is_an_error() {
        let (one, two) = (fake_clone(), fake_clone());
        let path = |folder: &tempfile::TempDir| Some(folder.path().to_owned());
        assert_eq!(clone(path(&one), path(&two)).expect("there"), one.path());
        assert_eq!(clone(None, path(&two)).expect("there"), two.path());
        let gone = one.path().to_owned();
        drop(one);
        let error = clone(Some(gone.clone()), path(&two)).expect_err("gone").to_string();
        assert!(error.contains(&gone.display().to_string()) && error.contains("gone"), "{error}");
    }
}
