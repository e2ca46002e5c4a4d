//! `cargo xtask dev`: from a fresh clone to a running system that follows every
//! saved file. The order of things is in [`run`]; each question has its file:
//! [`setup`] what is missing, [`watch`] which files changed, [`debounce`] when a
//! burst is over, [`steps`] what a change means, [`apply`] doing it.

mod apply;
mod debounce;
mod foreign;
pub mod setup;
mod steps;
mod watch;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use apply::Next;

use crate::layout::{Database, DevEnvironment, Layout, Source};
use crate::supervisor::Supervisor;
use crate::tools::{postgres, python};
use crate::{files, ports, repo, run};

/// Longest the whole chain may take to answer once everything is built.
const READY_DEADLINE: Duration = Duration::from_secs(120);

#[derive(clap::Args)]
#[command(after_help = "Examples:\n  cargo xtask dev\n  cargo xtask dev --port 9000 --fresh\n  \
    cargo xtask dev --database-url postgresql://me@localhost/santa\n\n\
    Log-in and addresses for scripts: .dev/credentials.json\n\
    The next two ports are used as well (Vite, operators). Ctrl-C stops everything.")]
/// Run everything with a demo fleet and hot reload
pub(crate) struct Args {
    /// Public port on 127.0.0.1 [default: that of docker/santa.toml]
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=65533))]
    port: Option<u16>,
    /// Delete the embedded database and the credentials, and start from scratch
    #[arg(long, conflicts_with = "database_url")]
    fresh: bool,
    /// Do not follow changes of files
    #[arg(long)]
    no_watch: bool,
    /// Stop as soon as everything answers; exit code 0 means that it works here
    #[arg(long)]
    exit_when_ready: bool,
    /// Use this PostgreSQL instead of the embedded one; one that has accounts needs --demo as well
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
    let layout = set_up(args, home, port)?;
    let watch = !args.no_watch && !args.exit_when_ready;
    let watcher = watch.then(watch::Watcher::start).transpose()?;
    let mut start = start;
    while once(args, &layout, start, watcher.as_ref())? == Next::Restart {
        start = Instant::now();
    }
    Ok(())
}

/// Starts everything, follows changes until Ctrl-C or until everything has to
/// be started again, and stops it again.
fn once(
    args: &Args,
    layout: &Layout,
    start: Instant,
    watcher: Option<&watch::Watcher>,
) -> Result<Next> {
    let environment = layout.write()?;
    let mut supervisor = Supervisor::start(&environment, &layout.bin)?;
    let result = supervisor.wait_until_ready(&environment, READY_DEADLINE).and_then(|()| {
        announce(&environment, start);
        if args.exit_when_ready {
            Ok(Next::Continue)
        } else {
            follow(layout, &environment, &mut supervisor, watcher)
        }
    });
    let stopped = supervisor.stop();
    let next = result?;
    stopped.map(|()| next)
}

fn follow(
    layout: &Layout,
    environment: &DevEnvironment,
    supervisor: &mut Supervisor,
    watcher: Option<&watch::Watcher>,
) -> Result<Next> {
    let mut changes = apply::Loop::new(layout, environment, watcher);
    while !run::interrupted() {
        if let Some(status) = supervisor.ended()? {
            bail!("santa-supervise exited unexpectedly ({status}); its last lines above say why");
        }
        if changes.turn(supervisor) == Next::Restart {
            return Ok(Next::Restart);
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
    files::remove(&cluster)?;
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

fn set_up(args: &Args, home: PathBuf, port: u16) -> Result<Layout> {
    let made = setup::everything(args.database_url.is_none())?;
    let database = match (&args.database_url, made.postgres) {
        (Some(url), _) => {
            foreign::check(&python::interpreter(), url, args.demo)?;
            Database::Url(url.clone())
        }
        (None, Some(bin)) => Database::Embedded(bin),
        (None, None) => bail!("no database was set up"),
    };
    let layout = Layout {
        home,
        port,
        bin: made.bin,
        console: Source::Watched { node: made.node.program() },
        database,
    };
    if postgres::running(&layout.cluster()).is_some() && postgres::answers(&layout.sockets()) {
        bail!("the embedded database is already running; stop it first: cargo xtask db stop");
    }
    setup::database(&layout)?;
    Ok(layout)
}

fn announce(environment: &DevEnvironment, start: Instant) {
    let (url, secrets) = (&environment.url, &environment.secrets);
    out!("ready in {:.1} s  {url}", start.elapsed().as_secs_f64());
    let kept = environment.file.with_file_name("credentials.json");
    out!(
        "log in as {} with the password {} (kept in {})",
        secrets.username,
        secrets.password,
        repo::shown(&kept)
    );
}
