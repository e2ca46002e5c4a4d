//! Installs the peers: packages of the system, of Python, of Rust. What cannot be
//! had is reported later, by whoever looks for it.

use std::path::PathBuf;

use anyhow::Result;
use xshell::cmd;
use xtask::commands::build;
use xtask::tools::{system, uv};
use xtask::{cache, files, progress, repo, run};

/// Peers that Debian has, with a program of theirs.
const PACKAGES: [(&str, &str); 3] =
    [("supervisor", "supervisord"), ("s6", "s6-svscan"), ("runit", "runsvdir")];

/// The newest Horust when this was written.
const HORUST: &str = "0.1.13";

/// Installs ours, and the peers when they take part; the folders that hold programs
/// beside `PATH`.
pub(super) fn everything(peers: bool) -> Result<Vec<PathBuf>> {
    let own = progress::step("santa-supervise and santa-proxy, as shipped", || {
        build::programs(true, None)
    })?;
    if !peers {
        return Ok(vec![own]);
    }
    let missing: Vec<&str> = PACKAGES
        .iter()
        .filter(|(_, program)| run::find(program).is_none())
        .map(|(package, _)| *package)
        .collect();
    if !missing.is_empty() && system::installs() {
        noted(system::install("peers", &missing))?;
    }
    noted(circus())?;
    noted(horust())?;
    Ok(vec![own, repo::dev("tools/circus/bin"), repo::dev("tools/horust/bin")])
}

/// A peer that cannot be installed must not end the work.
fn noted(result: Result<()>) -> Result<()> {
    match result {
        Err(error) if !error.is::<run::Interrupted>() => {
            progress::warn(&format!("{error:#}"));
            Ok(())
        }
        other => other,
    }
}

fn circus() -> Result<()> {
    let folder = repo::dev("tools/circus");
    let requirements = repo::path("xtask/tools/circus.txt");
    cache::folder("circus", &folder, "bin/python", &[files::text(&requirements)], |partial| {
        let tool = uv::ensure_installed()?;
        let (shell, uv, python) = (tool.shell()?, tool.program(), &tool.python);
        let venv = cmd!(
            shell,
            "{uv} venv --quiet --clear --relocatable --no-python-downloads --python {python} {partial}"
        );
        run::output("make the environment of circus", venv)?;
        let target = partial.join("bin/python");
        let sync = cmd!(
            shell,
            "{uv} pip sync --quiet --require-hashes --compile-bytecode --link-mode copy
             --python {target} {requirements}"
        );
        run::output("install circus", sync).map(drop)
    })
}

fn horust() -> Result<()> {
    let folder = repo::dev("tools/horust");
    cache::folder("Horust", &folder, "bin/horust", &[HORUST.to_owned()], |partial| {
        let shell = run::shell()?;
        let install = cmd!(
            shell,
            "cargo install --quiet --locked --version {HORUST} --root {partial} horust"
        );
        run::output("install Horust from crates.io", install).map(drop)
    })
}
