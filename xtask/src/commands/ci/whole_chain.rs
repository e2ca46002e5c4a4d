//! The built binaries and console with a PostgreSQL of their own, in a folder of its
//! own: started for one piece of work and stopped again; nothing may be left.

use std::fs;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use xshell::Shell;

use crate::commands::{build, dev::setup};
use crate::layout::{Database, DevEnvironment, Layout, Source};
use crate::supervisor::Supervisor;
use crate::tools::{postgres, python};
use crate::{files, ports, private, repo, run};

/// Longest the chain may take to answer.
const READY_DEADLINE: Duration = Duration::from_secs(90);

/// What is to be started.
pub(crate) struct WholeChain {
    /// Where its files are.
    pub(crate) layout: Layout,
}

impl WholeChain {
    /// Builds and installs what it needs, in the folder `name`; nothing runs yet.
    /// Programs that are not built here are those in the folder `bin`.
    pub(crate) fn prepare(name: &str, bin: Option<PathBuf>) -> Result<Self> {
        python::ensure_installed()?;
        let database = postgres::ensure_installed()?;
        let bin = bin.map_or_else(setup::binaries, Ok)?;
        build::console()?;
        let home = repo::dev(name);
        files::remove(&home)?;
        fs::create_dir_all(&home)?;
        // A copy of its own: a test puts another console in its place.
        let www = home.join("www");
        build::copy_sources(&repo::dist("www"), &www)?;
        let layout = Layout {
            home,
            port: ports::in_a_row(3)?,
            bin,
            console: Source::Built(www),
            database: Database::Embedded(database),
        };
        setup::database(&layout)?;
        Ok(Self { layout })
    }

    /// Starts it, does the work, stops it; the file of what it logged.
    pub(crate) fn run(&self, work: impl FnOnce(&DevEnvironment) -> Result<()>) -> Result<PathBuf> {
        let environment = self.layout.write()?;
        let log = self.layout.home.join("services.log");
        let output = private::log(&log)?;
        let bin = &self.layout.bin;
        let mut supervisor = Supervisor::start_into(&environment, bin, Stdio::from(output))?;
        let result = supervisor
            .wait_until_ready(&environment, READY_DEADLINE)
            .and_then(|()| work(&environment));
        let stopped = supervisor.stop();
        result.with_context(|| last_lines(&log))?;
        stopped?;
        self.nothing_left(&environment)?;
        Ok(log)
    }

    /// A shell in the backend's folder whose programs learn where the chain is.
    pub(crate) fn shell(&self, environment: &DevEnvironment) -> Result<Shell> {
        let shell = run::shell_in(&repo::path("backend"))?;
        shell.set_var("SANTA_E2E_CREDENTIALS", self.layout.home.join("credentials.json"));
        shell.set_var("SANTA_E2E_SUPERVISE", self.layout.bin.join("santa-supervise"));
        shell.set_var("SANTA_E2E_CONFIG", &environment.file);
        Ok(shell)
    }

    /// No process answers any more and no socket is left.
    fn nothing_left(&self, environment: &DevEnvironment) -> Result<()> {
        for address in self.layout.addresses() {
            if !ports::free(address) {
                run::check()?;
                bail!("{address} is still taken after the stop");
            }
        }
        let control = &environment.config.supervisor.control_socket;
        if UnixStream::connect(control).is_ok() || control.exists() {
            bail!("{} is still there after the stop", control.display());
        }
        if postgres::running(&self.layout.cluster()).is_some() {
            bail!("PostgreSQL still runs after the stop");
        }
        Ok(())
    }
}

fn last_lines(log: &Path) -> String {
    format!("last lines of {}:\n{}", repo::shown(log), run::tail(&files::text(log)))
}
