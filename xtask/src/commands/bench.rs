//! `cargo xtask bench`: its words are here; what they start is a program of its own
//! (`xtask/bench/`), so that nobody has to compile it who does not measure.

use std::path::PathBuf;

use anyhow::Result;

use crate::{program, run};

#[derive(clap::Args)]
#[command(after_help = "Examples:\n  cargo xtask bench --list\n  cargo xtask bench proxy\n  \
    cargo xtask bench proxy-static --seconds 1 --rounds 3\n  \
    git worktree add ../before HEAD~20 && cargo xtask bench proxy --alone --baseline ../before\n\n\
    Result: dist/bench/report.md, report.svg and report.json. Peers (nginx, HAProxy, Caddy, …) are installed\n\
    from the system's packages when that is possible and left out, with the command to get them, when not.")]
/// Benchmark the parts beside their peers on this machine
pub struct Args {
    /// Which scenarios; a name selects all that begin with it (none: all)
    #[arg(value_name = "SCENARIO")]
    pub scenarios: Vec<String>,
    /// List the scenarios
    #[arg(long)]
    pub list: bool,
    /// How long each measurement takes, in seconds
    #[arg(long, default_value_t = 2.0, value_name = "N")]
    pub seconds: f64,
    /// How often each subject is measured; the median counts
    #[arg(long, default_value_t = 5, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub rounds: u32,
    /// Also write the figures to this file
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// Only cases (supervise: supervisors) whose name contains this
    #[arg(long, value_name = "TEXT")]
    pub case: Option<String>,
    /// Build and install what is needed, without measuring
    #[arg(long)]
    pub prepare: bool,
    /// Without the peers
    #[arg(long)]
    pub alone: bool,
    /// A checkout of an earlier commit, measured in turn with this one (proxy, supervise, sync, events)
    #[arg(long, value_name = "CHECKOUT")]
    pub baseline: Option<PathBuf>,
}

/// Compiles the benchmarks and becomes them.
pub(crate) fn run() -> Result<()> {
    run::catch_interrupts()?;
    program::replace_self("compile the benchmarks", "santa-bench")
}
