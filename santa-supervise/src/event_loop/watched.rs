//! Files that services watch (`watch`): a change makes the service reload. They
//! are looked at once a second, by a process of our own for each service that
//! watches any: a mount that hangs holds up that one and nobody else.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write as _;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant, UNIX_EPOCH};

use serde_json::json;

use crate::machine::{CommandId, Event, Phase, SlotId, Verb};
use crate::os::{self, Interest, Pid, Token, Worker};

use super::helpers::Purpose;
use super::{EventLoop, Source};

/// How often files are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// A look that takes longer than this is told.
const LONG_LOOK: Duration = Duration::from_secs(10);

/// When a watcher that has ended is started again.
const AGAIN_AFTER: Duration = Duration::from_secs(5);

/// What a watcher writes after each look.
const NOTHING_NEW: u8 = b'.';
const CHANGED: u8 = b'c';

/// Most files of one service; a folder with more is not meant to be watched.
const MOST_FILES: usize = 10_000;

/// What is seen of all files.
#[derive(Debug, Default)]
struct Look {
    /// What is told apart of each: inode, size, time of its last change.
    files: BTreeMap<PathBuf, (u64, u64, i64, i64)>,
    /// When the last one came to be as it is, in seconds and nanoseconds.
    newest: (i64, i64),
}

/// The process that looks at the files of one service.
#[derive(Debug)]
struct Watcher {
    paths: Vec<PathBuf>,
    /// None when it has ended, or could not be started.
    process: Option<Process>,
    /// When it must have written; or is started again.
    due: Option<Instant>,
}

#[derive(Debug)]
struct Process {
    pid: Pid,
    output: OwnedFd,
    token: Token,
}

/// The watchers of all services that watch any.
#[derive(Debug, Default)]
pub(super) struct Watched(BTreeMap<SlotId, Watcher>);

impl Watched {
    pub(super) fn next_check(&self) -> Option<Instant> {
        self.0.values().filter_map(|watcher| watcher.due).min()
    }
}

/// The life of a watcher. What has changed after `begun` is news even before the
/// first look. A change is waited for to rest for one look, because a copy takes
/// its time.
fn watch(paths: &[PathBuf], begun: (i64, i64), output: &mut File) {
    let mut seen = look(paths);
    let mut changed = seen.newest > begun;
    loop {
        sleep(LOOK_EVERY);
        let found = look(paths);
        let moved = found.files != seen.files;
        let word = if changed && !moved { CHANGED } else { NOTHING_NEW };
        (seen, changed) = (found, moved);
        if output.write_all(&[word]).is_err() {
            return;
        }
    }
}

/// All files at or below `paths`.
fn look(paths: &[PathBuf]) -> Look {
    let mut found = Look::default();
    let mut left: Vec<PathBuf> = paths.to_vec();
    while let Some(path) = left.pop() {
        let Ok(about) = fs::metadata(&path) else { continue };
        if about.is_dir() {
            left.extend(entries(&path));
        }
        let traits = (about.ino(), about.size(), about.mtime(), about.mtime_nsec());
        found.newest = found.newest.max((about.ctime(), about.ctime_nsec()));
        found.files.insert(path, traits);
        if found.files.len() >= MOST_FILES {
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
    pub(super) fn sync_watches(&mut self) {
        let paths_of = |slot: &SlotId| self.core.blueprints.get(slot).map(|one| &one.service.watch);
        let watched = self.monitors.watched.0.iter();
        let over = watched.filter(|(slot, watcher)| paths_of(slot) != Some(&watcher.paths));
        for slot in over.map(|(slot, _)| *slot).collect::<Vec<_>>() {
            self.end_watcher(slot);
            self.monitors.watched.0.remove(&slot);
        }
        let new = |slot: &SlotId, paths: &[PathBuf]| {
            !paths.is_empty() && !self.monitors.watched.0.contains_key(slot)
        };
        let blueprints = self.core.blueprints.iter();
        let new: Vec<_> = blueprints
            .filter(|(slot, blueprint)| new(slot, &blueprint.service.watch))
            .map(|(slot, blueprint)| (*slot, blueprint.service.watch.clone()))
            .collect();
        for (slot, paths) in new {
            self.monitors.watched.0.insert(slot, Watcher { paths, process: None, due: None });
            self.begin_watching(slot);
        }
    }

    fn begin_watching(&mut self, slot: SlotId) {
        let Some(watcher) = self.monitors.watched.0.get_mut(&slot) else { return };
        let paths = watcher.paths.clone();
        watcher.due = Some(Instant::now() + AGAIN_AFTER);
        let begun = UNIX_EPOCH.elapsed().unwrap_or_default();
        let begun = (begun.as_secs().cast_signed(), begun.subsec_nanos().into());
        let worker = os::fork_worker(&[], &|output, _| watch(&paths, begun, output));
        let Ok(Worker { pid, output }) = worker else { return };
        self.adopt_worker(Purpose::Watch, pid);
        let token = self.io.sources.add(Source::Watcher);
        if self.io.os.watch(output.as_fd(), token, Interest::Read).is_err() {
            self.io.sources.remove(token);
            return self.end_helper(pid);
        }
        if let Some(watcher) = self.monitors.watched.0.get_mut(&slot) {
            watcher.process = Some(Process { pid, output, token });
            watcher.due = Some(Instant::now() + LONG_LOOK);
        }
    }

    fn end_watcher(&mut self, slot: SlotId) {
        let process =
            self.monitors.watched.0.get_mut(&slot).and_then(|watcher| watcher.process.take());
        if let Some(process) = process {
            self.io.os.forget(process.output.as_fd(), process.token);
            self.io.sources.remove(process.token);
            self.end_helper(process.pid);
        }
    }

    /// A watcher tells of its last looks, or has ended.
    pub(super) fn read_watcher(&mut self, token: Token) {
        let of = |watcher: &Watcher| watcher.process.as_ref().is_some_and(|one| one.token == token);
        let Some((slot, watcher)) = self.monitors.watched.0.iter_mut().find(|(_, one)| of(one))
        else {
            return;
        };
        let (slot, mut told) = (*slot, [0u8; 64]);
        let Some(process) = &watcher.process else { return };
        match rustix::io::read(&process.output, &mut told) {
            Ok(read @ 1..) => {
                watcher.due = Some(Instant::now() + LONG_LOOK);
                if told[..read].contains(&CHANGED) {
                    self.reload_watcher(slot);
                }
            }
            Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR) => {}
            Ok(0) | Err(_) => {
                watcher.due = Some(Instant::now() + AGAIN_AFTER);
                self.end_watcher(slot);
            }
        }
    }

    /// Starts watchers again that have ended; tells of those that hang.
    pub(super) fn look_after_watchers(&mut self, now: Instant) {
        let due = |watcher: &Watcher| watcher.due.is_some_and(|due| due <= now);
        let watched = self.monitors.watched.0.iter().filter(|(_, watcher)| due(watcher));
        let due: Vec<_> =
            watched.map(|(slot, watcher)| (*slot, watcher.process.is_some())).collect();
        for (slot, hangs) in due {
            if !hangs {
                self.begin_watching(slot);
                continue;
            }
            // Told once; its next word counts again.
            if let Some(watcher) = self.monitors.watched.0.get_mut(&slot) {
                watcher.due = None;
            }
            let label = self.label(slot);
            self.warn(&format!("the files that {label} watches could not be checked for {LONG_LOOK:?}; is a mount hanging?"));
        }
    }

    fn reload_watcher(&mut self, slot: SlotId) {
        // One that does not run reads its files when it starts.
        let runs = self.core.state.slot(slot).is_some_and(|slot| slot.phase() == Phase::Ready);
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
        self.core.events.push_back(Event::Command { id, verb: Verb::Reload, target: label });
    }
}
