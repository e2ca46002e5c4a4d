//! Programs of this workspace that are compiled when they are first asked for.

use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};
use xshell::cmd;

use crate::commands::build::{LISTED, folder_of};
use crate::{progress, run};

/// Compiles the program `name` and returns its path; `what` is shown meanwhile.
pub(crate) fn compiled(what: &str, name: &str) -> Result<PathBuf> {
    progress::quiet_step(what, || {
        let shell = run::shell()?;
        // Without a package's name, as xtask itself: what both share is compiled once.
        let build = cmd!(shell, "cargo build --quiet --locked --bin {name} {LISTED...}");
        Ok(folder_of(&run::output(what, build)?)?.join(name))
    })
}

/// Compiles the program `name` and becomes it, with the arguments of this process
/// after the name of its command.
pub(crate) fn replace_self(what: &str, name: &str) -> Result<()> {
    let program = compiled(what, name)?;
    let error = Command::new(&program).args(std::env::args_os().skip(2)).exec();
    Err(error).with_context(|| format!("cannot start {}", program.display()))
}
