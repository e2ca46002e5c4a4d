//! `cargo xtask soak`: the whole chain under load while faults happen. The load, the
//! faults and the judgement are backend/tests/soak; here the chain is started.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Result;
use xshell::{Cmd, cmd};

use super::build;
use super::ci::steps;
use super::ci::whole_chain::WholeChain;
use crate::tools::python;
use crate::{program, progress, repo, run};

#[derive(clap::Args)]
#[command(after_help = "Examples:\n  cargo xtask soak\n  cargo xtask soak --minutes 180\n  \
    cargo xtask soak --minutes 5 --seed 7\n\n\
    Result: dist/soak/report.md. Exit code 1 when an acknowledged write is lost, a Mac has wrong rules, the audit\n\
    log does not verify, a request fails that no fault explains, the server recovers too late, or a process leaks.")]
/// Run the whole server under load with random faults, and check that nothing is lost and nothing leaks
pub(crate) struct Args {
    /// How long, but at least nine cycles
    #[arg(long, default_value_t = 10.0, value_name = "M", value_parser = minutes)]
    minutes: f64,
    /// Random seed: which faults happen, to whom, in which order (none: another one each time)
    #[arg(long, value_name = "S")]
    seed: Option<u64>,
}

fn minutes(text: &str) -> Result<f64, String> {
    let minutes: f64 = text.parse().map_err(|_| "not a number of minutes".to_owned())?;
    if minutes.is_finite() && minutes > 0.0 {
        Ok(minutes)
    } else {
        Err("must be above 0".to_owned())
    }
}

/// Runs it with its progress on the terminal.
pub(crate) fn run(args: &Args) -> Result<()> {
    run::catch_interrupts()?;
    soak(args, |command| run::shown("soak the server", command))
}

/// A step of the long checks: a seed that no earlier run had, until the time is over.
pub(crate) fn search(time: Duration) -> Result<()> {
    let args = Args { minutes: time.as_secs_f64() / 60.0, seed: None };
    soak(&args, |command| run::output("soak the server", command).map(drop))
}

fn soak(args: &Args, carry_out: impl FnOnce(Cmd<'_>) -> Result<()>) -> Result<()> {
    // What is endured is what is shipped.
    let programs = progress::step("optimized programs", || build::programs(true, None))?;
    let chain = WholeChain::prepare("soak", Some(programs))?;
    let load = program::compiled("compile the load generator", "santa-load")?;
    let python = python::interpreter();
    let words = words(args, args.seed.unwrap_or_else(steps::seed));
    let work = |environment: &_| {
        let shell = chain.shell(environment)?;
        shell.set_var("SANTA_LOAD", &load);
        carry_out(cmd!(shell, "{python} -m tests.soak {words...}"))
    };
    chain.run(work).map(drop)
}

/// The words that the Python program takes.
fn words(args: &Args, seed: u64) -> Vec<String> {
    let report: PathBuf = repo::dist("soak/report.md");
    vec![
        format!("--minutes={}", args.minutes),
        format!("--seed={seed}"),
        format!("--report={}", report.display()),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_chosen_reaches_the_soak() {
        let words = words(&Args { minutes: 0.5, seed: None }, 9);
        assert_eq!(words[..2], ["--minutes=0.5", "--seed=9"]);
        assert!(words[2].ends_with("soak/report.md"));
        for wrong in ["0", "-1", "inf", "ten"] {
            assert!(minutes(wrong).is_err(), "{wrong}");
        }
    }
}
