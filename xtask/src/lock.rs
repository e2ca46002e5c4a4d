//! Locks between processes: two commands in one clone (`dev` and `ci`, say) must not
//! make the same folder at the same time. The kernel lets go of a lock when its
//! holder ends, however it ends.

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::{progress, repo, run};

/// How often a waiting command looks again.
const TICK: Duration = Duration::from_millis(50);
/// How long it waits before it says so.
const SILENCE: Duration = Duration::from_secs(1);

/// A lock that is held until this is dropped.
pub struct Held {
    _file: File,
}

/// Waits until nobody else, in this process or another, works on `path`.
pub fn hold(path: &Path) -> Result<Held> {
    let place = place(path);
    let context = || format!("cannot lock {}", repo::shown(&place));
    place.parent().map_or(Ok(()), fs::create_dir_all).with_context(context)?;
    let file = File::create(&place).with_context(context)?;
    let start = Instant::now();
    let mut announced = false;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(Held { _file: file }),
            Err(TryLockError::Error(error)) => return Err(error).with_context(context),
            Err(TryLockError::WouldBlock) => {}
        }
        run::check()?;
        if !announced && start.elapsed() > SILENCE {
            announced = true;
            progress::note(&format!("waiting: another process is building {}", repo::shown(path)));
        }
        std::thread::sleep(TICK);
    }
}

/// The file to lock for `path`. It is never removed: a lock on a removed file
/// excludes nobody.
fn place(path: &Path) -> PathBuf {
    match path.strip_prefix(repo::root()) {
        Ok(inside) => {
            let name = inside.to_string_lossy().replace('/', "-");
            repo::dev("locks").join(format!("{name}.lock"))
        }
        Err(_) => path.with_extension("lock"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lock_of_a_folder_lies_outside_it() {
        assert_eq!(place(&repo::dev("tools/uv")), repo::dev("locks/.dev-tools-uv.lock"));
        assert_eq!(place(Path::new("/elsewhere/venv")), Path::new("/elsewhere/venv.lock"));
    }

    #[test]
    fn one_holder_at_a_time() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let path = folder.path().join("made");
        let held = hold(&path).expect("free");
        let other = File::create(place(&path)).expect("there");
        assert!(matches!(other.try_lock(), Err(TryLockError::WouldBlock)));
        drop(held);
        other.try_lock().expect("free again");
    }
}
