//! Files that services watch (`watch`): a change makes the service reload. They
//! are checked once a second, by a worker for each service that watches any: a
//! mount that hangs holds up that one and nobody else.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write as _;
use std::os::fd::RawFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant, UNIX_EPOCH};

use crate::machine::SlotId;
use crate::os::Token;

use super::helpers::{Helpers, OwnWorker, Purpose};
use super::io::{Io, Source};

/// How often files are checked.
const CHECK_EVERY: Duration = Duration::from_secs(1);

/// A check that takes longer than this is reported.
pub(super) const LONG_CHECK: Duration = Duration::from_secs(10);

/// When a watcher that has ended is started again.
const AGAIN_AFTER: Duration = Duration::from_secs(5);

/// What a watcher writes after each check.
const NOTHING_NEW: u8 = b'.';
const CHANGED: u8 = b'c';

/// Most files of one service; a folder with more is not meant to be watched.
const MOST_FILES: usize = 10_000;

/// What is seen of all files.
#[derive(Debug, Default)]
struct Snapshot {
    /// What shows a change of each: inode, size, time of its last change.
    files: BTreeMap<PathBuf, (u64, u64, i64, i64)>,
    /// When the last of them changed, in seconds and nanoseconds.
    newest: (i64, i64),
}

/// The worker that checks the files of one service.
#[derive(Debug)]
struct Watcher {
    paths: Vec<PathBuf>,
    /// None when it has ended, or could not be started.
    worker: Option<OwnWorker>,
    /// When it must have written; or is started again.
    due: Option<Instant>,
}

/// The watchers of all services that watch any.
#[derive(Debug, Default)]
pub(super) struct Watched(BTreeMap<SlotId, Watcher>);

impl Watched {
    pub(super) fn next_check(&self) -> Option<Instant> {
        self.0.values().filter_map(|watcher| watcher.due).min()
    }

    /// Begins or ends to watch, as is configured now.
    pub(super) fn sync<'a>(
        &mut self,
        io: &mut Io,
        helpers: &mut Helpers,
        wanted: impl Iterator<Item = (SlotId, &'a Vec<PathBuf>)>,
    ) {
        let wanted: BTreeMap<SlotId, &Vec<PathBuf>> = wanted.collect();
        self.0.retain(|slot, watcher| {
            let stays = wanted.get(slot) == Some(&&watcher.paths);
            if !stays {
                watcher.end(io, helpers);
            }
            stays
        });
        for (slot, paths) in wanted {
            if !paths.is_empty() && !self.0.contains_key(&slot) {
                let mut watcher = Watcher { paths: paths.clone(), worker: None, due: None };
                watcher.begin(io, helpers);
                self.0.insert(slot, watcher);
            }
        }
    }

    /// A watcher has reported checks, or has ended; returns whose files have changed.
    pub(super) fn read(
        &mut self,
        io: &mut Io,
        helpers: &mut Helpers,
        token: Token,
    ) -> Option<SlotId> {
        let of =
            |watcher: &Watcher| watcher.worker.as_ref().is_some_and(|one| one.token() == token);
        let (slot, watcher) = self.0.iter_mut().find(|(_, one)| of(one))?;
        let mut buffer = [0u8; 64];
        let read = watcher.worker.as_ref()?.read(&mut buffer)?;
        if read == 0 {
            watcher.due = Some(Instant::now() + AGAIN_AFTER);
            watcher.end(io, helpers);
            return None;
        }
        watcher.due = Some(Instant::now() + LONG_CHECK);
        buffer[..read].contains(&CHANGED).then_some(*slot)
    }

    /// Starts watchers again that have ended; returns whose hang.
    pub(super) fn run_timers(
        &mut self,
        io: &mut Io,
        helpers: &mut Helpers,
        now: Instant,
    ) -> Vec<SlotId> {
        let mut hanging = Vec::new();
        for (slot, watcher) in &mut self.0 {
            if watcher.due.is_none_or(|due| due > now) {
                continue;
            }
            if watcher.worker.is_none() {
                watcher.begin(io, helpers);
            } else {
                // Reported once; what it writes next counts again.
                watcher.due = None;
                hanging.push(*slot);
            }
        }
        hanging
    }
}

impl Watcher {
    fn begin(&mut self, io: &mut Io, helpers: &mut Helpers) {
        let begun = UNIX_EPOCH.elapsed().unwrap_or_default();
        let begun = (begun.as_secs().cast_signed(), begun.subsec_nanos().into());
        let paths = &self.paths;
        let work = |output: &mut File, _: &[RawFd]| watch(paths, begun, output);
        let worker = helpers.start_worker(io, Purpose::Watch, Source::Watcher, &[], &work);
        let timeout = if worker.is_ok() { LONG_CHECK } else { AGAIN_AFTER };
        self.due = Some(Instant::now() + timeout);
        self.worker = worker.ok();
    }

    fn end(&mut self, io: &mut Io, helpers: &mut Helpers) {
        if let Some(worker) = self.worker.take() {
            helpers.end(io, &worker);
        }
    }
}

/// What a watcher does. What has changed after `begun` counts even before the
/// first check. A change is reported once nothing more has changed for one check,
/// because copying takes time.
fn watch(paths: &[PathBuf], begun: (i64, i64), output: &mut File) {
    let mut seen = snapshot(paths);
    let mut changed = seen.newest > begun;
    loop {
        sleep(CHECK_EVERY);
        let found = snapshot(paths);
        let moved = found.files != seen.files;
        let word = if changed && !moved { CHANGED } else { NOTHING_NEW };
        (seen, changed) = (found, moved);
        if output.write_all(&[word]).is_err() {
            return;
        }
    }
}

/// All files at or below `paths`.
fn snapshot(paths: &[PathBuf]) -> Snapshot {
    let mut found = Snapshot::default();
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
