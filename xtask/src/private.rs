//! Files and folders that only their owner may read, whatever the umask and whatever
//! stood in their place before.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::{
    DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _,
};
use std::path::Path;

use anyhow::{Context, Result, ensure};
use rustix::fs::Mode;

use crate::repo;

/// What group and others may never do to anything that is made here.
const WRITE_BY_OTHERS: Mode = Mode::WGRP.union(Mode::WOTH);

/// Takes from the umask what would let other users change what is made from here on:
/// programs that are fetched, folders with sockets, the console.
pub(crate) fn tighten_umask() {
    let given = rustix::process::umask(WRITE_BY_OTHERS);
    rustix::process::umask(given | WRITE_BY_OTHERS);
}

/// Writes a file, replacing it in one go; where that fails, nothing is left of it.
pub(crate) fn write(path: &Path, text: &str) -> Result<()> {
    let partial = path.with_extension("partial");
    let written = create(&partial)
        .and_then(|mut file| file.write_all(text.as_bytes()))
        .and_then(|()| fs::rename(&partial, path));
    if written.is_err() {
        let _ = fs::remove_file(&partial);
    }
    written.with_context(|| format!("cannot write {}", repo::shown(path)))
}

/// An empty file to log into, with its folder when that is missing.
pub(crate) fn log(path: &Path) -> Result<File> {
    path.parent().map_or(Ok(()), fs::create_dir_all)?;
    create(path).with_context(|| format!("cannot write {}", repo::shown(path)))
}

/// A new file in the place of an old one, which others may have open.
fn create(path: &Path) -> io::Result<File> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
}

/// Makes a folder, or makes sure that an old one is ours alone: its name in /tmp can be
/// guessed, and another user may have been there first.
pub(crate) fn folder(path: &Path) -> Result<()> {
    let context = || format!("cannot create {}", path.display());
    path.parent().map_or(Ok(()), fs::create_dir_all).with_context(context)?;
    match DirBuilder::new().mode(0o700).create(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        other => return other.with_context(context),
    }
    let found = fs::symlink_metadata(path).with_context(context)?;
    ensure!(
        found.is_dir() && found.uid() == rustix::process::geteuid().as_raw(),
        "{} is needed as a folder, but it is not one or belongs to another user; remove it",
        path.display()
    );
    fs::set_permissions(path, Permissions::from_mode(0o700)).with_context(context)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).expect("exists").permissions().mode() & 0o777
    }

    #[test]
    fn what_stood_there_before_does_not_open_it_to_others() {
        let base = tempfile::tempdir().expect("temporary folder");
        let (file, inside) = (base.path().join("key"), base.path().join("a/run"));
        for path in [&file, &file.with_extension("partial")] {
            fs::write(path, "old").expect("written");
            fs::set_permissions(path, Permissions::from_mode(0o666)).expect("set");
        }
        write(&file, "new").expect("written");
        assert_eq!((mode(&file), fs::read_to_string(&file).expect("read")), (0o600, "new".into()));
        fs::create_dir_all(&inside).expect("made");
        fs::set_permissions(&inside, Permissions::from_mode(0o777)).expect("set");
        folder(&inside).expect("ours");
        assert_eq!(mode(&inside), 0o700);
    }

    #[test]
    fn a_link_in_the_place_of_a_folder_is_refused() {
        let base = tempfile::tempdir().expect("temporary folder");
        let (elsewhere, link) = (base.path().join("elsewhere"), base.path().join("run"));
        fs::create_dir(&elsewhere).expect("made");
        std::os::unix::fs::symlink(&elsewhere, &link).expect("linked");
        let error = folder(&link).expect_err("refused").to_string();
        assert!(error.contains("remove it"), "{error}");
    }
}
