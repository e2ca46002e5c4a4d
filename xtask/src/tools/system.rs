//! Packages of the system, for what no registry of packages has: the browser
//! and the container engine of the tests.

use std::path::Path;
use std::sync::{Mutex, PoisonError};

use anyhow::Result;
use xshell::cmd;

use crate::{progress, run};

/// Whether packages can be installed here: it takes root and apt.
pub fn installs() -> bool {
    rustix::process::geteuid().is_root() && Path::new("/usr/bin/apt-get").exists()
}

/// Installs packages; `what` is how people call them.
pub fn install(what: &str, packages: &[&str]) -> Result<()> {
    // apt refuses a second one at the same time.
    static ONE: Mutex<()> = Mutex::new(());
    let _alone = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    progress::step(&format!("{what} (system packages)"), || {
        let shell = run::shell()?;
        shell.set_var("DEBIAN_FRONTEND", "noninteractive");
        run::output("refresh the list of system packages", cmd!(shell, "apt-get update -qq"))?;
        let options = ["-qq", "-y", "--no-install-recommends", "-o", "Dpkg::Use-Pty=0"];
        let install = cmd!(shell, "apt-get install {options...} {packages...}");
        run::output(&format!("install {what}"), install).map(drop)
    })
}
