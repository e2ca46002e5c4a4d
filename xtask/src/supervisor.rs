//! The running santa-supervise of a development environment: start, wait until the whole chain
//! answers, send commands, stop.

use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};
use xshell::cmd;

use crate::layout::DevEnvironment;
use crate::{environment, http, run, wait};

/// How often a wait looks again.
const TICK: Duration = Duration::from_millis(25);
/// What santa-supervise may take beyond its own shutdown deadline.
const GRACE: Duration = Duration::from_secs(3);

/// A santa-supervise that this process started and will stop.
pub struct Supervisor {
    child: Child,
    program: PathBuf,
    config: PathBuf,
    shutdown: Duration,
    stopped: bool,
}

impl Supervisor {
    /// Starts everything in the environment. Its output goes to the terminal.
    pub(crate) fn start(environment: &DevEnvironment, bin: &Path) -> Result<Self> {
        Self::start_into(environment, bin, Stdio::inherit())
    }

    /// Starts everything in the environment with its output going to `output`.
    pub fn start_into(environment: &DevEnvironment, bin: &Path, output: Stdio) -> Result<Self> {
        let program = bin.join("santa-supervise");
        let child = Command::new(&program)
            .stdout(output)
            .args(["run", "--with-parent", "--config"])
            .arg(&environment.file)
            .env_clear()
            .envs(environment::of_services())
            // Its end of this pipe tells it when we are gone, however we went.
            .stdin(Stdio::piped())
            // Ctrl-C on the terminal is for us; we stop it in order.
            .process_group(0)
            .spawn()
            .with_context(|| format!("cannot start {}", crate::repo::shown(&program)))?;
        let shutdown = environment.config.supervisor.shutdown_timeout;
        Ok(Self { child, program, config: environment.file.clone(), shutdown, stopped: false })
    }

    /// Its exit status when it has ended by itself.
    pub(crate) fn ended(&mut self) -> Result<Option<ExitStatus>> {
        Ok(self.child.try_wait()?)
    }

    /// Waits until the backend, its database and the console answer through the
    /// public port.
    pub fn wait_until_ready(
        &mut self,
        environment: &DevEnvironment,
        timeout: Duration,
    ) -> Result<()> {
        let address = environment.url.trim_start_matches("http://");
        let there = wait::until(timeout, TICK, || {
            if let Some(status) = self.ended()? {
                bail!(
                    "a service did not start and santa-supervise ended ({status}); the lines above say why"
                );
            }
            Ok(environment.probes().iter().all(|path| http::answers(address, path)))
        })?;
        if !there {
            bail!(
                "{} does not answer after {}; the lines above say what is missing",
                environment.url,
                crate::progress::time(timeout)
            );
        }
        Ok(())
    }

    /// Sends a command to it, such as `restart proxy`.
    pub fn command(&self, words: &[&str]) -> Result<()> {
        let shell = run::shell()?;
        let (program, config) = (&self.program, &self.config);
        let what = words.join(" ");
        run::output(&what, cmd!(shell, "{program} {words...} --config {config}")).map(drop)
    }

    /// Stops everything in order. A second Ctrl-C hurries, a third kills.
    pub fn stop(mut self) -> Result<()> {
        run::rearm();
        self.signal(Signal::TERM);
        let deadline = Instant::now() + self.shutdown + GRACE;
        let mut hurried = 0;
        while self.child.try_wait()?.is_none() {
            if run::interrupted() {
                run::rearm();
                hurried += 1;
                self.signal(Signal::TERM);
            }
            if Instant::now() > deadline || hurried > 2 {
                self.child.kill()?;
            }
            std::thread::sleep(TICK);
        }
        self.stopped = true;
        Ok(())
    }

    fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        if let Some(pid) = pid {
            // It may just have ended by itself, which is as good.
            let _ = kill_process(pid, signal);
        }
    }
}

impl Drop for Supervisor {
    fn drop(&mut self) {
        if !self.stopped {
            self.signal(Signal::TERM);
            let _ = self.child.wait();
        }
    }
}
