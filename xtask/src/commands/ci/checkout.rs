//! A copy of this checkout, for what edits files: the sources are copied, what is
//! installed is shared, and cargo finds the dependencies compiled.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::{files, repo};

/// What of `.dev` is shared with the copy.
const SHARED: [&str; 3] = ["tools", "venv", "stamps"];
/// The console's packages, and the folders in it that Vite writes to.
const PACKAGES: &str = "frontend/node_modules";
const WRITTEN: [&str; 2] = [".vite", ".vite-temp"];

/// A copy that can be edited.
pub(super) struct Checkout(PathBuf);

impl Checkout {
    /// Makes the copy in `folder`, in the place of what is there.
    pub(super) fn copy(folder: PathBuf) -> Result<Self> {
        let context = || format!("cannot copy the checkout into {}", repo::shown(&folder));
        files::remove(&folder)?;
        for file in files::all()? {
            place(&file, &folder, copy).with_context(context)?;
        }
        for name in SHARED {
            let name = format!(".dev/{name}");
            place(&name, &folder, |from, to| symlink(from, to)).with_context(context)?;
        }
        // Vite serves nothing from outside of the checkout.
        place(PACKAGES, &folder, link).with_context(context)?;
        Ok(Self(folder))
    }

    /// A path in the copy.
    pub(super) fn path(&self, relative: &str) -> PathBuf {
        self.0.join(relative)
    }

    /// Has a command work for the copy instead of for this checkout.
    pub(super) fn apply<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        command.current_dir(&self.0).env(repo::ROOT_VARIABLE, &self.0);
        if std::env::var_os("CARGO_TARGET_DIR").is_none() {
            command.env("CARGO_TARGET_DIR", repo::path("target"));
        }
        command
    }
}

fn place(
    relative: &str,
    folder: &Path,
    place: impl FnOnce(&Path, &Path) -> io::Result<()>,
) -> io::Result<()> {
    let to = folder.join(relative);
    to.parent().map_or(Ok(()), fs::create_dir_all)?;
    place(&repo::path(relative), &to)
}

/// With the time of its last change, by which cargo tells what to compile again.
fn copy(from: &Path, to: &Path) -> io::Result<()> {
    fs::copy(from, to)?;
    File::options().write(true).open(to)?.set_modified(fs::metadata(from)?.modified()?)
}

/// The same files in another folder; nothing that is written to them later is shared,
/// for packages are only ever replaced.
fn link(from: &Path, to: &Path) -> io::Result<()> {
    let kind = fs::symlink_metadata(from)?.file_type();
    if kind.is_symlink() {
        return symlink(fs::read_link(from)?, to);
    }
    if !kind.is_dir() {
        return fs::hard_link(from, to).or_else(|_| fs::copy(from, to).map(drop));
    }
    fs::create_dir(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        if !WRITTEN.iter().any(|name| entry.file_name() == *name) {
            link(&entry.path(), &to.join(entry.file_name()))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_in_a_linked_folder_stays_there() {
        let base = tempfile::tempdir().expect("temporary folder");
        let (from, to) = (base.path().join("from"), base.path().join("to"));
        fs::create_dir_all(from.join("package/.vite")).expect("made");
        fs::write(from.join("package/index.js"), "1").expect("written");
        fs::write(from.join("package/.vite/cache"), "1").expect("written");
        symlink("index.js", from.join("package/link.js")).expect("linked");
        link(&from, &to).expect("linked");
        assert_eq!(fs::read_to_string(to.join("package/link.js")).expect("there"), "1");
        assert!(!to.join("package/.vite").exists());
        fs::write(to.join("package/new"), "").expect("written");
        assert!(!from.join("package/new").exists());
    }
}
