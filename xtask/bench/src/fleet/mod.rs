//! Fleets of Macs that sync with the whole chain: santa-proxy, one worker of the
//! backend, PostgreSQL, all on this machine with the load generator, none
//! pinned. Beside it two peers with the same load, proxy and PostgreSQL:
//! `backend/tests/bench/peers/`. [`cluster`] fills databases, [`chain`] runs what
//! answers and reads its CPU time, part by part.

mod chain;
mod cluster;
mod live;
mod rest;

use std::sync::OnceLock;

use anyhow::{Context, Result};

use super::load::Fleet;
use super::scenario::{Bench, Outcome};
use super::table::{BACKEND, Case, Metric, P99, Sample};
pub(crate) use chain::Kind;
use chain::{Chain, DATABASE, PROXY, ours};
pub(crate) use cluster::{Cluster, Database, Size};
pub(crate) use live::{Import, import, live};
pub(crate) use rest::rest;
use xtask::run;
use xtask::tools::{postgres, python};

/// Macs whose load the peers can stand.
const FEW: u32 = 12_000;
/// Macs in a peer's database: a ledger of all rules for each takes its place.
const PEER_MACS: u32 = 200;
/// Fleets that are tried in turn until one is too many.
const LADDER: [u32; 11] =
    [1_500, 3_000, 6_000, 12_500, 25_000, 50_000, 100_000, 150_000, 200_000, 300_000, 400_000];
/// Latency above which a fleet counts as too many.
const TOO_LATE_US: f64 = 1e6;

const MACS: Metric = Metric { name: "Macs sustained", unit: "each syncs in 600 s", compared: true };
const ROWS: Metric = Metric { name: "rows", unit: "B/Mac", compared: true };
const TABLES: Metric = Metric { name: "tables and indexes", unit: "B/Mac", compared: true };
const SYNC: Metric = Metric { name: "waited for responses", unit: "ms/sync", compared: true };
const BACKEND_SYNC: Metric = Metric { name: "backend CPU", unit: "ms/sync", compared: true };
const DATABASE_SYNC: Metric = Metric { name: "PostgreSQL CPU", unit: "ms/sync", compared: true };
const EVENTS: Metric = Metric { name: "accepted", unit: "events/s", compared: false };
const BACKEND_EVENT: Metric = Metric { name: "backend CPU/event", unit: "µs", compared: true };
const DATABASE_EVENT: Metric = Metric { name: "PostgreSQL CPU/event", unit: "µs", compared: true };

/// Installs Python and PostgreSQL, once for all scenarios of a run.
pub(crate) fn prepare(_: &mut Bench) -> Result<()> {
    static MADE: OnceLock<()> = OnceLock::new();
    if MADE.get().is_none() {
        python::ensure_installed()?;
        postgres::ensure_installed()?;
        MADE.get_or_init(|| ());
    }
    Ok(())
}

/// Full syncs with ten events and nothing new to send, at a fixed rate.
pub(crate) fn steady(bench: &mut Bench) -> Result<Outcome> {
    let cluster = Cluster::start(&bench.folder_for("cluster")?)?;
    let size = Size { machines: 200_000, rules: 10_000 };
    let mut cases = Vec::new();
    let mut chains = start(bench, &cluster, ours(bench), size)?;
    for macs in [100_000, 200_000] {
        let name = format!("{macs} Macs, 10,000 rules, {} syncs/s", macs / 600);
        if bench.wants(&name) {
            cases.push(fleets(bench, &cluster, &name, &mut chains, called, macs)?);
        }
    }
    let name = format!("{FEW} Macs, 10,000 rules, {} syncs/s", FEW / 600);
    if bench.wants(&name) {
        add_peers(bench, &cluster, &mut chains)?;
        cases.push(fleets(bench, &cluster, &name, &mut chains, called, FEW)?);
    }
    let name = "state of a Mac, 10,000 rules";
    if bench.wants(name) {
        chains.retain(|chain| chain.kind != Kind::Orm);
        cases.push(bench.alternate(name, &mut chains, called, |chain| {
            let (rows, tables) = chain.database.state(chain.kind)?;
            Ok(vec![(ROWS, rows), (TABLES, tables)])
        })?);
    }
    Ok(Outcome::Cases(cases))
}

/// The largest fleet whose syncs all succeed, with p99 below a second.
pub(crate) fn capacity(bench: &mut Bench) -> Result<Outcome> {
    let cluster = Cluster::start(&bench.folder_for("cluster")?)?;
    let size = Size { machines: 200_000, rules: 10_000 };
    let mut chains = start(bench, &cluster, ours(bench), size)?;
    add_peers(bench, &cluster, &mut chains)?;
    let case = bench.alternate("10,000 rules", &mut chains, called, |chain| {
        let mut sample = vec![(MACS, 0.0)];
        for macs in LADDER {
            run::check()?;
            let load = chain.fleet(macs, bench.seconds);
            let (outcome, costs) = chain.measure(bench, &cluster, &load)?;
            if outcome.whole().is_err() || outcome.p99 > TOO_LATE_US {
                // What is still under way must not burden the next one.
                std::thread::sleep(std::time::Duration::from_secs(5));
                break;
            }
            sample = vec![
                (MACS, f64::from(macs)),
                (BACKEND, costs[0]),
                (DATABASE, costs[1]),
                (PROXY, costs[2]),
                (P99, outcome.p99),
            ];
        }
        Ok(sample)
    })?;
    Ok(Outcome::Cases(vec![case]))
}

/// What rules cost when there are some to send.
pub(crate) fn rules(bench: &mut Bench) -> Result<Outcome> {
    let cluster = Cluster::start(&bench.folder_for("cluster")?)?;
    let size = Size { machines: 400, rules: 80_000 };
    let mut chains = start(bench, &cluster, ours(bench), size)?;
    let mut cases = Vec::new();
    let name = "a page of 500 rules, asked for again and again";
    if bench.wants(name) {
        cases.push(bench.alternate(name, &mut chains, called, |chain| {
            chain.database.change(500)?;
            let mut load = chain.fleet(3_000, bench.seconds);
            load.events = 0;
            load.repeat = 98;
            chain.sample(bench, &cluster, &load)
        })?);
    }
    let name = "100 changes at 80,000 rules, for the first Mac of each set of tags";
    if bench.wants(name) {
        cases.push(bench.alternate(name, &mut chains, called, |chain| {
            chain.database.change(100)?;
            // Twenty Macs in a row have twenty different sets of tags.
            let mut load = Fleet::new(chain.address(), 400, 0, 40.0, 1.95);
            load.events = 0;
            by_sync(chain, bench, &cluster, &load)
        })?);
    }
    for (name, cold) in
        [("first clean sync of 80,000 rules, nothing remembered", true), ("the next Mac's", false)]
    {
        if bench.wants(name) {
            let mut new = if cold { 1_000 } else { 2_000 };
            cases.push(bench.alternate(name, &mut chains, called, |chain| {
                if cold {
                    chain.forget(bench)?;
                }
                new += 1;
                let mut load = Fleet::new(chain.address(), 1_000_000, new, 1_000_000.0, 0.5);
                load.events = 0;
                by_sync(chain, bench, &cluster, &load)
            })?);
        }
    }
    Ok(Outcome::Cases(cases))
}

/// How costs grow with the fleet and with its rules; the smallest is what the others are compared with.
pub(crate) fn growth(bench: &mut Bench) -> Result<Outcome> {
    let curves: [(&str, Kind, u32, &[Size]); 3] = [
        (
            "SantaServer, by Macs, 10,000 rules",
            Kind::Santa,
            100_000,
            &[
                Size { machines: 1_000, rules: 10_000 },
                Size { machines: 10_000, rules: 10_000 },
                Size { machines: 100_000, rules: 10_000 },
            ],
        ),
        (
            "SantaServer, by rules, 1,000 Macs",
            Kind::Santa,
            100_000,
            &[
                Size { machines: 1_000, rules: 1_000 },
                Size { machines: 1_000, rules: 10_000 },
                Size { machines: 1_000, rules: 100_000 },
            ],
        ),
        (
            "ledger, by rules",
            Kind::Ledger,
            600,
            &[
                Size { machines: 40, rules: 1_000 },
                Size { machines: 40, rules: 10_000 },
                Size { machines: 40, rules: 100_000 },
            ],
        ),
    ];
    let mut cases = Vec::new();
    for (name, kind, macs, sizes) in curves {
        if !bench.wants(name) || (kind != Kind::Santa && !bench.peers) {
            continue;
        }
        let cluster = Cluster::start(&bench.folder_for("cluster")?)?;
        let mut chains = Vec::new();
        for size in sizes {
            chains.push(Chain::start(bench, kind, cluster.fill(bench, kind, *size)?)?);
        }
        let by_macs = name.contains("by Macs");
        let called = |chain: &Chain| {
            let Size { machines, rules } = chain.database.size;
            if by_macs { format!("{machines} Macs") } else { format!("{rules} rules") }
        };
        cases.push(fleets(bench, &cluster, name, &mut chains, called, macs)?);
    }
    Ok(Outcome::Cases(cases))
}

/// Uploads of fifty events over sixteen connections, as fast as they are taken.
pub(crate) fn events(bench: &mut Bench) -> Result<Outcome> {
    let cluster = Cluster::start(&bench.folder_for("cluster")?)?;
    let kinds = ours(bench).chain(bench.peers.then_some(Kind::Orm));
    let mut chains = start(bench, &cluster, kinds, Size { machines: 10_000, rules: 1_000 })?;
    let case = bench.alternate("uploads of 50 events", &mut chains, called, |chain| {
        let mut load = chain.fleet(10_000, bench.seconds);
        load.events = 50;
        load.uploads = Some(16);
        let (outcome, [backend, database, _]) = chain.measure(bench, &cluster, &load)?;
        outcome.whole()?;
        Ok(vec![
            (BACKEND_EVENT, backend / 50.0),
            (DATABASE_EVENT, database / 50.0),
            (EVENTS, outcome.events / outcome.seconds),
            (P99, outcome.p99),
        ])
    })?;
    Ok(Outcome::Cases(vec![case]))
}

fn called(chain: &Chain) -> String {
    chain.kind.name().to_owned()
}

fn add_peers(bench: &Bench, cluster: &Cluster, chains: &mut Vec<Chain>) -> Result<()> {
    let size = Size { machines: PEER_MACS, rules: 10_000 };
    let kinds = [Kind::Ledger, Kind::Orm].into_iter().filter(|_| bench.peers);
    chains.extend(start(bench, cluster, kinds, size)?);
    Ok(())
}

/// A chain of each kind, each with a database of its own.
fn start(
    bench: &Bench,
    cluster: &Cluster,
    kinds: impl Iterator<Item = Kind>,
    size: Size,
) -> Result<Vec<Chain>> {
    kinds.map(|kind| Chain::start(bench, kind, cluster.fill(bench, kind, size)?)).collect()
}

/// The same fleet for each in turn, once for practice: caches fill and statements are prepared.
fn fleets(
    bench: &Bench,
    cluster: &Cluster,
    name: &str,
    chains: &mut [Chain],
    called: impl Fn(&Chain) -> String,
    macs: u32,
) -> Result<Case> {
    for chain in chains.iter_mut() {
        let load = chain.fleet(macs, bench.seconds);
        chain.sample(bench, cluster, &load).with_context(|| called(chain))?;
    }
    bench.alternate(name, chains, called, |chain| {
        let load = chain.fleet(macs, bench.seconds);
        chain.sample(bench, cluster, &load)
    })
}

fn by_sync(chain: &Chain, bench: &Bench, cluster: &Cluster, load: &Fleet) -> Result<Sample> {
    let (outcome, [backend, database, _]) = chain.measure(bench, cluster, load)?;
    outcome.whole()?;
    let syncs = outcome.syncs.context("no sync came to its end")?;
    let by_sync = |each: f64| each * outcome.responses / syncs / 1e3;
    Ok(vec![
        (DATABASE_SYNC, by_sync(database)),
        (BACKEND_SYNC, by_sync(backend)),
        (SYNC, outcome.sync / 1e3),
    ])
}
