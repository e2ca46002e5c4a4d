//! What has to be there before anything can start, installed side by side: Rust
//! binaries, Python packages, Node and the console's packages, PostgreSQL.

use std::path::PathBuf;

use anyhow::{Result, anyhow};
use xshell::cmd;

use crate::commands::build::{LISTED, folder_of};
use crate::layout::{Database, Layout};
use crate::tools::{node, postgres, python, uv};
use crate::{private, progress, run};

/// What was installed.
pub(crate) struct Made {
    pub(crate) node: node::Node,
    /// Directory of PostgreSQL's programs, when they were asked for.
    pub(crate) postgres: Option<PathBuf>,
    /// Directory of santa-proxy and santa-supervise.
    pub(crate) bin: PathBuf,
}

/// Installs everything, in three lanes that do not wait for each other; all that
/// fails is reported together.
pub(crate) fn everything(embedded_database: bool) -> Result<Made> {
    uv::ensure_installed()?;
    let node = node::ensure_installed()?;
    std::thread::scope(|scope| {
        let packages = scope.spawn(|| node.console_packages());
        let postgres =
            scope.spawn(|| embedded_database.then(postgres::ensure_installed).transpose());
        let python = scope.spawn(python::ensure_installed);
        let binaries = binaries();
        let postgres = joined(postgres);
        let rest = [
            binaries.as_ref().map(drop).map_err(|error| anyhow!("{error:#}")),
            joined(packages),
            joined(python).map(drop),
        ];
        let errors: Vec<String> = rest
            .into_iter()
            .chain([postgres.as_ref().map(drop).map_err(|error| anyhow!("{error:#}"))])
            .filter_map(|result| result.err().map(|error| format!("{error:#}")))
            .collect();
        run::check()?;
        if errors.is_empty() {
            Ok(Made { node: node.clone(), postgres: postgres?, bin: binaries? })
        } else {
            Err(anyhow!(errors.join("\n")))
        }
    })
}

fn joined<T>(handle: std::thread::ScopedJoinHandle<'_, Result<T>>) -> Result<T> {
    handle.join().unwrap_or_else(|_| Err(anyhow!("a part of the set-up crashed")))
}

/// Builds the two binaries, says how long it took and returns their folder.
pub(crate) fn binaries() -> Result<PathBuf> {
    progress::step("compile santa-proxy and santa-supervise", build)
}

/// Builds the two binaries; cargo's output is shown only when it fails.
pub(crate) fn build() -> Result<PathBuf> {
    let shell = run::shell()?;
    // Without a package's name, so that dependencies get the features that the tests
    // of the whole workspace give them, and are compiled once.
    let programs = ["--bin", "santa-proxy", "--bin", "santa-supervise"];
    let build = cmd!(shell, "cargo build --quiet {programs...} {LISTED...}");
    folder_of(&run::output("build the Rust binaries", build)?)
}

/// Makes the cluster of an embedded database and the folder of its socket.
pub fn database(layout: &Layout) -> Result<()> {
    if let Database::Embedded(bin) = &layout.database {
        postgres::initialize(bin, &layout.cluster())?;
        postgres::forget_the_dead(&layout.cluster())?;
        private::folder(&layout.sockets())?;
    }
    Ok(())
}
