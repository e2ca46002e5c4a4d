//! promtool, which checks the alert rules and a scrape. Debian's package is unpacked and
//! not installed: it would start a Prometheus.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use xshell::cmd;

use super::system;
use crate::{files, progress, repo, run};

const NAME: &str = "promtool";
/// Debian's package that has it.
const PACKAGE: &str = "prometheus";

/// The program: the machine's own, or one that is unpacked where Debian's packages can be
/// fetched; elsewhere the tests that need it say so.
pub(crate) fn ensure_installed() -> Result<Option<PathBuf>> {
    if let Some(own) = run::find(NAME) {
        return Ok(Some(own));
    }
    let folder = repo::dev("tools/promtool");
    let program = folder.join("usr/bin").join(NAME);
    if !program.exists() {
        if !system::installs() {
            return Ok(None);
        }
        progress::step("promtool (system package, unpacked)", || unpack(&folder))?;
    }
    Ok(Some(program))
}

fn unpack(folder: &Path) -> Result<()> {
    let partial = folder.with_extension("partial");
    files::remove(&partial)?;
    std::fs::create_dir_all(&partial)?;
    let shell = run::shell_in(&partial)?;
    run::output("refresh the list of system packages", cmd!(shell, "apt-get update -qq"))?;
    let sandbox = ["-o", "APT::Sandbox::User=root"];
    run::output("fetch promtool", cmd!(shell, "apt-get download -qq {sandbox...} {PACKAGE}"))?;
    let archive = std::fs::read_dir(&partial)?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .find(|path| path.extension().is_some_and(|end| end == "deb"))
        .context("apt-get fetched no package")?;
    run::output("unpack promtool", cmd!(shell, "dpkg-deb -x {archive} ."))?;
    std::fs::remove_file(archive)?;
    files::remove(folder)?;
    std::fs::rename(&partial, folder).context("cannot move promtool to its place")
}
