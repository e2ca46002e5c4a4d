//! The development loop from outside: it starts in a copy of the checkout and a home of
//! its own with an odd name and a user's odd environment and no umask, swaps backend and proxy when their files are saved
//! without failing a request, leaves a database with accounts alone, and Ctrl-C leaves
//! nothing running.

use std::fs;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use xshell::cmd;

use super::checkout::Checkout;
use super::dev_starts;
use crate::commands::dev::setup;
use crate::{files, http, layout, ports, private, repo, run, wait};

/// Longest a start, a swap or a stop may take.
const TIMEOUT: Duration = Duration::from_secs(180);
/// Between two looks.
const TICK: Duration = Duration::from_millis(50);

/// The name of its home: what URLs, lists, shells and our own configuration take for
/// their own.
const HOME: &str = "ci-dev/o #%+&$,{fd:x} é'";

/// What a user may have set for programs of their own.
const VARIABLES: [(&str, &str); 8] = [
    ("PGPORT", "1"),
    ("PGDATABASE", "other"),
    ("PYTHONHOME", "/nonexistent"),
    ("PYTHONPATH", "/nonexistent"),
    ("VIRTUAL_ENV", "/nonexistent"),
    ("NODE_OPTIONS", "--no-such-option"),
    ("NODE_ENV", "production"),
    ("WEB_CONCURRENCY", "7"),
];

/// A running `cargo xtask dev`.
struct Dev {
    child: Child,
    /// What it follows, and where files are saved.
    checkout: Checkout,
    home: PathBuf,
    port: u16,
}

/// Starts the loop, saves files under load, interrupts it.
pub(crate) fn run() -> Result<()> {
    let mut dev = Dev::start()?;
    let result = dev.journey();
    let stopped = dev.stop();
    let log = dev.home.join("dev.log");
    let context =
        || format!("last lines of {}:\n{}", repo::shown(&log), run::tail(&files::text(&log)));
    result.with_context(context)?;
    stopped.with_context(context)?;
    dev_starts::run()
}

impl Dev {
    fn start() -> Result<Self> {
        // A start installs what is missing; the copy then has it too.
        setup::everything(true)?;
        let (home, port) = (repo::dev(HOME), ports::in_a_row(3)?);
        files::remove(&repo::dev("ci-dev"))?;
        fs::create_dir_all(&home)?;
        let checkout = Checkout::copy(repo::dev("ci-dev/checkout"))?;
        let log = private::log(&home.join("dev.log"))?;
        let mut command = dev_starts::below("umask 000")?;
        let child = checkout
            .apply(&mut command)
            .args(["dev", "--port", &port.to_string(), "--home"])
            .arg(&home)
            .envs(VARIABLES)
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .context("cannot start cargo xtask dev")?;
        Ok(Self { child, checkout, home, port })
    }

    fn journey(&mut self) -> Result<()> {
        self.wait("becomes ready", |dev| dev.says("\nready in "))?;
        self.leaves_accounts_alone()?;
        self.wait("says how to log in", |dev| dev.says("\nlog in as admin with the password "))?;
        for path in layout::PROBES {
            ensure!(!self.says(&format!("GET {path} ")), "its own probes of {path} are in the log");
        }
        dev_starts::nothing_for_others(&self.home)?;
        let load = Load::new(self.port);
        let swapped = std::thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| load.run());
            }
            let swapped = self.swap_both();
            load.stop.store(true, Ordering::Relaxed);
            swapped
        });
        swapped?;
        load.verdict()
    }

    /// A second loop on the database of this one, which has accounts, is refused.
    fn leaves_accounts_alone(&self) -> Result<()> {
        let credentials = files::text(&self.home.join("credentials.json"));
        let credentials: Value = serde_json::from_str(&credentials)?;
        let url = credentials["database_url"].as_str().context("no database_url")?;
        let (port, home) = ((self.port + 5).to_string(), repo::dev("ci-dev/other"));
        let refused = Command::new(run::own_program()?)
            .args(["dev", "--port", &port, "--database-url", url, "--home"])
            .arg(&home)
            .stdin(Stdio::null())
            .output()?;
        let message = String::from_utf8_lossy(&refused.stderr);
        ensure!(
            refused.status.code() == Some(1) && message.contains("holds 1 account"),
            "a database with accounts was not refused: {message}"
        );
        Ok(())
    }

    fn swap_both(&mut self) -> Result<()> {
        let ready = self.count("backend    ready");
        save(&self.checkout.path("backend/santaserver/clock.py"))?;
        self.wait("serves a saved backend", |dev| dev.count("backend    ready") > ready)?;
        let before = self.service("proxy")?["generation"].clone();
        save(&self.checkout.path("santa-proxy/src/main.rs"))?;
        self.wait("says that it compiles", |dev| dev.says("… compiling santa-proxy"))?;
        self.wait("swaps a saved proxy", |dev| {
            dev.service("proxy")
                .is_ok_and(|now| now["generation"] != before && now["state"] == "ready")
        })
    }

    /// Ctrl-C: the exit code says so, and nothing is left.
    fn stop(&mut self) -> Result<()> {
        if let Some(pid) = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw) {
            kill_process(pid, Signal::INT).context("cannot interrupt cargo xtask dev")?;
        }
        if !wait::until(TIMEOUT, TICK, || Ok(self.child.try_wait()?.is_some()))? {
            self.child.kill()?;
            bail!("Ctrl-C does not end cargo xtask dev");
        }
        let status = self.child.wait()?;
        ensure!(status.code() == Some(130), "after Ctrl-C it ended with {status} instead of 130");
        for offset in 0..3 {
            ensure!(
                ports::free(([127, 0, 0, 1], self.port + offset).into()),
                "port {} is still taken",
                self.port + offset
            );
        }
        let folder = repo::short(&self.home);
        let sockets = fs::read_dir(&folder)?.count();
        ensure!(sockets == 0, "{sockets} sockets are left in {}", folder.display());
        Ok(())
    }

    fn wait(&mut self, what: &str, reached: impl Fn(&Self) -> bool) -> Result<()> {
        let there = wait::until(TIMEOUT, TICK, || {
            if reached(self) {
                return Ok(true);
            }
            match self.child.try_wait()? {
                Some(status) => bail!("cargo xtask dev ended with {status} before it {what}"),
                None => Ok(false),
            }
        })?;
        ensure!(there, "cargo xtask dev never {what}");
        Ok(())
    }

    fn says(&self, text: &str) -> bool {
        self.count(text) > 0
    }

    fn count(&self, text: &str) -> usize {
        files::text(&self.home.join("dev.log")).matches(text).count()
    }

    /// What santa-supervise says of one service.
    fn service(&self, name: &str) -> Result<Value> {
        let shell = run::shell()?;
        let config = self.home.join("santa.toml");
        let derived: toml::Table = files::text(&config).parse()?;
        let bin = derived["paths"]["bin"].as_str().context("no paths.bin in the configuration")?;
        let program = Path::new(bin).join("santa-supervise");
        let status = run::output(
            "ask santa-supervise",
            cmd!(shell, "{program} status --json --config {config}"),
        )?;
        let status: Value = serde_json::from_str(&status)?;
        let services = status["services"].as_array().context("no services in the status")?;
        services
            .iter()
            .find(|service| service["name"] == name)
            .cloned()
            .with_context(|| format!("no service {name}"))
    }
}

/// Saves a file as an editor does, with the same content.
fn save(path: &Path) -> Result<()> {
    let text = fs::read(path)?;
    fs::write(path, text).with_context(|| format!("cannot save {}", repo::shown(path)))
}

/// Requests at a steady pace, each on a connection of its own.
struct Load {
    port: u16,
    stop: AtomicBool,
    served: AtomicU64,
    failures: Mutex<Vec<String>>,
}

impl Load {
    fn new(port: u16) -> Self {
        Self {
            port,
            stop: AtomicBool::new(false),
            served: AtomicU64::new(0),
            failures: Mutex::default(),
        }
    }

    fn run(&self) {
        while !self.stop.load(Ordering::Relaxed) {
            match self.ask() {
                Ok(()) => _ = self.served.fetch_add(1, Ordering::Relaxed),
                Err(error) => self
                    .failures
                    .lock()
                    .unwrap_or_else(std::sync::PoisonError::into_inner)
                    .push(format!("{error:#}")),
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Asks who is logged in; nobody is, and it is the backend that says so.
    fn ask(&self) -> Result<()> {
        let stream = http::connect((Ipv4Addr::LOCALHOST, self.port))?;
        stream.set_read_timeout(Some(Duration::from_secs(30)))?;
        let (status, _) = http::get(stream, "localhost", "/api/v1/auth/me")?;
        ensure!(status == 401, "answered {status}");
        Ok(())
    }

    fn verdict(&self) -> Result<()> {
        let failures = self.failures.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let served = self.served.load(Ordering::Relaxed);
        ensure!(
            failures.is_empty(),
            "{} of {served} requests failed: {:?}",
            failures.len(),
            failures.first()
        );
        ensure!(served > 50, "only {served} requests were made");
        Ok(())
    }
}
