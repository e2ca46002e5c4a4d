//! Doing set-up work only when what it depends on has changed, and never
//! leaving a half-made folder behind.

use std::collections::BTreeMap;
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use anyhow::{Context, Result};

use crate::{progress, repo};

/// Makes `folder` by `make` unless it was made from the same `inputs` before.
/// `make` gets the path of a temporary folder beside it that takes the place of
/// the old one only when all is done. Says what it did under the name `what`.
pub(crate) fn folder(
    what: &str,
    folder: &Path,
    inputs: &[String],
    make: impl FnOnce(&Path) -> Result<()>,
) -> Result<()> {
    let _alone = lock(folder);
    let stamp = folder.join(".stamp");
    let wanted = digest(inputs);
    if fs::read_to_string(&stamp).is_ok_and(|found| found == wanted) {
        return Ok(());
    }
    progress::step(what, || {
        let partial = folder.with_extension("partial");
        remove(&partial)?;
        fs::create_dir_all(&partial)
            .with_context(|| format!("cannot create {}", repo::shown(&partial)))?;
        let made = make(&partial).and_then(|()| Ok(fs::write(partial.join(".stamp"), &wanted)?));
        if let Err(error) = made {
            remove(&partial)?;
            return Err(error);
        }
        remove(folder)?;
        fs::rename(&partial, folder)
            .with_context(|| format!("cannot put {} in place", repo::shown(folder)))
    })
}

/// Runs `work` unless it was done for the same `inputs` before and `result`
/// still exists.
pub(crate) fn once(
    what: &str,
    result: &Path,
    inputs: &[String],
    work: impl FnOnce() -> Result<()>,
) -> Result<()> {
    let _alone = lock(result);
    let name = what.replace(|c: char| !c.is_ascii_alphanumeric(), "-");
    let stamp = repo::dev("stamps").join(name);
    let wanted = digest(inputs);
    if result.exists() && fs::read_to_string(&stamp).is_ok_and(|found| found == wanted) {
        return Ok(());
    }
    progress::step(what, work)?;
    fs::create_dir_all(repo::dev("stamps")).context("cannot create .dev/stamps")?;
    fs::write(&stamp, wanted).with_context(|| format!("cannot write {}", repo::shown(&stamp)))
}

/// The text of a file as an input; a missing file counts as empty.
pub(crate) fn text(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

/// Removes a folder; one that is not there is fine.
pub(crate) fn remove(folder: &Path) -> Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", repo::shown(folder)))
        }
        _ => Ok(()),
    }
}

/// Waits until no other thread makes the same thing.
fn lock(path: &Path) -> MutexGuard<'static, ()> {
    static LOCKS: Mutex<BTreeMap<PathBuf, &'static Mutex<()>>> = Mutex::new(BTreeMap::new());
    // A thread that panicked here left a partial folder, which is made anew.
    let mut locks = LOCKS.lock().unwrap_or_else(PoisonError::into_inner);
    let own = *locks.entry(path.to_owned()).or_insert_with(|| Box::leak(Box::default()));
    drop(locks);
    own.lock().unwrap_or_else(PoisonError::into_inner)
}

fn digest(inputs: &[String]) -> String {
    let mut hasher = DefaultHasher::new();
    inputs.hash(&mut hasher);
    format!("{:016x}\n", hasher.finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_made_once_and_a_failure_leaves_nothing() {
        let base = tempfile::tempdir().expect("temporary folder");
        let target = base.path().join("made");
        let inputs = ["one".to_owned()];
        let failed = folder("test", &target, &inputs, |_| anyhow::bail!("no network"));
        assert!(failed.is_err());
        assert_eq!(fs::read_dir(base.path()).expect("readable").count(), 0);

        let make = |partial: &Path| Ok(fs::write(partial.join("file"), "x")?);
        folder("test", &target, &inputs, make).expect("made");
        folder("test", &target, &inputs, |_| anyhow::bail!("made twice")).expect("kept");
        assert!(target.join("file").exists());
        folder("test", &target, &["two".to_owned()], |_| Ok(())).expect("made anew");
        assert!(!target.join("file").exists());
    }
}
