//! `cargo xtask bench supervise`: santa-supervise beside the supervisors that
//! people use, on this machine, in turn. What is measured is in `figures.rs`,
//! requests during restarts in `requests.rs`.

mod figures;
mod install;
pub(crate) mod load;
mod peer;
mod process;
mod requests;
mod site;
mod table;

use std::path::PathBuf;

use anyhow::Result;
use xtask::{progress, run};

use self::figures::{FIGURES, Values};
use self::peer::{BASELINE, PEERS, Peer};
use super::scenario::{Bench, Outcome};
use super::table::median;

/// Rolling restarts while requests are made.
const RESTARTS: u32 = 50;

/// All values of one supervisor, a round each.
struct Measured {
    peer: &'static Peer,
    rounds: Vec<Values>,
}

/// Builds and installs what is needed.
pub(crate) fn prepare(bench: &mut Bench) -> Result<()> {
    install::everything(bench.peers).map(drop)
}

/// `supervise-processes`: start, size, idleness, restart, stop, output.
pub(crate) fn all_processes(bench: &mut Bench) -> Result<Outcome> {
    let measured = processes(bench, &install::everything(bench.peers)?)?;
    let data = table::json(&measured);
    Ok(Outcome::Text { markdown: table::processes(&measured), data })
}

/// `supervise-requests`: requests while the backend is restarted and killed.
pub(crate) fn all_requests(bench: &mut Bench) -> Result<Outcome> {
    let outcomes = requests::prepare(&install::everything(bench.peers)?)?.run(RESTARTS)?;
    let data = outcomes.iter().map(requests::Outcome::json).collect();
    Ok(Outcome::Text { markdown: table::requests(&outcomes), data })
}

fn processes(bench: &mut Bench, folders: &[PathBuf]) -> Result<Vec<Measured>> {
    let mut all: Vec<Measured> = Vec::new();
    for peer in &PEERS {
        if !bench.wants(peer.name) || !takes_part(bench, peer) {
            continue;
        }
        let missing = peer.programs().iter().find(|name| peer::find(name, folders).is_none());
        match missing {
            Some(name) => bench.note(format!(
                "{} is left out: {name} is not installed ({})",
                peer.name, peer.remedy
            )),
            None => all.push(Measured { peer, rounds: Vec::new() }),
        }
    }
    for round in 1..=bench.rounds {
        for one in &mut all {
            run::check()?;
            let what = format!("{}, round {round} of {}", one.peer.name, bench.rounds);
            let values = progress::step(&what, || {
                figures::measure(one.peer, &folders_of(bench, one.peer, folders))
            });
            match values {
                Ok(values) => one.rounds.push(values),
                Err(error) if error.is::<run::Interrupted>() => return Err(error),
                // A peer that does not keep up is a result, too.
                Err(error) => bench.note(format!("{}: {error:#}", one.peer.name)),
            }
        }
    }
    Ok(all)
}

/// Whether it was asked for: peers unless they are left out, a baseline when there is one.
fn takes_part(bench: &Bench, peer: &Peer) -> bool {
    match peer.name {
        BASELINE => bench.baseline.is_some(),
        _ => bench.peers || peer.name == PEERS[0].name,
    }
}

/// The folders that hold its programs beside `PATH`.
fn folders_of(bench: &Bench, peer: &Peer, folders: &[PathBuf]) -> Vec<PathBuf> {
    match &bench.baseline {
        Some(baseline) if peer.name == BASELINE => vec![baseline.bin()],
        _ => folders.to_vec(),
    }
}

/// The median of each figure over all rounds.
fn medians(rounds: &[Values]) -> Values {
    let mut middle = [None; FIGURES.len()];
    for (index, value) in middle.iter_mut().enumerate() {
        let all: Vec<f64> = rounds.iter().filter_map(|round| round[index]).collect();
        *value = median(&all);
    }
    middle
}
