//! Detects that files on disk are no longer those that are served, by their names, sizes
//! and modification times. A change that keeps all three is not seen; SIGHUP reloads in
//! any case.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// How deep directories are followed below the watched one.
const MAX_DEPTH: usize = 32;

/// Names, sizes and times of the watched files at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct FileState(Vec<(PathBuf, u64, Option<SystemTime>)>);

impl FileState {
    /// The state of `paths` and of everything in those that are directories.
    pub(super) fn of(paths: &[PathBuf]) -> Self {
        let mut state = Self::default();
        for path in paths {
            state.add(path, MAX_DEPTH);
        }
        state
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

/// Decides when to reload: once the files have stopped changing, so that no half-made
/// change is served.
#[derive(Debug)]
pub(super) struct FileWatch {
    paths: Vec<PathBuf>,
    served: FileState,
    before: FileState,
}

impl FileWatch {
    /// What is served was read from `paths` in this `state`.
    pub(super) fn new(paths: Vec<PathBuf>, state: FileState) -> Self {
        Self { paths, served: state.clone(), before: state }
    }

    /// The state of the files now.
    pub(super) fn current(&self) -> FileState {
        FileState::of(&self.paths)
    }

    /// Whether to reload now that the files are in the state `now`.
    pub(super) fn is_due(&mut self, now: FileState) -> bool {
        let due = self.before == now && self.served != now;
        self.before = now;
        due
    }

    /// `paths` were read, from the state `before` to the state `after`; returns whether they
    /// did not change meanwhile.
    pub(super) fn settle(
        &mut self,
        paths: Vec<PathBuf>,
        before: FileState,
        after: FileState,
    ) -> bool {
        let unchanged = before == after;
        self.paths = paths;
        if unchanged {
            self.served = before;
        }
        self.before = after;
        unchanged
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(size: u64) -> FileState {
        FileState(vec![(PathBuf::from("index.html"), size, None)])
    }

    #[test]
    fn a_change_is_reloaded_once_the_files_are_settled() {
        let mut watch = FileWatch::new(Vec::new(), state(1));
        assert!(!watch.is_due(state(1)));
        assert!(!watch.is_due(state(2)), "it may still go on");
        assert!(!watch.is_due(state(3)), "it did");
        assert!(watch.is_due(state(3)));
        assert!(!watch.settle(Vec::new(), state(3), state(4)), "it changed while being read");
        assert!(watch.is_due(state(4)));
        assert!(watch.settle(Vec::new(), state(4), state(4)));
        assert!(!watch.is_due(state(4)));
    }

    #[test]
    fn files_that_appear_disappear_or_grow_change_the_state() {
        let directory = tempfile::tempdir().expect("directory");
        let paths = [directory.path().to_owned()];
        let empty = FileState::of(&paths);
        let file = directory.path().join("deep/file.txt");
        fs::create_dir_all(directory.path().join("deep")).expect("directory");
        fs::write(&file, "one").expect("file");
        let one = FileState::of(&paths);
        fs::write(&file, "three").expect("file");
        let three = FileState::of(&paths);
        assert!(empty != one && one != three);
        assert_eq!(FileState::of(&paths), three);
        fs::remove_file(&file).expect("file");
        assert_ne!(FileState::of(&paths), three);
    }
}
