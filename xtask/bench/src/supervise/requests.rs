//! Requests while the backend is restarted and killed: the real chain with
//! PostgreSQL under santa-supervise, and the same backend under supervisord.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use rustix::process::Signal;
use santa_config::Address;
use serde_json::{Value, json};
use xtask::commands::{build, dev::setup};
use xtask::layout::{Database, DevEnvironment, Layout, Source};
use xtask::supervisor::Supervisor;
use xtask::tools::{postgres, python};
use xtask::{files, ports, progress, repo, run, wait};

use super::load::{self, Tally, Target};
use super::{peer, process, site};

/// Requests a second, half of them on kept connections.
const RATE: u32 = 300;
const KILLS: u32 = 20;
/// supervisord cannot roll: each of these fails requests for about a second.
const PEER_RESTARTS: u32 = 5;
const READY_DEADLINE: Duration = Duration::from_secs(90);
/// Between two restarts.
const PAUSE: Duration = Duration::from_millis(200);
/// For a new worker to serve the requests that came while there was none.
const CATCH_UP: Duration = Duration::from_secs(1);

/// The chain, put up but not running.
pub(super) struct Chain {
    layout: Layout,
    folders: Vec<PathBuf>,
}

/// What became of the requests in one kind of restart.
pub(super) struct Outcome {
    pub(super) what: &'static str,
    pub(super) through: String,
    pub(super) times: u32,
    pub(super) failed: u64,
    pub(super) refused: u64,
    /// Of the answered ones, in milliseconds, in order.
    latencies: Vec<f64>,
    reasons: BTreeMap<String, u64>,
}

impl Outcome {
    fn new(what: &'static str, through: String, times: u32, mut tally: Tally) -> Self {
        tally.latencies.sort_by(f64::total_cmp);
        let Tally { latencies, failed, refused, reasons } = tally;
        for (reason, count) in &reasons {
            progress::note(&format!("{what}, {through}: {count} × {reason}"));
        }
        Self { what, through, times, failed, refused, latencies, reasons }
    }

    pub(super) fn requests(&self) -> u64 {
        self.latencies.len() as u64 + self.failed
    }

    pub(super) fn quantile(&self, part: f64) -> Option<f64> {
        let last = self.latencies.len().checked_sub(1)?;
        self.latencies.get((last as f64 * part).round() as usize).copied()
    }

    pub(super) fn json(&self) -> Value {
        json!({
            "what": self.what, "through": self.through, "times": self.times,
            "requests": self.requests(), "failed": self.failed, "refused": self.refused,
            "p50_ms": self.quantile(0.5), "p99_ms": self.quantile(0.99), "max_ms": self.quantile(1.0),
            "reasons": self.reasons,
        })
    }
}

/// Installs what the chain needs and makes its database.
pub(super) fn prepare(folders: &[PathBuf]) -> Result<Chain> {
    python::ensure_installed()?;
    let bin = postgres::ensure_installed()?;
    build::console()?;
    let home = repo::dev("bench");
    files::remove(&home)?;
    fs::create_dir_all(&home)?;
    let layout = Layout {
        home,
        port: ports::in_a_row(3)?,
        bin: folders[0].clone(),
        console: Source::Built(repo::dist("www")),
        database: Database::Embedded(bin),
    };
    setup::database(&layout)?;
    Ok(Chain { layout, folders: folders.to_vec() })
}

impl Chain {
    /// Puts the chain up, does everything to it, takes it down.
    pub(super) fn run(&self, restarts: u32) -> Result<Vec<Outcome>> {
        let environment = self.layout.write()?;
        start_again_at_once(&environment)?;
        let log = self.layout.home.join("services.log");
        let mut supervisor = Supervisor::start_into(
            &environment,
            &self.layout.bin,
            Stdio::from(File::create(&log)?),
        )?;
        let outcomes = supervisor
            .wait_until_ready(&environment, READY_DEADLINE)
            .and_then(|()| self.outcomes(&environment, &supervisor, restarts));
        let stopped = supervisor.stop();
        let outcomes = outcomes.with_context(|| run::tail(&files::text(&log)))?;
        stopped?;
        Ok(outcomes)
    }

    fn outcomes(
        &self,
        environment: &DevEnvironment,
        ours: &Supervisor,
        restarts: u32,
    ) -> Result<Vec<Outcome>> {
        let socket = match &environment.config.sockets["backend"].listen {
            Address::Unix(path) => Target::Unix(path.clone()),
            Address::Tcp(address) => Target::Tcp(*address),
        };
        let proxy = Target::Tcp(self.layout.addresses()[0]);
        let ways = [("the Unix socket", socket), ("santa-proxy", proxy)];
        let mut outcomes = Vec::new();
        for (through, target) in &ways {
            outcomes.extend(under_load("rolling restart", through, target, restarts, || {
                ours.command(&["rolling-restart", "backend"])
            })?);
        }
        for (through, target) in &ways {
            outcomes.extend(under_load(
                "kill -9 of the only worker",
                through,
                target,
                KILLS,
                || {
                    ours.command(&["signal", "backend", "KILL"])?;
                    // The signal is answered before its effect is seen.
                    std::thread::sleep(PAUSE);
                    ours.command(&["wait", "backend", "--for", "ready"])?;
                    // What has waited meanwhile is answered before the next kill.
                    std::thread::sleep(CATCH_UP);
                    Ok(())
                },
            )?);
        }
        match peer::find("supervisord", &self.folders)
            .zip(peer::find("supervisorctl", &self.folders))
        {
            None => progress::warn("supervisord is left out: it is not installed"),
            Some((program, client)) => {
                outcomes.extend(self.supervisord(environment, program, client)?)
            }
        }
        Ok(outcomes)
    }

    /// The backend as it was run before: uvicorn binds its socket itself.
    fn supervisord(
        &self,
        environment: &DevEnvironment,
        program: PathBuf,
        client: PathBuf,
    ) -> Result<Vec<Outcome>> {
        let dir = self.layout.sockets().join("peer");
        files::remove(&dir)?;
        fs::create_dir_all(&dir)?;
        let config = dir.join("supervisord.conf");
        let text = include_str!("../../supervise/supervisord-backend.conf")
            .replace("{dir}", &dir.display().to_string())
            .replace("{python}", &python::interpreter().display().to_string())
            .replace("{app}", &repo::path("backend").display().to_string());
        fs::write(&config, text)?;
        let services = &environment.config.services;
        let backend = services.iter().find(|one| one.name == "backend").context("no backend")?;
        let child = Command::new(program)
            .arg("-c")
            .arg(&config)
            .envs(backend.env.iter())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()?;
        let peer = Running(child);
        let socket = dir.join("backend.sock");
        let serves = || std::os::unix::net::UnixStream::connect(&socket).is_ok();
        let restart = || {
            let status = Command::new(&client)
                .arg("-c")
                .arg(&config)
                .args(["restart", "backend"])
                .stdout(Stdio::null())
                .status()?;
            if !status.success() {
                bail!("supervisorctl restart failed");
            }
            wait("the backend serves under supervisord", serves)
        };
        wait("the backend serves under supervisord", serves)?;
        let target = Target::Unix(socket.clone());
        let outcomes =
            under_load("supervisorctl restart", "the Unix socket", &target, PEER_RESTARTS, restart);
        drop(peer);
        outcomes
    }
}

/// A backend that is killed twenty times in a row would be started ever more
/// slowly; that is not what is measured here.
fn start_again_at_once(environment: &DevEnvironment) -> Result<()> {
    let mut layout: toml::Table = fs::read_to_string(&environment.file)?.parse()?;
    let services = layout.get_mut("service").and_then(toml::Value::as_array_mut);
    let backend = services
        .into_iter()
        .flatten()
        .filter_map(toml::Value::as_table_mut)
        .find(|one| one.get("name").and_then(toml::Value::as_str) == Some("backend"))
        .context("no backend in the configuration")?;
    let backoff: toml::Table = "initial = \"10ms\"\nmax = \"10ms\"".parse()?;
    backend.insert("backoff".to_owned(), toml::Value::Table(backoff));
    Ok(fs::write(&environment.file, layout.to_string())?)
}

fn wait(what: &str, mut condition: impl FnMut() -> bool) -> Result<()> {
    let tick = Duration::from_millis(10);
    ensure!(wait::until(site::TIMEOUT, tick, || Ok(condition()))?, "in vain: {what}");
    Ok(())
}

/// Does something `times` times while requests come in; one outcome for kept
/// and one for fresh connections.
fn under_load(
    what: &'static str,
    through: &str,
    target: &Target,
    times: u32,
    mut act: impl FnMut() -> Result<()>,
) -> Result<Vec<Outcome>> {
    let done = AtomicBool::new(false);
    progress::step(&format!("{times} × {what}, through {through}"), || {
        std::thread::scope(|scope| {
            let [kept, fresh] = [true, false].map(|keep_alive| {
                let done = &done;
                scope.spawn(move || load::stream(target, keep_alive, RATE / 2, done))
            });
            std::thread::sleep(PAUSE);
            let acted: Result<()> = (0..times).try_for_each(|_| {
                run::check()?;
                act()?;
                std::thread::sleep(PAUSE);
                Ok(())
            });
            done.store(true, Ordering::Relaxed);
            let tallies = [kept, fresh].map(|stream| stream.join().unwrap_or_default());
            acted?;
            let kinds = ["kept connections", "fresh connections"];
            let outcomes = tallies.into_iter().zip(kinds).map(|(tally, kind)| {
                Outcome::new(what, format!("{through}, {kind}"), times, tally)
            });
            Ok(outcomes.collect())
        })
    })
}

/// A supervisor of someone else's, ended with everything below it.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let pid = i32::try_from(self.0.id()).unwrap_or(0);
        for pid in process::tree(pid) {
            process::signal(pid, Signal::KILL);
        }
        let _ = self.0.wait();
    }
}
