//! Which files changed? Folders are watched rather than files, because editors
//! replace files; when the system loses count, everything counts as changed.

use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Receiver};
use std::time::Duration;

use anyhow::{Context, Result};
use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher as _};

use crate::repo;

/// Folders that are watched with all that is in them.
const DEEP: [&str; 4] = ["backend/santaserver", "santa-proxy", "santa-supervise", "docker"];
/// Folders of which only the files themselves are watched.
const SHALLOW: [&str; 3] = ["", "backend", "frontend"];

/// Watches the sources from now on.
pub(crate) struct Watcher {
    events: Receiver<notify::Result<Event>>,
    // Dropping it would end the watch.
    _watcher: RecommendedWatcher,
}

impl Watcher {
    /// Starts watching.
    pub(crate) fn start() -> Result<Self> {
        let (sender, events) = mpsc::channel();
        let mut watcher = notify::recommended_watcher(sender).context("cannot watch files")?;
        let deep = DEEP.map(|folder| (folder, RecursiveMode::Recursive));
        let shallow = SHALLOW.map(|folder| (folder, RecursiveMode::NonRecursive));
        for (folder, mode) in deep.into_iter().chain(shallow) {
            watcher.watch(&repo::path(folder), mode).with_context(|| {
                format!("cannot watch {folder}; on Linux raise fs.inotify.max_user_watches, or use --no-watch")
            })?;
        }
        Ok(Self { events, _watcher: watcher })
    }

    /// Paths that changed, relative to the repository; empty when nothing did
    /// within `timeout`.
    pub(crate) fn next(&self, timeout: Duration) -> Vec<PathBuf> {
        match self.events.recv_timeout(timeout) {
            Ok(Ok(event)) => paths(&event),
            Ok(Err(_)) => everything(),
            Err(_) => Vec::new(),
        }
    }
}

fn paths(event: &Event) -> Vec<PathBuf> {
    if event.need_rescan() {
        return everything();
    }
    if matches!(event.kind, EventKind::Access(_)) {
        return Vec::new();
    }
    let relative = |path: &PathBuf| path.strip_prefix(repo::root()).ok().map(Path::to_owned);
    event.paths.iter().filter_map(relative).collect()
}

/// Stands for a change of everything.
fn everything() -> Vec<PathBuf> {
    vec!["Cargo.toml".into(), "backend/santaserver/main.py".into()]
}
