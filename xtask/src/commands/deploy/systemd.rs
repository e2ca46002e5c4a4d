//! systemd, which runs the containers of podman's Quadlet.

use anyhow::{Context, Result};
use xshell::cmd;

use crate::run;

/// Restarts a unit: the system's for root, else the user's own.
pub(super) fn restart(unit: &str) -> Result<()> {
    let shell = run::shell()?;
    let user = (!rustix::process::geteuid().is_root()).then_some("--user");
    let restart = cmd!(shell, "systemctl {user...} restart {unit}");
    run::output(&format!("restart {unit}"), restart).map(drop).with_context(|| {
        format!("systemd runs this container; `systemctl status {unit}` says more")
    })
}
