//! The running santa-supervise of a house: start, wait until the whole chain
//! answers, send commands, stop.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};
use xshell::cmd;

use crate::layout::House;
use crate::{environment, run};

/// How often a wait looks again.
const TICK: Duration = Duration::from_millis(25);
/// What santa-supervise may take beyond its own shutdown deadline.
const GRACE: Duration = Duration::from_secs(3);

/// A santa-supervise that this process started and will stop.
pub(crate) struct Supervisor {
    child: Child,
    program: PathBuf,
    config: PathBuf,
    shutdown: Duration,
    stopped: bool,
}

impl Supervisor {
    /// Starts everything in the house. Its output goes to the terminal.
    pub(crate) fn start(house: &House, bin: &Path) -> Result<Self> {
        Self::start_into(house, bin, Stdio::inherit())
    }

    /// Starts everything in the house with its output going to `output`.
    pub(crate) fn start_into(house: &House, bin: &Path, output: Stdio) -> Result<Self> {
        let program = bin.join("santa-supervise");
        let child = Command::new(&program)
            .stdout(output)
            .args(["run", "--with-parent", "--config"])
            .arg(&house.file)
            .env_clear()
            .envs(environment::of_services())
            // Its end of this pipe tells it when we are gone, however we went.
            .stdin(Stdio::piped())
            // Ctrl-C on the terminal is for us; we stop it in order.
            .process_group(0)
            .spawn()
            .with_context(|| format!("cannot start {}", crate::repo::shown(&program)))?;
        let shutdown = house.config.supervisor.shutdown_timeout;
        Ok(Self { child, program, config: house.file.clone(), shutdown, stopped: false })
    }

    /// Its exit status when it has ended by itself.
    pub(crate) fn ended(&mut self) -> Result<Option<ExitStatus>> {
        Ok(self.child.try_wait()?)
    }

    /// Waits until the backend, its database and the console answer through the
    /// public port.
    pub(crate) fn wait_until_ready(&mut self, house: &House, patience: Duration) -> Result<()> {
        let deadline = Instant::now() + patience;
        let address = house.url.trim_start_matches("http://");
        loop {
            run::check()?;
            if let Some(status) = self.ended()? {
                bail!(
                    "a part did not start and santa-supervise ended ({status}); the lines above say why"
                );
            }
            if house.probes().iter().all(|path| answers(address, path)) {
                return Ok(());
            }
            if Instant::now() > deadline {
                bail!(
                    "{} does not answer after {}; the lines above say what is missing",
                    house.url,
                    crate::progress::time(patience)
                );
            }
            std::thread::sleep(TICK);
        }
    }

    /// Sends a command to it, such as `restart proxy`.
    pub(crate) fn command(&self, words: &[&str]) -> Result<()> {
        let shell = run::shell()?;
        let (program, config) = (&self.program, &self.config);
        let what = words.join(" ");
        run::output(&what, cmd!(shell, "{program} {words...} --config {config}")).map(drop)
    }

    /// Stops everything in order. A second Ctrl-C hurries, a third kills.
    pub(crate) fn stop(mut self) -> Result<()> {
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

/// Whether a GET answers 200.
fn answers(address: &str, path: &str) -> bool {
    let ask = || -> std::io::Result<bool> {
        let mut stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        write!(
            stream,
            "GET {path} HTTP/1.1\r\nHost: {address}\r\nAccept: text/html\r\nConnection: close\r\n\r\n"
        )?;
        let mut start = [0; 12];
        stream.read_exact(&mut start)?;
        Ok(&start == b"HTTP/1.1 200")
    };
    ask().unwrap_or(false)
}
