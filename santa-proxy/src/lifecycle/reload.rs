//! Reloads the configuration and the files on a thread of its own: a large console takes a
//! while to compress and a hung file system takes forever, and neither may keep signals or
//! `/metrics` waiting.

use std::path::{Path, PathBuf};
use std::sync::{Arc, mpsc};
use std::thread;

use anyhow::{Context, Result};
use santa_config::{Config, process_env};
use tokio::sync::watch;

use super::file_pages;
use super::file_watch::{FileState, FileWatch};
use crate::assets::Site;
use crate::control_state::ControlState;
use crate::log::sink::{Level, Sink};
use crate::snapshot::Snapshot;

/// What the thread is asked to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Task {
    /// Check whether files have changed, and reload them if they have.
    CheckFiles,
    /// Reload them.
    Reload,
}

/// What came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// There was nothing to reload.
    Unchanged,
    /// The files were read.
    Reloaded,
    /// They changed while they were read and must be read once more.
    Unsettled,
}

/// The handle of the thread: one task at a time. A reload requested meanwhile is done next;
/// a check is not, since the one under way serves as well.
#[derive(Debug)]
pub(super) struct Reloader {
    tasks: mpsc::Sender<Task>,
    outcomes: tokio::sync::mpsc::UnboundedReceiver<Outcome>,
    busy: bool,
    again: bool,
}

/// What the thread works with.
struct Loader {
    file: PathBuf,
    watch: FileWatch,
    control: watch::Sender<ControlState>,
    sink: Sink,
}

impl Reloader {
    /// Starts the thread, which reads `file` and what it names. It ends with the process:
    /// a read that hangs blocks nothing else.
    ///
    /// # Errors
    /// When the thread cannot be started.
    pub(super) fn start(
        file: &Path,
        watch: FileWatch,
        control: watch::Sender<ControlState>,
        sink: Sink,
    ) -> Result<Self> {
        let (tasks, received) = mpsc::channel();
        let (done, outcomes) = tokio::sync::mpsc::unbounded_channel();
        let mut loader = Loader { file: file.to_owned(), watch, control, sink };
        let work = move || {
            while let Ok(task) = received.recv() {
                // At the end of the process the receiver is already gone.
                let _ = done.send(loader.run(task));
            }
        };
        thread::Builder::new()
            .name("reload".into())
            .spawn(work)
            .context("starting the reload thread")?;
        Ok(Self { tasks, outcomes, busy: false, again: false })
    }

    /// Has a task done as soon as the one under way is.
    pub(super) fn request(&mut self, task: Task) {
        if self.busy {
            self.again |= task == Task::Reload;
        } else {
            // The thread ends only with this value.
            self.busy = self.tasks.send(task).is_ok();
        }
    }

    /// The outcome of the task under way; waits forever when there is none.
    pub(super) async fn outcome(&mut self) -> Outcome {
        let Some(outcome) = self.outcomes.recv().await else {
            return std::future::pending().await;
        };
        self.busy = false;
        if std::mem::take(&mut self.again) {
            self.request(Task::Reload);
        }
        outcome
    }
}

impl Loader {
    fn run(&mut self, task: Task) -> Outcome {
        if task == Task::CheckFiles && !self.watch.is_due(self.watch.current()) {
            return Outcome::Unchanged;
        }
        let outcome = if self.reload() { Outcome::Reloaded } else { Outcome::Unsettled };
        file_pages::drop_file_pages();
        outcome
    }

    /// Reads configuration and files; keeps what is there when that fails. Returns false when
    /// files changed meanwhile and must be read once more.
    fn reload(&mut self) -> bool {
        let mut files = None;
        let loaded = santa_config::load_shared(&self.file, &process_env())
            .map_err(|diagnostics| anyhow::anyhow!("{diagnostics}"))
            .and_then(|config| {
                let paths = watched_files(&self.file, &config);
                let before = FileState::of(&paths);
                let loaded = Snapshot::load(&config);
                let after = FileState::of(&paths);
                files = Some((paths, before, after));
                loaded
            });
        let settle = |(paths, before, after)| self.watch.settle(paths, before, after);
        let settled = files.is_none_or(settle);
        match loaded {
            Ok(_) if !settled => {
                let text = "files changed during the reload; reloading again shortly";
                self.sink.log(Level::Info, text, &[]);
            }
            Ok(snapshot) => {
                let files = snapshot.site.as_ref().map_or(0, Site::len).to_string();
                self.control.send_modify(|control| control.snapshot = Arc::new(snapshot));
                self.sink.log(Level::Info, "reloaded", &[("files", &files)]);
            }
            Err(error) => {
                let error = format!("{error:#}");
                let text = "reload failed; still serving the previous configuration and files";
                self.sink.log(Level::Error, text, &[("error", &error)]);
            }
        }
        settled
    }
}

/// The files that are watched for changes.
pub(super) fn watched_files(file: &Path, config: &Config) -> Vec<PathBuf> {
    let mut paths = crate::tls::files(&config.proxy.tls);
    paths.push(file.to_owned());
    if config.proxy.console.upstream.is_none() {
        paths.push(config.paths.www.clone());
    }
    paths
}
