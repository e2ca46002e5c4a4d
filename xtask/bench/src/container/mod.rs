//! The whole container beside the earlier arrangement (nginx, supervisord and
//! the same backend from ordinary packages, in one image built here): how soon it
//! answers, how much memory it takes, how large it is. [`images`] makes both,
//! [`database`] is the PostgreSQL beside them, [`engine`] runs them, [`rebuild()`] changes them.

mod database;
mod engine;
mod images;
mod rebuild;

use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;

use anyhow::{Context, Result, bail};

use super::scenario::{Bench, Outcome};
use super::subject;
use super::table::{MEMORY, Metric, RESIDENT, Sample};
use database::Database;
use engine::Container;
use images::{IMAGES, Image};
pub(crate) use rebuild::rebuild;
use xtask::tools::{podman, postgres, python};
use xtask::{repo, run};

/// From the moment that the engine calls the container started.
const HEALTH: Metric = Metric { name: "/health", unit: "s", compared: true };
const READY: Metric = Metric { name: "/health/ready", unit: "s", compared: true };
/// From the engine's command on, which takes its own time for either image.
const FROM_COMMAND: Metric =
    Metric { name: "ready after `podman start`", unit: "s", compared: true };
const PACKED: Metric = Metric { name: "zstd", unit: "MB", compared: true };
const UNPACKED: Metric = Metric { name: "unpacked", unit: "MB", compared: true };

const MEBIBYTE: f64 = 1_048_576.0;
const MEGABYTE: f64 = 1_000_000.0;

/// Open WebSockets while memory is read.
const SOCKETS: &str = "50";

/// Makes both images, once for all scenarios of a run.
pub(crate) fn prepare(_: &mut Bench) -> Result<()> {
    static MADE: OnceLock<()> = OnceLock::new();
    if MADE.get().is_some() {
        return Ok(());
    }
    let engine = podman::ensure_installed()?;
    python::ensure_installed()?;
    postgres::ensure_installed()?;
    images::make(&engine.shell()?)?;
    MADE.get_or_init(|| ());
    Ok(())
}

/// From the start of a container on a migrated database to its first answers.
pub(crate) fn startup(bench: &mut Bench) -> Result<Outcome> {
    measure(bench, "container start, migrated database", |container, _| {
        let times = container.start()?;
        Ok(vec![(HEALTH, times.health), (READY, times.ready), (FROM_COMMAND, times.whole)])
    })
}

/// Memory of all processes after a Mac's four stages, with WebSockets open.
pub(crate) fn memory(bench: &mut Bench) -> Result<Outcome> {
    measure(bench, "four sync stages, 50 WebSockets", |container, database| {
        container.start()?;
        let load = Load::begin(&container.url(), database)?;
        let found = subject::memory_of(container.process()?)?;
        drop(load);
        let mebibytes = |bytes: u64| bytes as f64 / MEBIBYTE;
        Ok(vec![(MEMORY, mebibytes(found.proportional)), (RESIDENT, mebibytes(found.resident))])
    })
}

/// What is transferred, both packed by podman, and what is on the disk.
pub(crate) fn size(bench: &mut Bench) -> Result<Outcome> {
    let shell = podman::ensure_installed()?.shell()?;
    let folder = bench.folder_for("images")?;
    let mut images = IMAGES;
    let case = bench.alternate(
        "image",
        &mut images,
        |image| image.name.to_owned(),
        |image| {
            let megabytes = |bytes: u64| bytes as f64 / MEGABYTE;
            Ok(vec![
                (PACKED, megabytes(engine::packed(&shell, image.tag, &folder)?)),
                (UNPACKED, megabytes(engine::unpacked(&shell, image.tag)?)),
            ])
        },
    )?;
    Ok(Outcome::Cases(vec![case]))
}

/// A fresh container of each image in turn, on one database.
fn measure(
    bench: &mut Bench,
    case: &str,
    sample: impl Fn(&Container<'_>, &Database) -> Result<Sample>,
) -> Result<Outcome> {
    let shell = podman::ensure_installed()?.shell()?;
    let database = Database::start(&bench.folder_for("database")?)?;
    let mut images = IMAGES;
    let case = bench.alternate(
        case,
        &mut images,
        |image| image.name.to_owned(),
        |image: &mut Image| {
            let container = Container::create(&shell, image.tag, &database)?;
            sample(&container, &database)
                .with_context(|| format!("its last lines:\n{}", container.last_words()))
        },
    )?;
    Ok(Outcome::Cases(vec![case]))
}

/// A simulated Mac that has synced and an administrator's open pages; both end
/// when this is dropped.
struct Load(Child);

impl Load {
    fn begin(url: &str, database: &Database) -> Result<Self> {
        let python: PathBuf = python::interpreter();
        let mut child = Command::new(python)
            .args(["-m", "tests.support.pages", url, SOCKETS])
            .current_dir(repo::path("backend"))
            .env("ADMIN_PASSWORD", database::PASSWORD)
            .env("ENROLLMENT_SECRET", &database.enrollment)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("cannot start the simulated Mac")?;
        let output = child.stdout.take().context("the simulated Mac has no output")?;
        let load = Self(child);
        let mut line = String::new();
        BufReader::new(output).read_line(&mut line)?;
        run::check()?;
        if line.trim() != "open" {
            bail!("the simulated Mac could not sync or its pages did not open");
        }
        Ok(load)
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        let _ = self.0.wait();
    }
}
