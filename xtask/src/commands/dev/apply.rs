//! Applies the steps that a change asks for. A step that fails is shown and ends the
//! round: what runs goes on running as it was.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::Result;
use xshell::cmd;

use super::debounce::Debounce;
use super::setup;
use super::steps::{Step, steps};
use super::watch::Watcher;
use crate::layout::{DevEnvironment, Layout};
use crate::supervisor::Supervisor;
use crate::tools::{node, python};
use crate::{layout, progress, run};

/// How long one turn waits for a change before the caller looks at the rest.
const TIMEOUT: Duration = Duration::from_millis(200);

/// What the caller has to do after a turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    /// Nothing.
    Continue,
    /// Stop everything and start it again.
    Restart,
}

/// The loop that follows changes of files.
pub(crate) struct Loop<'a> {
    layout: &'a Layout,
    environment: &'a DevEnvironment,
    watcher: Option<&'a Watcher>,
    debounce: Debounce,
}

impl<'a> Loop<'a> {
    pub(crate) fn new(
        layout: &'a Layout,
        environment: &'a DevEnvironment,
        watcher: Option<&'a Watcher>,
    ) -> Self {
        Self { layout, environment, watcher, debounce: Debounce::default() }
    }

    /// Waits a little for changes and carries out what is due.
    pub(crate) fn turn(&mut self, supervisor: &Supervisor) -> Next {
        let Some(watcher) = self.watcher else {
            std::thread::sleep(TIMEOUT);
            return Next::Continue;
        };
        let wait = self.debounce.wait(Instant::now()).unwrap_or(TIMEOUT);
        let changed = watcher.next(wait.min(TIMEOUT));
        self.debounce.add(Instant::now(), changed);
        match self.debounce.take(Instant::now()) {
            Some(paths) => self.round(&paths, supervisor),
            None => Next::Continue,
        }
    }

    fn round(&self, paths: &BTreeSet<PathBuf>, supervisor: &Supervisor) -> Next {
        let steps = steps(paths.iter().map(PathBuf::as_path));
        let cause = cause(paths);
        for &step in &steps {
            let start = Instant::now();
            if let Some(begun) = begun(step) {
                err!("{} {begun} {}", progress::dim("…"), progress::dim(&cause));
            }
            match self.apply(step, supervisor) {
                Ok(done) => {
                    let about = format!("{}, {cause}", progress::time(start.elapsed()));
                    err!("{} {done} {}", progress::green("↻"), progress::dim(&about));
                }
                Err(error) if run::is_interruption(&error) => return Next::Continue,
                Err(error) => {
                    err!("{} {error:#}", progress::red("✗"));
                    progress::warn(&format!(
                        "{cause}: not applied; what was running keeps running"
                    ));
                    return Next::Continue;
                }
            }
        }
        if steps.contains(&Step::RestartAll) { Next::Restart } else { Next::Continue }
    }

    fn apply(&self, step: Step, supervisor: &Supervisor) -> Result<&'static str> {
        match step {
            Step::PythonPackages => python::ensure_installed().map(|_| "Python packages installed"),
            Step::ConsolePackages => {
                node::ensure_installed()?.console_packages().map(|()| "console packages installed")
            }
            Step::Build => setup::build().map(|_| "built"),
            Step::Migrate => self.migrate().map(|()| "database migrated"),
            Step::RestartProxy => {
                supervisor.command(&["restart", "proxy"]).map(|()| "proxy swapped")
            }
            Step::ReloadBackend => {
                supervisor.command(&["reload", "backend"]).map(|()| "backend reloading")
            }
            Step::RestartBackend => {
                supervisor.command(&["restart", "backend"]).map(|()| "backend restarted")
            }
            Step::RestartVite => {
                supervisor.command(&["restart", "vite"]).map(|()| "Vite restarted")
            }
            Step::RestartAll => self.layout.check().map(|()| "restarting everything"),
        }
    }

    fn migrate(&self) -> Result<()> {
        let shell = run::shell_in(&crate::repo::path("backend"))?;
        let python = python::interpreter();
        let mut migrate = cmd!(shell, "{python} -m santaserver migrate");
        migrate = migrate.envs(layout::backend_environment(self.environment));
        run::output("migrate the database", migrate).map(drop)
    }
}

/// What is printed at the beginning of a step that may take a while.
fn begun(step: Step) -> Option<&'static str> {
    match step {
        Step::PythonPackages => Some("installing Python packages"),
        Step::ConsolePackages => Some("installing console packages"),
        Step::Build => Some("compiling santa-proxy and santa-supervise"),
        Step::Migrate => Some("migrating the database"),
        Step::RestartProxy
        | Step::ReloadBackend
        | Step::RestartBackend
        | Step::RestartVite
        | Step::RestartAll => None,
    }
}

/// The file that caused a round, for the line that reports it.
fn cause(paths: &BTreeSet<PathBuf>) -> String {
    let relevant: Vec<_> =
        paths.iter().filter(|path| !steps([path.as_path()]).is_empty()).collect();
    match relevant.as_slice() {
        [] => "files".to_owned(),
        [one] => one.display().to_string(),
        [first, rest @ ..] => format!("{} and {} more", first.display(), rest.len()),
    }
}
