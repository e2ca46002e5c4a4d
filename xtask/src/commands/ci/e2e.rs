//! The whole chain on real parts: the built binaries and console, PostgreSQL, a
//! browser and a simulated Mac. The tests are in backend/tests/e2e; here the
//! environment is started for them and stopped again, and nothing may be left.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use xshell::cmd;

use super::whole_chain::WholeChain;
use crate::layout::DevEnvironment;
use crate::tools::{browser, node, promtool, python};
use crate::{repo, run};

/// Starts the environment, runs the tests, stops it.
pub(crate) fn run() -> Result<()> {
    browser::ensure_installed()?;
    let chain = WholeChain::prepare("e2e", None)?;
    let log = chain.run(|environment| tests(&chain, environment))?;
    no_secrets(&log, &chain.layout.home.join("artifacts/secrets.json"))
}

/// None of the secrets that the tests used stands in what any part wrote.
fn no_secrets(log: &Path, used: &Path) -> Result<()> {
    let used = fs::read_to_string(used).context("the tests did not say which secrets they used")?;
    let used: Vec<String> = serde_json::from_str(&used)?;
    let written = fs::read(log).with_context(|| format!("cannot read {}", repo::shown(log)))?;
    let written = String::from_utf8_lossy(&written);
    ensure!(!used.is_empty() && !written.is_empty(), "there are no secrets, or no log to check");
    let shown = |line: &&str| used.iter().any(|secret| line.contains(secret));
    match written.lines().find(shown) {
        Some(line) => bail!("a secret is in {}:\n{line}", repo::shown(log)),
        None => Ok(()),
    }
}

fn tests(chain: &WholeChain, environment: &DevEnvironment) -> Result<()> {
    let (python, browser) = (python::interpreter(), browser::ensure_installed()?);
    let node = node::ensure_installed()?;
    node.provider_packages()?;
    let shell = chain.shell(environment)?;
    shell.set_var("SANTA_E2E_BROWSER", browser);
    shell.set_var("SANTA_NODE", node.program());
    if let Some(promtool) = promtool::ensure_installed()? {
        shell.set_var("SANTA_PROMTOOL", promtool);
    }
    shell.set_var("SANTA_E2E_WWW", &environment.config.paths.www);
    shell.set_var("SANTA_E2E_ARTIFACTS", chain.layout.home.join("artifacts"));
    run::output(
        "run the end-to-end tests",
        cmd!(shell, "{python} -m pytest -q --tb=short --no-header -p no:xdist tests/e2e"),
    )
    .map(drop)
}
