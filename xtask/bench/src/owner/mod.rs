//! The owner's scenarios on the whole chain, beside the arrangement that came before:
//! what was promised is measured as users have it. Each measurement starts one of the
//! two ([`arrangement`]) and stops it again, so that the other never runs beside it.

mod arrangement;
mod promises;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, Result};
use xtask::commands::build;
use xtask::tools::{node, system};
use xtask::{repo, run};

use super::fleet::{self, Cluster, Database, Import, Kind, Size};
use super::load::{Consoles, Fleet, Load};
use super::peers::Server;
use super::scenario::{Bench, Outcome};
use super::supervise::load::{Target, stream};
use super::table::{CPU, Case, MEMORY, Metric, P50, P95, P99, RATE, Sample};
use arrangement::{Arrangement, Site};
pub(crate) use promises::Finding;

/// The owner's fleet.
const MACS: u32 = 20_000;
const RULES: u32 = 1_000;
const CLIENTS: u32 = 1_000;
/// Open pages of the console with a WebSocket each.
const PAGES: u32 = 500;
/// Rules of the file that is imported meanwhile.
const IMPORTED: u32 = 5_000;
/// A fleet and an import take at least so many seconds.
const LEAST_SECONDS: f64 = 10.0;
/// Seconds in which caches fill and statements are prepared.
const PRACTICE: f64 = 1.0;
/// Ends of the backend in one measurement, and the requests a second meanwhile.
const ENDS: u32 = 5;
const REQUESTS: u32 = 300;
/// Between two of them.
const PAUSE: Duration = Duration::from_millis(1_500);

const READY: Metric = Metric { name: "ready", unit: "s", compared: true };
const SHARE: Metric = Metric { name: "CPU", unit: "% of the machine", compared: true };
const FAILED: Metric = Metric { name: "failed", unit: "requests each", compared: true };
const LATE: Metric = Metric { name: "p99", unit: "ms", compared: true };
const LONGEST: Metric = Metric { name: "longest", unit: "ms", compared: true };
const READS: Metric = Metric { name: "reads of the pages", unit: "1/s", compared: false };
const LAGGED: Metric = Metric { name: "told of a loss", unit: "pages", compared: false };
const IMPORT: Metric = Metric { name: "import", unit: "s", compared: true };

/// Installs and builds what both arrangements are made of.
pub(crate) fn prepare(bench: &mut Bench) -> Result<()> {
    fleet::prepare(bench)?;
    build::console()?;
    if !bench.peers {
        return Ok(());
    }
    node::program()?;
    let supervisor = run::find("supervisord").is_some();
    if !supervisor && system::installs() {
        // A package that is not to be had leaves its row without figures, and says why.
        let _ = system::install("supervisord", &["supervisor"]);
    }
    Server::Nginx.ensure_installed(bench);
    Ok(())
}

/// Requests of a thousand clients at the same time.
pub(crate) fn api(bench: &mut Bench) -> Result<Outcome> {
    let stage = Stage::set(bench)?;
    let mut cases = Vec::new();
    for (what, path, paced) in [
        ("1,000 clients, once a second each: who is logged in", "/api/v1/auth/me", true),
        ("1,000 clients: who is logged in", "/api/v1/auth/me", false),
        ("1,000 clients: 50 rules", "/api/v1/rules?limit=50", false),
    ] {
        cases.extend(stage.case(bench, what, |site| {
            let mut load = http(site, &[path.to_owned()], CLIENTS, bench.seconds);
            load.more.push(format!("--header=Cookie: {}", stage.cookie));
            load.rate = paced.then(|| f64::from(CLIENTS));
            asked(bench, site, load)
        })?);
    }
    Ok(Outcome::Cases(cases))
}

/// The console's page and its first script.
pub(crate) fn console(bench: &mut Bench) -> Result<Outcome> {
    let stage = Stage::set(bench)?;
    let paths = ["/".to_owned(), script(&repo::dist("www"))?];
    let what = "64 connections: the console's page and first script";
    let case = stage
        .case(bench, what, |site| asked(bench, site, http(site, &paths, 64, bench.seconds)))?;
    Ok(Outcome::Cases(case.into_iter().collect()))
}

/// Open pages that hear of the syncs and events of a fleet.
pub(crate) fn websockets(bench: &mut Bench) -> Result<Outcome> {
    let stage = Stage::set(bench)?;
    let what = "500 pages hear a fleet of 20,000 Macs";
    let case = stage.case(bench, what, |site| {
        let pages = stage.open(bench, site)?;
        let mut sample = syncs(bench, site)?;
        sample.extend(heard(pages)?);
        Ok(sample)
    })?;
    Ok(Outcome::Cases(case.into_iter().collect()))
}

/// The same while rules are imported.
pub(crate) fn mixed(bench: &mut Bench) -> Result<Outcome> {
    let stage = Stage::set(bench)?;
    let what = "mixed: 20,000 Macs, 500 pages, an import";
    let case = stage.case(bench, what, |site| {
        let pages = stage.open(bench, site)?;
        let backend = &stage.database.folder;
        let import = Import::start(&site.address, backend, &stage.cookie, "user:nobody", IMPORTED)?;
        let mut sample = syncs(bench, site)?;
        sample.push((IMPORT, import.finish(bench.seconds.max(LEAST_SECONDS))?));
        sample.extend(heard(pages)?);
        Ok(sample)
    })?;
    Ok(Outcome::Cases(case.into_iter().collect()))
}

/// Requests while the backend is killed, and while it is restarted.
pub(crate) fn restart(bench: &mut Bench) -> Result<Outcome> {
    let stage = Stage::set(bench)?;
    let kill: fn(&Site) -> Result<()> = Site::kill_backend;
    let restart: fn(&Site) -> Result<()> = Site::restart_backend;
    let mut cases = Vec::new();
    for (what, end) in [("backend killed", kill), ("backend restarted", restart)] {
        cases.extend(stage.case(bench, what, |site| ends(site, end))?);
    }
    Ok(Outcome::Cases(cases))
}

/// What was promised beside what this run has measured.
pub(crate) fn promised(bench: &mut Bench) -> Result<Outcome> {
    let found = bench.findings();
    Ok(Outcome::Text { markdown: promises::markdown(&found), data: promises::data(&found) })
}

/// A database with the owner's fleet, for whoever is on.
struct Stage {
    database: Database,
    cookie: String,
    _cluster: Cluster,
}

impl Stage {
    fn set(bench: &Bench) -> Result<Self> {
        let cluster = Cluster::start(&bench.folder_for("cluster")?)?;
        let size = Size { machines: MACS, rules: RULES };
        let database = cluster.fill(bench, Kind::Santa, size)?;
        // Over http, the name of the cookie is without its prefix.
        let cookie = database.login()?.replace("__Host-", "");
        Ok(Self { database, cookie, _cluster: cluster })
    }

    /// Both arrangements in turn, each started for one measurement; nothing when it is not wanted.
    fn case(
        &self,
        bench: &Bench,
        name: &str,
        measure: impl Fn(&Site) -> Result<Sample>,
    ) -> Result<Option<Case>> {
        if !bench.wants(name) {
            return Ok(None);
        }
        let mut both = vec![Arrangement::Ours];
        if bench.peers {
            both.insert(0, Arrangement::Earlier);
        }
        let called = |one: &Arrangement| one.name().to_owned();
        let case = bench.alternate(name, &mut both, called, |one| {
            let site = one.start(bench, &self.database.url)?;
            let mut sample = measure(&site)?;
            let memory = site.memory()?.proportional as f64 / f64::from(1 << 20);
            sample.extend([(MEMORY, memory), (READY, site.ready)]);
            Ok(sample)
        })?;
        let row = |one: Arrangement| case.rows.iter().find(|row| row.name == one.name());
        for metric in case.metrics() {
            let median = |one| row(one).and_then(|row| row.median(metric));
            if let Some(ours) = median(Arrangement::Ours) {
                let (case, metric) = (name.to_owned(), metric.name);
                let earlier = median(Arrangement::Earlier);
                bench.find(Finding { case, metric, ours, earlier });
            }
        }
        Ok(Some(case))
    }

    fn open(&self, bench: &Bench, site: &Site) -> Result<Consoles> {
        bench.load.consoles(&site.address, &self.cookie, PAGES, MACS)
    }
}

fn http(site: &Site, paths: &[String], connections: u32, seconds: f64) -> Load {
    let mut load = Load::http(&site.address, "", PathBuf::new(), seconds);
    load.paths = paths.to_vec();
    load.expect.clear();
    load.connections = connections;
    load.more.retain(|field| !field.starts_with("--header=Cookie:"));
    load
}

/// Sends a load, once for practice; what a response costs, and how fast it came.
fn asked(bench: &Bench, site: &Site, mut load: Load) -> Result<Sample> {
    let seconds = std::mem::replace(&mut load.seconds, PRACTICE);
    bench.load.run(&load)?;
    load.seconds = seconds;
    let before = site.cpu()?;
    let outcome = bench.load.run(&load)?;
    let spent = site.cpu()?.saturating_sub(before);
    Ok(vec![
        (CPU, spent.as_secs_f64() * 1e6 / outcome.responses),
        (RATE, outcome.rate),
        (P50, outcome.p50),
        (P95, outcome.p95),
        (P99, outcome.p99),
    ])
}

/// Lets the fleet sync, once for practice; what that costs, and how fast responses came.
fn syncs(bench: &Bench, site: &Site) -> Result<Sample> {
    let fleet = |seconds| Fleet::new(&site.address, MACS, 0, 600.0, seconds);
    bench.load.fleet(&fleet(PRACTICE))?.whole()?;
    let before = site.cpu()?;
    let outcome = bench.load.fleet(&fleet(bench.seconds.max(LEAST_SECONDS)))?;
    let spent = site.cpu()?.saturating_sub(before);
    outcome.whole()?;
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    Ok(vec![
        (SHARE, 100.0 * spent.as_secs_f64() / outcome.seconds / cores as f64),
        (P50, outcome.p50),
        (P95, outcome.p95),
        (P99, outcome.p99),
    ])
}

fn heard(pages: Consoles) -> Result<Sample> {
    let heard = pages.finish()?;
    Ok(vec![(READS, heard.reads), (LAGGED, heard.lagged)])
}

/// Ends the backend again and again while requests come in on kept and fresh connections.
fn ends(site: &Site, end: impl Fn(&Site) -> Result<()>) -> Result<Sample> {
    let target = Target::Tcp(site.address.parse().context("the address")?);
    let done = AtomicBool::new(false);
    let mut tally = std::thread::scope(|scope| {
        let streams = [true, false].map(|kept| {
            let (target, done) = (&target, &done);
            scope.spawn(move || stream(target, kept, REQUESTS / 2, done))
        });
        std::thread::sleep(PAUSE);
        let ended: Result<()> = (0..ENDS).try_for_each(|_| {
            run::check()?;
            end(site)?;
            std::thread::sleep(PAUSE);
            site.until_ready()
        });
        done.store(true, Ordering::Relaxed);
        let [kept, fresh] = streams.map(|stream| stream.join().unwrap_or_default());
        ended.map(|()| kept.join(fresh))
    })?;
    tally.latencies.sort_by(f64::total_cmp);
    let last = tally.latencies.len().checked_sub(1).context("no request was answered")?;
    let at = |part: f64| tally.latencies[(last as f64 * part).round() as usize];
    Ok(vec![(FAILED, tally.failed as f64 / f64::from(ENDS)), (LATE, at(0.99)), (LONGEST, at(1.0))])
}

/// The path of the script that the console's page begins with.
fn script(www: &Path) -> Result<String> {
    let folder = "_app/immutable/entry";
    let entries = std::fs::read_dir(www.join(folder)).context("the built console")?;
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let start = names.into_iter().find(|name| name.starts_with("start.") && name.ends_with(".js"));
    Ok(format!("/{folder}/{}", start.context("the console has no first script")?))
}
