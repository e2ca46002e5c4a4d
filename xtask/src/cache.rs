//! Doing set-up work only when what it depends on has changed, and never leaving a
//! half-made thing that looks finished: cache keys are removed before the work, written
//! after it, and looked at again by whoever had to wait for the lock.

use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::Path;

use anyhow::{Context, Result};

use crate::files::remove;
use crate::{lock, progress, repo};

/// The cache key of a folder, in it; and the folder in `.dev` with those of other work.
const KEY: &str = ".stamp";
const KEYS: &str = "stamps";

/// Makes `folder` by `make` unless it was made from the same `inputs` before and
/// still has the file `proof` in it. `make` gets the path of a temporary folder
/// beside it that takes the place of the old one only when all is done. Says what it
/// did under the name `what`.
pub fn folder(
    what: &str,
    folder: &Path,
    proof: &str,
    inputs: &[String],
    make: impl FnOnce(&Path) -> Result<()>,
) -> Result<()> {
    let wanted = digest(inputs);
    let fresh = || {
        let found = fs::read_to_string(folder.join(KEY));
        found.is_ok_and(|found| found == wanted) && folder.join(proof).exists()
    };
    if fresh() {
        return Ok(());
    }
    let _alone = lock::hold(folder)?;
    if fresh() {
        return Ok(());
    }
    progress::step(what, || {
        let partial = folder.with_extension("partial");
        remove(&partial)?;
        fs::create_dir_all(&partial)
            .with_context(|| format!("cannot create {}", repo::shown(&partial)))?;
        let key_file = partial.join(KEY);
        let made = make(&partial).and_then(|()| {
            fs::write(&key_file, &wanted)
                .with_context(|| format!("cannot write {}", repo::shown(&key_file)))
        });
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
pub fn once(
    what: &str,
    result: &Path,
    inputs: &[String],
    work: impl FnOnce() -> Result<()>,
) -> Result<()> {
    let name = what.replace(|c: char| !c.is_ascii_alphanumeric(), "-");
    let key_file = repo::dev(KEYS).join(name);
    once_by(&key_file, what, result, inputs, work)
}

fn once_by(
    key_file: &Path,
    what: &str,
    result: &Path,
    inputs: &[String],
    work: impl FnOnce() -> Result<()>,
) -> Result<()> {
    let wanted = digest(inputs);
    let fresh =
        || result.exists() && fs::read_to_string(key_file).is_ok_and(|found| found == wanted);
    if fresh() {
        return Ok(());
    }
    let _alone = lock::hold(result)?;
    if fresh() {
        return Ok(());
    }
    // Work that is cut off must not pass for what the last key says.
    match fs::remove_file(key_file) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            return Err(error).with_context(|| format!("cannot remove {}", repo::shown(key_file)));
        }
        _ => {}
    }
    progress::step(what, work)?;
    key_file.parent().map_or(Ok(()), fs::create_dir_all).context("cannot create .dev/stamps")?;
    fs::write(key_file, wanted).with_context(|| format!("cannot write {}", repo::shown(key_file)))
}

fn digest(inputs: &[String]) -> String {
    let mut hasher = DefaultHasher::new();
    inputs.hash(&mut hasher);
    format!("{:016x}\n", hasher.finish())
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_folder_is_made_once_and_a_failure_leaves_nothing() {
        let base = tempfile::tempdir().expect("temporary folder");
        let target = base.path().join("made");
        let inputs = ["one".to_owned()];
        let failed = folder("test", &target, "", &inputs, |_| anyhow::bail!("no network"));
        assert!(failed.is_err());
        assert!(!target.exists() && !target.with_extension("partial").exists());

        let make = |partial: &Path| Ok(fs::write(partial.join("file"), "x")?);
        folder("test", &target, "file", &inputs, make).expect("made");
        folder("test", &target, "file", &inputs, |_| anyhow::bail!("made twice")).expect("kept");
        fs::remove_file(target.join("file")).expect("there");
        folder("test", &target, "file", &inputs, make).expect("made again without its proof");
        folder("test", &target, "", &["two".to_owned()], |_| Ok(())).expect("made again");
        assert!(!target.join("file").exists());
    }

    #[test]
    fn whoever_waited_for_the_same_folder_finds_it_made() {
        let base = tempfile::tempdir().expect("temporary folder");
        let (target, made) = (base.path().join("made"), AtomicUsize::new(0));
        let make = |partial: &Path| {
            made.fetch_add(1, Ordering::SeqCst);
            std::thread::sleep(Duration::from_millis(80));
            Ok(fs::write(partial.join("file"), "x")?)
        };
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| folder("test", &target, "file", &[], make).expect("made"));
            }
        });
        assert_eq!(made.load(Ordering::SeqCst), 1);
    }

    #[test]
    fn work_that_was_cut_off_is_done_again() {
        let base = tempfile::tempdir().expect("temporary folder");
        let (key_file, result) = (base.path().join("stamp"), base.path().join("result"));
        let inputs = ["one".to_owned()];
        let once =
            |work: &dyn Fn() -> Result<()>| once_by(&key_file, "test", &result, &inputs, work);
        once(&|| Ok(fs::write(&result, "whole")?)).expect("done");
        fs::remove_file(&result).expect("there");
        once(&|| {
            fs::write(&result, "half")?;
            anyhow::bail!("cut off")
        })
        .expect_err("cut off");
        once(&|| Ok(fs::write(&result, "whole")?)).expect("done again");
        assert_eq!(crate::files::text(&result), "whole");
    }
}
