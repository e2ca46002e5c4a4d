//! `cargo xtask db`: the embedded database on its own, for work on migrations
//! and queries. `cargo xtask dev` uses the same data.

use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rustix::process::{Signal, kill_process};

use crate::layout::{Database, Layout, Source};
use crate::tools::postgres;
use crate::{environment, files, private, progress, repo, run, wait};

/// Longest a start or a stop may take.
const TIMEOUT: Duration = Duration::from_secs(30);
/// Between two looks.
const TICK: Duration = Duration::from_millis(25);

#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  cargo xtask db start\n  cargo xtask db psql\n  echo 'select 1' | cargo xtask db psql\n  cargo xtask db reset"
)]
/// Manage the embedded database
pub(crate) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(clap::Subcommand)]
enum Action {
    /// Start it in the background (cargo xtask dev starts its own)
    Start,
    /// Stop it
    Stop,
    /// Open psql on it (needs psql on this machine)
    Psql {
        /// Arguments of psql's own, as in: cargo xtask db psql -- --csv -c 'select 1'
        #[arg(last = true, value_name = "ARGUMENTS")]
        arguments: Vec<String>,
    },
    /// Delete all data; the next start begins from scratch
    Reset,
}

/// Carries out one action on the embedded database.
pub(crate) fn run(args: &Args) -> Result<()> {
    run::catch_interrupts()?;
    match &args.action {
        Action::Start => start(),
        Action::Stop => stop(),
        Action::Psql { arguments } => psql(arguments),
        Action::Reset => reset(),
    }
}

fn layout(bin: PathBuf) -> Layout {
    Layout {
        home: repo::dev(""),
        port: 0,
        bin: PathBuf::new(),
        console: Source::Built(repo::dist("www")),
        database: Database::Embedded(bin),
    }
}

fn start() -> Result<()> {
    let bin = postgres::ensure_installed()?;
    let layout = layout(bin.clone());
    let (data, sockets) = (layout.cluster(), layout.sockets());
    if postgres::running(&data).is_some() {
        progress::note("already running");
        return Ok(());
    }
    super::dev::setup::database(&layout)?;
    let log = private::log(&repo::dev("logs/postgres.log"))?;
    let (program, args) = postgres::server(&bin, &data, &sockets)?;
    let mut child = Command::new(program)
        .args(args)
        .env_clear()
        .envs(environment::of_services())
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .spawn()
        .context("cannot start PostgreSQL")?;
    let mut ended = false;
    let waited = wait::until(TIMEOUT, TICK, || {
        ended = child.try_wait()?.is_some();
        Ok(ended || postgres::answers(&sockets))
    });
    if ended || !matches!(waited, Ok(true)) {
        let _ = child.kill();
        waited?;
        bail!(
            "PostgreSQL did not start:\n{}",
            run::tail(&files::text(&repo::dev("logs/postgres.log")))
        );
    }
    out!("running on the socket in {}", sockets.display());
    Ok(())
}

fn stop() -> Result<()> {
    let data = repo::dev("postgres");
    let Some(pid) = postgres::running(&data) else {
        progress::note("not running");
        return Ok(());
    };
    kill_process(pid, Signal::INT).context("cannot signal PostgreSQL")?;
    if !wait::until(TIMEOUT, TICK, || Ok(postgres::running(&data).is_none()))? {
        bail!(
            "PostgreSQL (process {}) does not stop; look at .dev/logs/postgres.log",
            pid.as_raw_nonzero()
        );
    }
    Ok(())
}

fn psql(arguments: &[String]) -> Result<()> {
    let Some(psql) = run::find("psql") else {
        bail!(
            "psql is not on this machine; install it (on Debian: apt-get install postgresql-client, on macOS: brew install libpq)"
        );
    };
    let sockets = layout(PathBuf::new()).sockets();
    if postgres::running(&repo::dev("postgres")).is_none() {
        bail!("the embedded database is not running; start it: cargo xtask db start");
    }
    // The terminal, or what is piped in, is psql's; Ctrl-C ends a query, not psql.
    let status = Command::new(psql)
        .arg(format!("--host={}", sockets.display()))
        .arg(format!("--username={}", postgres::USER))
        .args(arguments)
        .arg(postgres::DATABASE)
        .status()
        .context("cannot start psql")?;
    if !status.success() {
        if std::io::stdin().is_terminal() {
            run::rearm();
        }
        bail!("psql ended with {status}");
    }
    Ok(())
}

fn reset() -> Result<()> {
    if postgres::running(&repo::dev("postgres")).is_some() {
        bail!(
            "the embedded database is running; stop it first: cargo xtask db stop (or end cargo xtask dev)"
        );
    }
    files::remove(&repo::dev("postgres"))
}
