//! `cargo xtask bench`: figures, beside those of the peers.

pub(crate) mod supervise;

use anyhow::Result;

#[derive(clap::Args)]
#[command(after_help = "Example:\n  cargo xtask bench supervise")]
/// Measure the parts beside their peers
pub(crate) struct Args {
    #[command(subcommand)]
    scenario: Scenario,
}

#[derive(clap::Subcommand)]
enum Scenario {
    /// Measure santa-supervise beside supervisord, s6, runit, circus and Horust
    Supervise(supervise::Args),
}

/// Runs one scenario.
pub(crate) fn run(args: &Args) -> Result<()> {
    match &args.scenario {
        Scenario::Supervise(args) => supervise::run(args),
    }
}
