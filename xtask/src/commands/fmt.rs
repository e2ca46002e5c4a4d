//! `cargo xtask fmt`: all formatters over all sources.

use anyhow::Result;
use xshell::cmd;

use crate::tools::{node, python};
use crate::{repo, run};

#[derive(clap::Args)]
#[command(after_help = "Example:\n  cargo xtask fmt && git diff")]
/// Format all sources: Rust, Python, the console
pub(crate) struct Args {
    /// Change nothing; fail when something is not formatted
    #[arg(long)]
    check: bool,
}

/// Runs rustfmt, ruff and prettier.
pub(crate) fn run(args: &Args) -> Result<()> {
    run::catch_interrupts()?;
    let made = [rust(args.check), backend(args.check), console(args.check)];
    made.into_iter().collect()
}

/// rustfmt over the workspace.
pub(crate) fn rust(check: bool) -> Result<()> {
    let shell = run::shell()?;
    let flags: &[&str] = if check { &["--check"] } else { &[] };
    run::output("format the Rust sources", cmd!(shell, "cargo fmt --all {flags...}")).map(drop)
}

/// ruff over the backend.
pub(crate) fn backend(check: bool) -> Result<()> {
    let python = python::ensure_installed()?;
    let shell = run::shell_in(&repo::path("backend"))?;
    let flags: &[&str] = if check { &["--check", "--diff"] } else { &[] };
    run::output("format the backend", cmd!(shell, "{python} -m ruff format --quiet {flags...} ."))
        .map(drop)
}

/// prettier over the console.
pub(crate) fn console(check: bool) -> Result<()> {
    let node = node::ensure_installed()?;
    node.console_packages()?;
    let frontend = repo::path("frontend");
    let flag = if check { "--check" } else { "--write" };
    node.npm(
        "format the console",
        &frontend,
        &["exec", "--", "prettier", "--log-level=warn", flag, "."],
    )
    .map(drop)
}
