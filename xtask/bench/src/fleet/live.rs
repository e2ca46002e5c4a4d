//! What open pages of the console cost while a fleet syncs, and what an import of
//! rules costs the syncs.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use xtask::tools::python;

use super::chain::{Chain, Kind, ours};
use super::cluster::{Cluster, Size};
use crate::child::ChildGuard;
use crate::load::{Consoles, FleetOutcome};
use crate::scenario::{Bench, Outcome};
use crate::table::{Case, Metric, P50, P99, Sample};

const MACS: u32 = 100_000;
const RULES: u32 = 10_000;
/// Open pages, beside none.
const PAGES: [u32; 2] = [0, 50];
/// Rules of the imported file.
const IMPORTED: u32 = 100_000;
/// Pages of these rules that each Mac fetches: all of them for 166 Macs a second
/// would be gigabytes a second.
const FETCHED: u32 = 2;
/// Whose rules are imported: of a user without a Mac, or of everybody.
const NOBODY: &str = "user:nobody";
const EVERYBODY: &str = "global";

const BACKEND: Metric = Metric { name: "backend CPU", unit: "% of a core", compared: true };
const DATABASE: Metric = Metric { name: "PostgreSQL CPU", unit: "% of a core", compared: true };
const PROXY: Metric = Metric { name: "proxy CPU", unit: "% of a core", compared: true };
const LARGEST: Metric = Metric { name: "largest page", unit: "kB/s", compared: false };
const MEAN: Metric = Metric { name: "page on average", unit: "kB/s", compared: false };
const READS: Metric = Metric { name: "reads of the pages", unit: "1/s", compared: false };
const LAGGED: Metric = Metric { name: "told of a loss", unit: "pages", compared: false };
const FAILED: Metric = Metric { name: "failed", unit: "requests", compared: true };
const IMPORT: Metric = Metric { name: "import", unit: "s", compared: false };

/// The same fleet with open pages and without, in turn.
pub(crate) fn live(bench: &mut Bench) -> Result<Outcome> {
    let cluster = Cluster::start(&bench.folder_for("cluster")?)?;
    let mut chain = full(bench, &cluster, Kind::Santa)?;
    let cookie = chain.database.login()?;
    warm_up(bench, &cluster, &mut chain)?;
    let name = format!("{MACS} Macs, {} syncs/s", MACS / 600);
    let case = bench.alternate(&name, &mut PAGES.to_vec(), called, |pages| {
        let open = match *pages {
            0 => None,
            number => Some(bench.load.consoles(chain.address(), &cookie, number, MACS)?),
        };
        let mut sample = syncs(bench, &cluster, &mut chain, bench.seconds)?;
        if let Some(heard) = open.map(Consoles::finish).transpose()? {
            sample.extend([
                (LARGEST, heard.largest / 1e3),
                (MEAN, heard.mean / 1e3),
                (READS, heard.reads),
                (LAGGED, heard.lagged),
            ]);
        }
        Ok(sample)
    })?;
    Ok(Outcome::Cases(vec![case]))
}

/// What an import costs the syncs: of rules that no Mac gets, and of rules that all get.
pub(crate) fn import(bench: &mut Bench) -> Result<Outcome> {
    let mut cases = Vec::new();
    let name = format!("{MACS} Macs, {} syncs/s", MACS / 600);
    if bench.wants(&name) {
        cases.push(beside(bench, &name)?);
    }
    let name = format!("{name}, {IMPORTED} new rules for all of them");
    if bench.wants(&name) {
        cases.push(everybody(bench, &name)?);
    }
    Ok(Outcome::Cases(cases))
}

/// The same fleet while rules are imported and while not, in turn.
fn beside(bench: &Bench, name: &str) -> Result<Case> {
    let cluster = Cluster::start(&bench.folder_for("cluster")?)?;
    let mut chain = full(bench, &cluster, Kind::Santa)?;
    let cookie = chain.database.login()?;
    warm_up(bench, &cluster, &mut chain)?;
    let mut subjects = [None, Some(IMPORTED)];
    let called = |rules: &Option<u32>| match rules {
        None => "nothing else".to_owned(),
        Some(rules) => format!("an import of {rules} rules"),
    };
    bench.alternate(name, &mut subjects, called, |rules| {
        let import = rules.map(|rules| import_into(&chain, &cookie, NOBODY, rules)).transpose()?;
        let mut sample = syncs(bench, &cluster, &mut chain, bench.seconds)?;
        if let Some(import) = import {
            sample.push((IMPORT, import.finish(bench.seconds)?));
        }
        Ok(sample)
    })
}

/// A fleet with some 200 sets of layers whose every Mac has new rules from some moment on. Each
/// database is used once: afterwards all its Macs have rules to fetch.
fn everybody(bench: &Bench, name: &str) -> Result<Case> {
    let cluster = Cluster::start(&bench.folder_for("cluster")?)?;
    let mut kinds: Vec<_> = ours(bench).collect();
    let called = |kind: &Kind| kind.name().to_owned();
    bench.alternate(name, &mut kinds, called, |kind| {
        let mut chain = full(bench, &cluster, *kind)?;
        let cookie = chain.database.login()?;
        warm_up(bench, &cluster, &mut chain)?;
        let import = import_into(&chain, &cookie, EVERYBODY, IMPORTED)?;
        let mut load = chain.fleet(MACS, bench.seconds);
        load.pages = Some(FETCHED);
        let (outcome, costs) = chain.measure(bench, &cluster, &load)?;
        let mut sample = costs_and_latency(&outcome, costs);
        sample.extend([(FAILED, outcome.failed), (IMPORT, import.finish(bench.seconds)?)]);
        Ok(sample)
    })
}

fn called(pages: &u32) -> String {
    if *pages == 0 { "no page open".to_owned() } else { format!("{pages} pages open") }
}

fn full(bench: &Bench, cluster: &Cluster, kind: Kind) -> Result<Chain> {
    let size = Size { machines: MACS, rules: RULES };
    Chain::start(bench, kind, cluster.fill(bench, kind, size)?)
}

/// Caches fill and statements are prepared.
fn warm_up(bench: &Bench, cluster: &Cluster, chain: &mut Chain) -> Result<()> {
    syncs(bench, cluster, chain, bench.seconds.min(5.0)).map(drop)
}

/// Lets the fleet sync, and says what a second of it costs.
fn syncs(bench: &Bench, cluster: &Cluster, chain: &mut Chain, seconds: f64) -> Result<Sample> {
    let load = chain.fleet(MACS, seconds);
    let (outcome, costs) = chain.measure(bench, cluster, &load)?;
    outcome.whole()?;
    Ok(costs_and_latency(&outcome, costs))
}

/// What a second of a fleet's syncs costs, and how fast they are answered.
fn costs_and_latency(outcome: &FleetOutcome, costs: [f64; 3]) -> Sample {
    // Microseconds a second are a millionth of a core.
    let share = |each: f64| each * outcome.responses / outcome.seconds / 1e4;
    let [backend, database, proxy] = costs.map(share);
    vec![
        (BACKEND, backend),
        (DATABASE, database),
        (PROXY, proxy),
        (P50, outcome.p50),
        (P99, outcome.p99),
    ]
}

/// An import by the REST interface, beside the syncs; ended when dropped.
pub(crate) struct Import(ChildGuard);

fn import_into(chain: &Chain, cookie: &str, layer: &str, rules: u32) -> Result<Import> {
    Import::start(chain.address(), &chain.database.folder, cookie, layer, rules)
}

impl Import {
    /// Begins one at the server with this address; `backend` has the program that imports.
    pub(crate) fn start(
        address: &str,
        backend: &Path,
        cookie: &str,
        layer: &str,
        rules: u32,
    ) -> Result<Self> {
        let child = Command::new(python::interpreter())
            .args(["-m", "tests.bench.importing", "--url"])
            .arg(format!("http://{address}"))
            .args(["--cookie", cookie, "--layer", layer, "--rules", &rules.to_string()])
            .current_dir(backend)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .context("cannot start the import")?;
        Ok(Self(ChildGuard(child)))
    }

    /// Gives how long the import took; it has to end while the fleet syncs.
    pub(crate) fn finish(mut self, seconds: f64) -> Result<f64> {
        let ended = self.0.0.try_wait().context("the import")?;
        let status = ended.with_context(|| {
            format!("the import took longer than the {seconds} s of syncs: use more --seconds")
        })?;
        ensure!(status.success(), "the import failed; its message is above");
        let output = self.0.0.stdout.take().context("no output of the import")?;
        let value: Value = serde_json::from_reader(output).context("the import's result")?;
        value["seconds"].as_f64().context("the import names no seconds")
    }
}
