//! Notices that files on disk are no longer those that are served. Looks at
//! names, sizes and times only; what is read then is not its business.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// Directories below the console's that are looked into.
const DEEPEST: usize = 32;

/// What the watched files looked like at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Look(Vec<(PathBuf, u64, Option<SystemTime>)>);

impl Look {
    /// Looks at `paths`, and into those that are directories.
    pub(crate) fn at(paths: &[PathBuf]) -> Self {
        let mut look = Self::default();
        for path in paths {
            look.add(path, DEEPEST);
        }
        look
    }

    fn add(&mut self, path: &Path, depth: usize) {
        // A file that is away for a moment differs from one that is there.
        let Ok(metadata) = fs::metadata(path) else { return };
        self.0.push((path.to_owned(), metadata.len(), metadata.modified().ok()));
        if !metadata.is_dir() || depth == 0 {
            return;
        }
        let Ok(entries) = fs::read_dir(path) else { return };
        let mut inside: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
        inside.sort();
        for path in inside {
            self.add(&path, depth - 1);
        }
    }
}

/// Decides when to read again: once a change has come to rest, so that no half
/// of it is served.
#[derive(Debug)]
pub(crate) struct Watch {
    paths: Vec<PathBuf>,
    served: Look,
    before: Look,
}

impl Watch {
    /// What is served was read from `paths` when they looked like `look`.
    pub(crate) fn new(paths: Vec<PathBuf>, look: Look) -> Self {
        Self { paths, served: look.clone(), before: look }
    }

    /// What the files look like now.
    pub(crate) fn look(&self) -> Look {
        Look::at(&self.paths)
    }

    /// Whether to read now that the files look like `now`.
    pub(crate) fn is_due(&mut self, now: Look) -> bool {
        let due = self.before == now && self.served != now;
        self.before = now;
        due
    }

    /// `paths` were read, having looked like `before` and then like `after`;
    /// gives whether that was all of one state.
    pub(crate) fn settle(&mut self, paths: Vec<PathBuf>, before: Look, after: Look) -> bool {
        let whole = before == after;
        self.paths = paths;
        if whole {
            self.served = before;
        }
        self.before = after;
        whole
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(size: u64) -> Look {
        Look(vec![(PathBuf::from("index.html"), size, None)])
    }

    #[test]
    fn a_change_is_read_once_it_has_come_to_rest() {
        let mut watch = Watch::new(Vec::new(), look(1));
        assert!(!watch.is_due(look(1)));
        assert!(!watch.is_due(look(2)), "it may still go on");
        assert!(!watch.is_due(look(3)), "it did");
        assert!(watch.is_due(look(3)));
        assert!(!watch.settle(Vec::new(), look(3), look(4)), "it changed while being read");
        assert!(watch.is_due(look(4)));
        assert!(watch.settle(Vec::new(), look(4), look(4)));
        assert!(!watch.is_due(look(4)));
    }

    #[test]
    fn files_that_come_go_or_grow_look_different() {
        let directory = tempfile::tempdir().expect("directory");
        let paths = [directory.path().to_owned()];
        let empty = Look::at(&paths);
        let file = directory.path().join("deep/file.txt");
        fs::create_dir_all(directory.path().join("deep")).expect("directory");
        fs::write(&file, "one").expect("file");
        let one = Look::at(&paths);
        fs::write(&file, "three").expect("file");
        let three = Look::at(&paths);
        assert!(empty != one && one != three);
        assert_eq!(Look::at(&paths), three);
        fs::remove_file(&file).expect("file");
        assert_ne!(Look::at(&paths), three);
    }
}
