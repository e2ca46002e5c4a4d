//! Reading the configuration and the files again, on a thread of its own: a large console
//! takes a while to compress and a hung file system takes for ever, and neither may keep
//! signals or `/metrics` waiting.

use std::path::{Path, PathBuf};
use std::sync::{Arc, mpsc};
use std::thread;

use anyhow::{Context, Result};
use santa_config::{Config, process_env};
use tokio::sync::watch;

use crate::assets::Site;
use crate::generation::Generation;
use crate::log::sink::{Level, Sink};
use crate::resident;
use crate::server::worker::Orders;
use crate::watch::{Look, Watch};

/// What the thread is asked to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Task {
    /// Look whether files have changed, and read them again if they have.
    Look,
    /// Read them again.
    Reload,
}

/// What became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// There was nothing to read.
    Unchanged,
    /// The files were read.
    Read,
    /// They changed meanwhile and must be read once more.
    Unsettled,
}

/// The way to the thread: one task at a time. A reload that is asked for meanwhile is
/// done next; a look is not, since the one under way serves as well.
#[derive(Debug)]
pub(crate) struct Reloader {
    tasks: mpsc::Sender<Task>,
    outcomes: tokio::sync::mpsc::UnboundedReceiver<Outcome>,
    busy: bool,
    again: bool,
}

/// What the thread works with.
struct Reading {
    file: PathBuf,
    watch: Watch,
    orders: watch::Sender<Orders>,
    sink: Sink,
}

impl Reloader {
    /// Starts the thread, which reads `file` and what it names. It ends with the process:
    /// nobody waits for a read that hangs.
    ///
    /// # Errors
    /// When there is no thread to be had.
    pub(crate) fn start(
        file: &Path,
        watch: Watch,
        orders: watch::Sender<Orders>,
        sink: Sink,
    ) -> Result<Self> {
        let (tasks, received) = mpsc::channel();
        let (done, outcomes) = tokio::sync::mpsc::unbounded_channel();
        let mut reading = Reading { file: file.to_owned(), watch, orders, sink };
        let work = move || {
            while let Ok(task) = received.recv() {
                // Nobody listens any more when the process ends.
                let _ = done.send(reading.carry_out(task));
            }
        };
        thread::Builder::new()
            .name("reload".into())
            .spawn(work)
            .context("starting the thread that reads files again")?;
        Ok(Self { tasks, outcomes, busy: false, again: false })
    }

    /// Has a task done as soon as the one under way is.
    pub(crate) fn ask(&mut self, task: Task) {
        if self.busy {
            self.again |= task == Task::Reload;
        } else {
            // The thread ends only with this value.
            self.busy = self.tasks.send(task).is_ok();
        }
    }

    /// What became of the task under way; for ever when there is none.
    pub(crate) async fn outcome(&mut self) -> Outcome {
        let Some(outcome) = self.outcomes.recv().await else {
            return std::future::pending().await;
        };
        self.busy = false;
        if std::mem::take(&mut self.again) {
            self.ask(Task::Reload);
        }
        outcome
    }
}

impl Reading {
    fn carry_out(&mut self, task: Task) -> Outcome {
        if task == Task::Look && !self.watch.is_due(self.watch.look()) {
            return Outcome::Unchanged;
        }
        let outcome = if self.reload() { Outcome::Read } else { Outcome::Unsettled };
        resident::give_back();
        outcome
    }

    /// Reads configuration and files again; keeps the present ones when that fails.
    /// Gives false when files changed meanwhile and must be read once more.
    fn reload(&mut self) -> bool {
        let mut files = None;
        let loaded = santa_config::load_shared(&self.file, &process_env())
            .map_err(|mistakes| anyhow::anyhow!("{mistakes}"))
            .and_then(|config| {
                let paths = watched(&self.file, &config);
                let before = Look::at(&paths);
                let loaded = Generation::load(&config);
                let after = Look::at(&paths);
                files = Some((paths, before, after));
                loaded
            });
        let settle = |(paths, before, after)| self.watch.settle(paths, before, after);
        let whole = files.is_none_or(settle);
        match loaded {
            Ok(_) if !whole => {
                let text = "files changed while they were read; they are read again shortly";
                self.sink.notice(Level::Info, text, &[]);
            }
            Ok(generation) => {
                let files = generation.site.as_ref().map_or(0, Site::len).to_string();
                self.orders.send_modify(|orders| orders.generation = Arc::new(generation));
                self.sink.notice(Level::Info, "reloaded", &[("files", &files)]);
            }
            Err(error) => {
                let error = format!("{error:#}");
                let text = "reload failed; serving goes on with what was there before";
                self.sink.notice(Level::Error, text, &[("error", &error)]);
            }
        }
        whole
    }
}

/// The files whose change is noticed.
pub(crate) fn watched(file: &Path, config: &Config) -> Vec<PathBuf> {
    let mut paths = crate::tls::files(&config.proxy.tls);
    paths.push(file.to_owned());
    if config.proxy.console.upstream.is_none() {
        paths.push(config.paths.www.clone());
    }
    paths
}
