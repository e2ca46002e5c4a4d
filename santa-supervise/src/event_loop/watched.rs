//! Files that services watch (`watch`): a change makes the service reload. They
//! are looked at once a second, and only while somebody watches any.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::json;

use crate::machine::{CommandId, Event, Phase, SlotId, Verb};

use super::EventLoop;

/// How often files are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Most files of one service; a folder with more is not meant to be watched.
const MOST_FILES: usize = 10_000;

/// What is told apart of every file: inode, size, time of its last change.
type Look = BTreeMap<PathBuf, (u64, u64, i64, i64)>;

/// What was last seen of the files of one service.
#[derive(Debug)]
struct Seen {
    paths: Vec<PathBuf>,
    look: Look,
    /// It differs from what the service was last told of.
    changed: bool,
}

/// The files of all services that watch any.
#[derive(Debug, Default)]
pub(super) struct Watched {
    seen: BTreeMap<SlotId, Seen>,
    next: Option<Instant>,
}

impl Watched {
    pub(super) fn next_look(&self) -> Option<Instant> {
        self.next
    }
}

/// All files at or below `paths`.
fn look(paths: &[PathBuf]) -> Look {
    let mut found = Look::new();
    let mut left: Vec<PathBuf> = paths.to_vec();
    while let Some(path) = left.pop() {
        let Ok(about) = fs::metadata(&path) else { continue };
        if about.is_dir() {
            left.extend(entries(&path));
        }
        let traits = (about.ino(), about.size(), about.mtime(), about.mtime_nsec());
        found.insert(path, traits);
        if found.len() >= MOST_FILES {
            break;
        }
    }
    found
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    entries.filter_map(|entry| Some(entry.ok()?.path())).collect()
}

impl EventLoop {
    /// Begins or ends to watch, as is configured now.
    pub(super) fn settle_watches(&mut self) {
        let paths_of = |slot: &SlotId| self.blueprints.get(slot).map(|one| &one.service.watch);
        self.watched.seen.retain(|slot, seen| paths_of(slot) == Some(&seen.paths));
        for (slot, blueprint) in &self.blueprints {
            let paths = &blueprint.service.watch;
            if !paths.is_empty() && !self.watched.seen.contains_key(slot) {
                let seen = Seen { paths: paths.clone(), look: look(paths), changed: false };
                self.watched.seen.insert(*slot, seen);
            }
        }
        if self.watched.seen.is_empty() {
            self.watched.next = None;
        } else {
            self.watched.next.get_or_insert_with(|| Instant::now() + LOOK_EVERY);
        }
    }

    /// Looks at all watched files when it is time to. What changes is waited for
    /// to rest for one look, because a copy takes its time.
    pub(super) fn look_at_files(&mut self, now: Instant) {
        if self.watched.next.is_none_or(|next| next > now) {
            return;
        }
        self.watched.next = Some(now + LOOK_EVERY);
        let mut rested = Vec::new();
        for (slot, seen) in &mut self.watched.seen {
            let found = look(&seen.paths);
            let moved = found != seen.look;
            if seen.changed && !moved {
                rested.push(*slot);
            }
            seen.changed = moved;
            seen.look = found;
        }
        for slot in rested {
            self.reload_watcher(slot);
        }
    }

    fn reload_watcher(&mut self, slot: SlotId) {
        // One that does not run reads its files when it starts.
        let runs = self.state.slot(slot).is_some_and(|slot| slot.phase() == Phase::Ready);
        if !runs {
            return;
        }
        let label = self.label(slot);
        let details = json!({ "event": "watch", "name": label });
        self.event(
            "info",
            &format!("{label} reloads: a file that it watches has changed"),
            details,
        );
        // Nobody waits for the answer.
        let id = CommandId(0);
        self.events.push_back(Event::Command { id, verb: Verb::Reload, target: label });
    }
}
