//! `cargo xtask bench`: load beside the peers on this machine, in the same run.
//!
//! A scenario is a line in [`scenario::SCENARIOS`]: a name, a sentence, and a
//! function in the file of its subject (`proxy/`, `fleet/`, …) that takes a
//! [`scenario::Bench`] and gives [`table::Case`]s (or, as [`supervise`], a text
//! of its own form). To write one:
//!
//! 1. Start what is compared as [`subject::Subject`]s (processes with all
//!    their children; CPU time and memory are read from `/proc`).
//! 2. Call [`scenario::Bench::alternate`] with a closure that measures one
//!    subject once and returns a [`table::Sample`]: values by
//!    [`table::Metric`]. It alternates (A B A B …) over the rounds.
//! 3. Load comes from [`load`], which runs `santa-load` (`xtask/load/`).
//!
//! The first subject of a case is the one that the others are compared with:
//! ratios are those of medians. [`report`] writes Markdown, SVG and JSON.

mod baseline;
mod child;
mod container;
mod fleet;
mod load;
mod machine;
mod owner;
mod peers;
mod plot;
mod proxy;
mod report;
mod scenario;
mod subject;
mod supervise;
mod table;

use std::process::ExitCode;

use anyhow::{Result, bail, ensure};
use clap::Parser as _;
use scenario::{Bench, SCENARIOS, Scenario};
use xtask::commands::bench::Args;
use xtask::{Engines, progress, repo, run, terminal};

/// Measures the parts of SantaServer beside their peers.
#[derive(clap::Parser)]
#[command(name = "cargo xtask bench", bin_name = "cargo xtask bench")]
struct Cli {
    #[command(flatten)]
    args: Args,
}

fn main() -> ExitCode {
    xtask::part(Engines::Own, || run(&Cli::parse().args))
}

/// Measures and reports.
fn run(args: &Args) -> Result<()> {
    if args.list {
        for Scenario { name, about, .. } in SCENARIOS {
            terminal::output(format_args!("{name:<20} {about}"));
        }
        return Ok(());
    }
    ensure!(args.seconds.is_finite() && args.seconds > 0.0, "--seconds must be above 0");
    let chosen = choose(&args.scenarios)?;
    run::catch_interrupts()?;
    let mut bench = Bench::prepare(args)?;
    for scenario in &chosen {
        (scenario.prepare)(&mut bench)?;
    }
    if args.prepare {
        return Ok(());
    }
    let machine = machine::Machine::look()?;
    let (mut sections, mut failures) = (Vec::new(), Vec::new());
    for scenario in chosen {
        run::check()?;
        // What the others have measured is not thrown away.
        match (scenario.run)(&mut bench) {
            Ok(outcome) => {
                let Scenario { name, about, .. } = *scenario;
                sections.push(report::Section { name, about, outcome });
            }
            Err(error) => failures.push(format!("{} did not run: {error:#}", scenario.name)),
        }
    }
    let cases = sections.iter().flat_map(report::Section::cases);
    failures.extend(cases.flat_map(table::Case::failures));
    let load_after = machine::load_average();
    let notes = [bench.notes(), failures.clone()].concat();
    let report = report::Report { machine, load_after, sections, notes };
    let folder = repo::dist("bench");
    let markdown = report.write(&folder, args.json.as_deref())?;
    terminal::output(format_args!("{markdown}"));
    progress::note(&format!("also in {}", repo::shown(&folder)));
    ensure!(failures.is_empty(), "{}", failures.join("\n"));
    Ok(())
}

/// The scenarios that these names stand for.
fn choose(names: &[String]) -> Result<Vec<&'static Scenario>> {
    if names.is_empty() {
        return Ok(SCENARIOS.iter().collect());
    }
    for name in names {
        if !SCENARIOS.iter().any(|scenario| scenario.is_called(name)) {
            let known: Vec<&str> = SCENARIOS.iter().map(|scenario| scenario.name).collect();
            bail!("there is no scenario {name:?}; there are: {}", known.join(", "));
        }
    }
    let wanted = |scenario: &&Scenario| names.iter().any(|name| scenario.is_called(name));
    Ok(SCENARIOS.iter().filter(wanted).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_stands_for_its_family() {
        let names = |given: &str| -> Vec<&str> {
            let chosen = choose(&[given.to_owned()]).expect("known");
            chosen.iter().map(|scenario| scenario.name).collect()
        };
        assert!(names("proxy").len() > 1);
        assert_eq!(names("proxy-static"), ["proxy-static"]);
        assert!(choose(&["prox".to_owned()]).is_err());
    }
}
