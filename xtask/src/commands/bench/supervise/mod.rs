//! `cargo xtask bench supervise`: santa-supervise beside the supervisors that
//! people use, on this machine, in turn. What is measured is in `figures.rs`,
//! requests during restarts in `requests.rs`.

mod figures;
mod install;
mod load;
mod peer;
mod process;
mod requests;
mod site;
mod table;

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};
use serde_json::json;

use self::figures::{FIGURES, Values};
use self::peer::{PEERS, Peer};
use crate::{progress, repo, run};

#[derive(clap::Args)]
#[command(after_help = "Examples:\n  cargo xtask bench supervise\n  \
    cargo xtask bench supervise --rounds 1 --only santa-supervise --only runit\n\n\
    Result: dist/bench/supervise.md and dist/bench/supervise.json")]
/// Measure santa-supervise beside supervisord, s6, runit, circus and Horust
pub(crate) struct Args {
    /// How often each is measured, in turn
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=50))]
    rounds: u32,
    /// Only these supervisors (may be given several times)
    #[arg(long, value_name = "NAME", value_parser = PEERS.map(|peer| peer.name))]
    only: Vec<String>,
    /// Only one half of the work
    #[arg(long, value_enum)]
    part: Option<Part>,
    /// Rolling restarts in the second half
    #[arg(long, default_value_t = 50)]
    restarts: u32,
    /// Build and install what is needed, and measure nothing
    #[arg(long)]
    prepare: bool,
}

/// The two halves of the work.
#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Part {
    /// Processes: start, size, idleness, restart, stop, output
    Processes,
    /// Requests while the backend is restarted and killed
    Requests,
}

/// All values of one supervisor, a round each.
struct Measured {
    peer: &'static Peer,
    rounds: Vec<Values>,
}

/// Brings everything, measures, writes the tables.
pub(crate) fn run(args: &Args) -> Result<()> {
    run::catch_interrupts()?;
    let wants = |part| args.part.is_none_or(|only| only == part);
    let folders = install::everything()?;
    let chain = wants(Part::Requests).then(|| requests::prepare(&folders)).transpose()?;
    if args.prepare {
        return Ok(());
    }
    let mut text = String::new();
    let mut found = json!({});
    if wants(Part::Processes) {
        let measured = processes(args, &folders)?;
        text += &table::processes(&measured);
        found["processes"] = table::json(&measured);
    }
    if let Some(chain) = chain {
        let outcomes = chain.run(args.restarts)?;
        text += &table::requests(&outcomes);
        found["requests"] = outcomes.iter().map(requests::Outcome::json).collect();
    }
    let folder = repo::dist("bench");
    fs::create_dir_all(&folder)?;
    let (page, data) = (folder.join("supervise.md"), folder.join("supervise.json"));
    fs::write(&page, &text).with_context(|| format!("cannot write {}", repo::shown(&page)))?;
    fs::write(&data, format!("{found:#}\n"))?;
    println!("{text}");
    progress::note(&format!("{} and {}", repo::shown(&page), repo::shown(&data)));
    Ok(())
}

fn processes(args: &Args, folders: &[PathBuf]) -> Result<Vec<Measured>> {
    let wanted =
        |peer: &&Peer| args.only.is_empty() || args.only.iter().any(|name| name == peer.name);
    let mut all: Vec<Measured> = Vec::new();
    for peer in PEERS.iter().filter(wanted) {
        let missing = peer.programs().iter().find(|name| peer::find(name, folders).is_none());
        match missing {
            Some(name) => progress::warn(&format!(
                "{} is left out: {name} is not installed ({})",
                peer.name, peer.remedy
            )),
            None => all.push(Measured { peer, rounds: Vec::new() }),
        }
    }
    for round in 1..=args.rounds {
        for one in &mut all {
            run::check()?;
            let what = format!("{}, round {round} of {}", one.peer.name, args.rounds);
            let values = progress::step(&what, || figures::measure(one.peer, folders));
            match values {
                Ok(values) => one.rounds.push(values),
                Err(error) if error.is::<run::Interrupted>() => return Err(error),
                // A peer that does not keep up is a result, too.
                Err(error) => progress::warn(&format!("{}: {error:#}", one.peer.name)),
            }
        }
    }
    Ok(all)
}

/// The middle of some values; none of none.
fn median(values: &[f64]) -> Option<f64> {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => None,
        length if length % 2 == 1 => Some(values[middle]),
        _ => Some(f64::midpoint(values[middle - 1], values[middle])),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle() {
        assert_eq!(median(&[]), None);
        assert_eq!(median(&[3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), Some(2.5));
    }
}
