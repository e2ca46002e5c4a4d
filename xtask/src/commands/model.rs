//! `cargo xtask model`: simulated Macs whose connections break at any byte, held
//! to a plain model of what they should have. The model is backend/tests/model;
//! here its parts are installed: Python, PostgreSQL, santa-proxy.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Result;
use clap::ValueEnum;
use xshell::{Cmd, Shell, cmd};

use super::build;
use super::ci::steps;
use crate::tools::{postgres, python};
use crate::{repo, run};

/// Machine-syncs of the check, a third through each way to the application.
const CHECKED: u64 = 3_000;

#[derive(clap::Args)]
#[command(after_help = "Examples:\n  cargo xtask model\n  cargo xtask model --syncs 1000000\n  \
    cargo xtask model --minutes 10 --seed 7000 --stack santa-proxy\n\n\
    Exit code 1 with the first Mac that has other rules than it should, or that the server wrongly calls\n\
    up to date: its history, the administrators', what the server knows, and the command to repeat it.")]
/// Run simulated Macs against the backend with injected faults, and check every Mac's rules
pub(crate) struct Args {
    /// Number of syncs
    #[arg(long, default_value_t = 100_000, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    syncs: u64,
    /// Start nothing new after this many minutes
    #[arg(long, value_name = "M")]
    minutes: Option<f64>,
    /// Random seed; each further thousand syncs uses the next one
    #[arg(long, default_value_t = 1, value_name = "S")]
    seed: u64,
    /// What the syncs go through; several alternate (none: all)
    #[arg(long, value_name = "NAME")]
    stack: Vec<Stack>,
    /// How many processes run at the same time
    #[arg(long, default_value_t = 2, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    processes: u32,
}

/// What stands between Macs and PostgreSQL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Stack {
    /// The application, called in its process
    Application,
    /// The same behind uvicorn
    Uvicorn,
    /// uvicorn behind santa-proxy
    SantaProxy,
}

/// Runs the model with its progress on the terminal.
pub(crate) fn run(args: &Args) -> Result<()> {
    run::catch_interrupts()?;
    let shell = shell()?;
    run::shown("check every Mac's rules", command(&shell, args)?)
}

/// The check: a few thousand syncs through everything.
pub(crate) fn check() -> Result<()> {
    let args = Args { syncs: CHECKED, minutes: None, seed: 1, stack: Vec::new(), processes: 2 };
    let shell = shell()?;
    run::output("check every Mac's rules", command(&shell, &args)?).map(drop)
}

/// A step of the long checks: a seed that no earlier run had, until the time is over.
pub(crate) fn search(time: Duration) -> Result<()> {
    let args = Args {
        syncs: u64::from(u32::MAX),
        minutes: Some(time.as_secs_f64() / 60.0),
        seed: steps::seed(),
        stack: Vec::new(),
        processes: 2,
    };
    let shell = shell()?;
    run::output("check every Mac's rules", command(&shell, &args)?).map(drop)
}

fn shell() -> Result<Shell> {
    let shell = run::shell_in(&repo::path("backend"))?;
    shell.set_var("SANTA_PG_BIN", postgres::ensure_installed()?);
    Ok(shell)
}

fn command<'a>(shell: &'a Shell, args: &Args) -> Result<Cmd<'a>> {
    let python = python::ensure_installed()?;
    let proxied = args.stack.is_empty() || args.stack.contains(&Stack::SantaProxy);
    let proxy =
        if proxied { Some(build::programs(false, None)?.join("santa-proxy")) } else { None };
    let words = words(args, proxy);
    Ok(cmd!(shell, "{python} -m tests.model {words...}"))
}

/// The words that the Python program takes.
fn words(args: &Args, proxy: Option<PathBuf>) -> Vec<OsString> {
    let mut words = vec![
        format!("--syncs={}", args.syncs).into(),
        format!("--seed={}", args.seed).into(),
        format!("--processes={}", args.processes).into(),
    ];
    words.extend(args.minutes.map(|minutes| format!("--minutes={minutes}").into()));
    let names = args.stack.iter().filter_map(ValueEnum::to_possible_value);
    words.extend(names.map(|name| format!("--stack={}", name.get_name()).into()));
    words
        .extend(proxy.into_iter().flat_map(|program| ["--proxy".into(), program.into_os_string()]));
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_chosen_reaches_the_model() {
        let args = Args {
            syncs: 5,
            minutes: Some(1.5),
            seed: 7,
            stack: vec![Stack::Uvicorn, Stack::SantaProxy],
            processes: 1,
        };
        let wanted = [
            "--syncs=5",
            "--seed=7",
            "--processes=1",
            "--minutes=1.5",
            "--stack=uvicorn",
            "--stack=santa-proxy",
            "--proxy",
            "/p",
        ];
        assert_eq!(words(&args, Some("/p".into())), wanted);
    }
}
