//! `cargo xtask dev`: from a fresh clone to a running system that follows every
//! saved file. The order of things is in [`run`]; each question has its file:
//! [`setup`] what is missing, [`watch`] which files changed, [`debounce`] when a
//! burst is over, [`plan`] what a change means, [`carry`] doing it.

mod carry;
mod debounce;
mod foreign;
mod plan;
pub mod setup;
mod watch;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use carry::Next;

use crate::layout::{Database, House, Plan, Source};
use crate::supervisor::Supervisor;
use crate::tools::{postgres, python};
use crate::{ports, repo, run, stamp};

/// Longest the whole chain may take to answer once everything is built.
const READY_DEADLINE: Duration = Duration::from_secs(120);

#[derive(clap::Args)]
#[command(after_help = "Examples:\n  cargo xtask dev\n  cargo xtask dev --port 9000 --fresh\n  \
    cargo xtask dev --database-url postgresql://me@localhost/santa\n\n\
    Log-in and addresses for scripts: .dev/credentials.json\n\
    The next two ports are used as well (Vite, operators). Ctrl-C stops everything.")]
/// Run everything with a demo fleet and hot reload
pub(crate) struct Args {
    /// Public port on 127.0.0.1; when not given, that of docker/santa.toml
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=65533))]
    port: Option<u16>,
    /// Delete the embedded database and the credentials, and start from scratch
    #[arg(long, conflicts_with = "database_url")]
    fresh: bool,
    /// Do not follow changes of files
    #[arg(long)]
    no_watch: bool,
    /// Stop as soon as everything answers; exit code 0 means it works here
    #[arg(long)]
    exit_when_ready: bool,
    /// Use this PostgreSQL instead of the embedded one; one with accounts takes --demo too
    #[arg(long, value_name = "URL")]
    database_url: Option<String>,
    /// Migrate the database of --database-url although it has accounts, set the password
    /// of its account admin, and fill it for a demo
    #[arg(long, requires = "database_url")]
    demo: bool,
    /// Keep database, sockets and credentials here instead of in .dev
    #[arg(long, value_name = "DIR", hide = true)]
    home: Option<PathBuf>,
}

/// Runs the development loop until Ctrl-C.
pub(crate) fn run(args: &Args) -> Result<()> {
    run::catch_interrupts()?;
    let start = Instant::now();
    let home = args.home.clone().unwrap_or_else(|| repo::dev(""));
    let _lock = lock(&home)?;
    if args.fresh {
        forget(&home)?;
    }
    let port = args.port.map_or_else(ports::public_port, Ok)?;
    check_ports(port)?;
    let plan = set_up(args, home, port)?;
    let watch = !args.no_watch && !args.exit_when_ready;
    let watcher = watch.then(watch::Watcher::start).transpose()?;
    let mut start = start;
    while once(args, &plan, start, watcher.as_ref())? == Next::StartAnew {
        start = Instant::now();
    }
    Ok(())
}

/// Starts everything, follows changes until Ctrl-C or until everything has to
/// be started anew, and stops it again.
fn once(
    args: &Args,
    plan: &Plan,
    start: Instant,
    watcher: Option<&watch::Watcher>,
) -> Result<Next> {
    let house = plan.write()?;
    let mut supervisor = Supervisor::start(&house, &plan.bin)?;
    let result = supervisor.wait_until_ready(&house, READY_DEADLINE).and_then(|()| {
        announce(&house, start);
        if args.exit_when_ready {
            Ok(Next::Go)
        } else {
            follow(plan, &house, &mut supervisor, watcher)
        }
    });
    let stopped = supervisor.stop();
    let next = result?;
    stopped.map(|()| next)
}

fn follow(
    plan: &Plan,
    house: &House,
    supervisor: &mut Supervisor,
    watcher: Option<&watch::Watcher>,
) -> Result<Next> {
    let mut changes = carry::Loop::new(plan, house, watcher);
    while !run::interrupted() {
        if let Some(status) = supervisor.ended()? {
            bail!("santa-supervise exited unexpectedly ({status}); its last lines above say why");
        }
        if changes.turn(supervisor) == Next::StartAnew {
            return Ok(Next::StartAnew);
        }
    }
    Err(run::Interrupted.into())
}

/// Only one loop at a time keeps this clone's database and sockets.
fn lock(home: &Path) -> Result<File> {
    let path = home.join("lock");
    let file = std::fs::create_dir_all(home).and_then(|()| File::create(&path));
    let file = file.with_context(|| format!("cannot create {}", repo::shown(&path)))?;
    if file.try_lock().is_err() {
        bail!(
            "`cargo xtask dev` is already running in this clone; stop it first, or use another clone"
        );
    }
    Ok(file)
}

/// Removes what belongs to an earlier run's data.
fn forget(home: &Path) -> Result<()> {
    let cluster = home.join("postgres");
    if postgres::running(&cluster).is_some() {
        bail!("the embedded database is running; stop it first: cargo xtask db stop");
    }
    stamp::remove(&cluster)?;
    let _ = std::fs::remove_file(home.join("credentials.json"));
    Ok(())
}

fn check_ports(port: u16) -> Result<()> {
    for (offset, what) in ["the console", "Vite", "the admin listener"].into_iter().enumerate() {
        let port = port + u16::try_from(offset)?;
        if let Some(obstacle) = ports::obstacle(port, what) {
            bail!(obstacle);
        }
    }
    Ok(())
}

fn set_up(args: &Args, home: PathBuf, port: u16) -> Result<Plan> {
    let made = setup::everything(args.database_url.is_none())?;
    let database = match (&args.database_url, made.postgres) {
        (Some(url), _) => {
            foreign::check(&python::interpreter(), url, args.demo)?;
            Database::Url(url.clone())
        }
        (None, Some(bin)) => Database::Embedded(bin),
        (None, None) => bail!("no database was set up"),
    };
    let plan = Plan {
        home,
        port,
        bin: made.bin,
        console: Source::Watched { node: made.node.program() },
        database,
    };
    if postgres::running(&plan.cluster()).is_some() && postgres::answers(&plan.sockets()) {
        bail!("the embedded database is already running; stop it first: cargo xtask db stop");
    }
    setup::database(&plan)?;
    Ok(plan)
}

fn announce(house: &House, start: Instant) {
    let (url, secrets) = (&house.url, &house.secrets);
    out!("ready in {:.1} s  {url}", start.elapsed().as_secs_f64());
    let kept = house.file.with_file_name("credentials.json");
    out!(
        "log in as {} with the password {} (kept in {})",
        secrets.username,
        secrets.password,
        repo::shown(&kept)
    );
}
