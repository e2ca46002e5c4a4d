//! santa-proxy → Unix socket → one worker of a backend → PostgreSQL, and what a
//! fleet's load on it costs each of them.

use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};
use xtask::tools::python;
use xtask::{http, ports, repo};

use super::cluster::{Cluster, Database};
use crate::load::{Fleet, FleetOutcome};
use crate::peers::filled;
use crate::scenario::Bench;
use crate::subject::Subject;
use crate::table::{BACKEND, Metric, P50, P99, RATE, Sample};

/// The configuration of santa-proxy for these loads, among the benchmarks of any checkout.
const SANTA_TOML: &str = "fleet/santa.toml";

/// Longest that a backend may take to its first response.
const TIMEOUT: Duration = Duration::from_secs(30);

pub(crate) const DATABASE: Metric =
    Metric { name: "PostgreSQL CPU/request", unit: "µs", compared: true };
pub(crate) const PROXY: Metric = Metric { name: "proxy CPU/request", unit: "µs", compared: true };

/// What answers the fleet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The backend of this repository.
    Santa,
    /// The same at an earlier commit, with the proxy of that commit.
    Baseline,
    /// A peer that keeps a ledger of each Mac's rules and compares sets in SQL.
    Ledger,
    /// A peer written the plain way with an ORM.
    Orm,
}

impl Kind {
    /// Its name in the report.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Santa => "SantaServer",
            Self::Baseline => "SantaServer, baseline",
            Self::Ledger => "ledger of each Mac's rules",
            Self::Orm => "plain ORM",
        }
    }

    /// How `backend/tests/bench/` calls it.
    pub(crate) fn name_in_python(self) -> &'static str {
        match self {
            Self::Santa | Self::Baseline => "santaserver",
            Self::Ledger => "ledger",
            Self::Orm => "orm",
        }
    }

    /// What its folders and databases begin with.
    pub(crate) fn prefix(self) -> &'static str {
        match self {
            Self::Baseline => "baseline",
            other => other.name_in_python(),
        }
    }

    /// The folder of its backend.
    pub(crate) fn backend(self, bench: &Bench) -> PathBuf {
        match (self, &bench.baseline) {
            (Self::Baseline, Some(baseline)) => baseline.path("backend"),
            _ => repo::path("backend"),
        }
    }

    /// Its proxy and the template of that proxy's configuration.
    fn proxy(self, bench: &Bench) -> Result<(PathBuf, String)> {
        let (bin, template) = match (self, &bench.baseline) {
            (Self::Baseline, Some(baseline)) => (baseline.bin(), baseline.text(SANTA_TOML)?),
            _ => (bench.bin.clone(), include_str!("santa.toml").to_owned()),
        };
        Ok((bin.join("santa-proxy"), template))
    }
}

/// This repository, and beside it the baseline when there is one.
pub(crate) fn ours(bench: &Bench) -> impl Iterator<Item = Kind> {
    let baseline = bench.baseline.as_ref().map(|_| Kind::Baseline);
    std::iter::once(Kind::Santa).chain(baseline)
}

/// A running chain; stopped when dropped.
pub(crate) struct Chain {
    /// What it responds with.
    pub(crate) kind: Kind,
    /// Where its Macs are.
    pub(crate) database: Database,
    proxy: Subject,
    backend: Subject,
    address: String,
    next: u32,
}

/// CPU time of the three parts.
struct Spent {
    proxy: Duration,
    backend: Duration,
    database: Duration,
}

impl Chain {
    /// Starts a backend on `database`, and a proxy before it.
    pub(crate) fn start(bench: &Bench, kind: Kind, database: Database) -> Result<Self> {
        let size = database.size;
        let name = format!("{}-{}-{}", kind.prefix(), size.machines, size.rules);
        let folder = bench.folder_for(&name)?;
        let backend = backend(&folder, kind, &database)?;
        let port = ports::in_a_row(1)?;
        let address = format!("127.0.0.1:{port}");
        let place = [("FOLDER", folder.display().to_string()), ("LISTEN", address.clone())];
        let file = folder.join("santa.toml");
        let (program, template) = kind.proxy(bench)?;
        std::fs::write(&file, filled(&template, &place))
            .with_context(|| format!("cannot write {}", file.display()))?;
        std::fs::create_dir_all(folder.join("www"))?;
        std::fs::write(folder.join("www/index.html"), "<!doctype html>")?;
        let mut command = Command::new(program);
        command.arg("--config").arg(&file);
        let mut proxy = Subject::launch("santa-proxy", &folder, command)?;
        proxy.wait_for(&address)?;
        Ok(Self { kind, database, proxy, backend, address, next: 0 })
    }

    /// Restarts the backend, so that it remembers nothing.
    pub(crate) fn forget(&mut self, bench: &Bench) -> Result<()> {
        let size = self.database.size;
        let name = format!("{}-{}-{}", self.kind.prefix(), size.machines, size.rules);
        self.backend.stop();
        self.backend = backend(&bench.folder.join(name), self.kind, &self.database)?;
        Ok(())
    }

    /// Lets a fleet of `macs`, each of which syncs every ten minutes, send requests for this long.
    ///
    /// There may be fewer in the database: then those sync more often, at the same rate.
    pub(crate) fn fleet(&mut self, macs: u32, seconds: f64) -> Fleet {
        let machines = macs.min(self.database.size.machines);
        let interval = 600.0 * f64::from(machines) / f64::from(macs);
        let first = self.next;
        let syncs = (seconds * f64::from(macs) / 600.0).ceil() as u32 + 1;
        // Each Mac has its turn: none syncs twice while others wait.
        self.next = (self.next + syncs) % machines;
        Fleet::new(&self.address, machines, first, interval, seconds)
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// Lets a fleet ask, and says what a response costs.
    pub(crate) fn measure(
        &self,
        bench: &Bench,
        cluster: &Cluster,
        load: &Fleet,
    ) -> Result<(FleetOutcome, [f64; 3])> {
        let before = self.spent(cluster)?;
        let outcome = bench.load.fleet(load)?;
        let after = self.spent(cluster)?;
        let each = |after: Duration, before: Duration| {
            after.saturating_sub(before).as_secs_f64() * 1e6 / outcome.responses.max(1.0)
        };
        let costs = [
            each(after.backend, before.backend),
            each(after.database, before.database),
            each(after.proxy, before.proxy),
        ];
        Ok((outcome, costs))
    }

    /// The same as a sample of all of it; one failure, and there is none.
    pub(crate) fn sample(&self, bench: &Bench, cluster: &Cluster, load: &Fleet) -> Result<Sample> {
        let (outcome, [backend, database, proxy]) = self.measure(bench, cluster, load)?;
        outcome.whole()?;
        Ok(vec![
            (BACKEND, backend),
            (DATABASE, database),
            (PROXY, proxy),
            (RATE, outcome.responses / outcome.seconds),
            (P50, outcome.p50),
            (P99, outcome.p99),
        ])
    }

    /// CPU time of the backend so far.
    pub(crate) fn backend_cpu(&self) -> Result<Duration> {
        self.backend.cpu()
    }

    fn spent(&self, cluster: &Cluster) -> Result<Spent> {
        Ok(Spent {
            proxy: self.proxy.cpu()?,
            backend: self.backend.cpu()?,
            database: cluster.processes().cpu()?,
        })
    }
}

fn backend(folder: &Path, kind: Kind, database: &Database) -> Result<Subject> {
    let socket = folder.join("backend.sock");
    let mut command = Command::new(python::interpreter());
    match kind {
        Kind::Santa | Kind::Baseline => command.args(["-m", "santaserver", "serve"]),
        Kind::Ledger | Kind::Orm => {
            command.args(["-m", "tests.bench.peers", kind.name_in_python()])
        }
    };
    command
        .arg("--uds")
        .arg(&socket)
        .current_dir(&database.folder)
        .env("ENVIRONMENT", "development")
        .env("DATABASE_URL", &database.url);
    let log = folder.join("backend");
    std::fs::create_dir_all(&log)?;
    let mut backend = Subject::launch(kind.name(), &log, command)?;
    backend.wait_for(&format!("unix:{}", socket.display()))?;
    first_answer(&socket).with_context(|| format!("{} does not respond", kind.name()))?;
    Ok(backend)
}

/// Waits until the application behind a socket has been loaded: before that, connections only wait.
pub(crate) fn first_answer(socket: &Path) -> Result<()> {
    let stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    http::status(stream, "bench", "/health/live")?;
    Ok(())
}
