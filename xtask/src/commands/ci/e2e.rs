//! The whole chain on real parts: the built binaries and console, PostgreSQL, a
//! browser and a simulated Mac. The tests are in backend/tests/e2e; here the
//! environment is started for them and stopped again, and nothing may be left.

use std::fs;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use xshell::cmd;

use crate::commands::{build, dev::setup};
use crate::layout::{Database, DevEnvironment, Layout, Source};
use crate::supervisor::Supervisor;
use crate::tools::{browser, node, postgres, promtool, python};
use crate::{files, ports, private, repo, run};

/// Longest the chain may take to answer.
const READY_DEADLINE: Duration = Duration::from_secs(90);

/// Starts the environment, runs the tests, stops it.
pub(crate) fn run() -> Result<()> {
    let layout = prepare()?;
    let environment = layout.write()?;
    let log = layout.home.join("services.log");
    let output = private::log(&log)?;
    let mut supervisor = Supervisor::start_into(&environment, &layout.bin, Stdio::from(output))?;
    let result = supervisor
        .wait_until_ready(&environment, READY_DEADLINE)
        .and_then(|()| tests(&layout, &environment));
    let stopped = supervisor.stop();
    result.with_context(|| {
        format!("last lines of {}:\n{}", repo::shown(&log), run::tail(&files::text(&log)))
    })?;
    stopped?;
    nothing_left(&layout, &environment)?;
    no_secrets(&log, &layout.home.join("artifacts/secrets.json"))
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

fn prepare() -> Result<Layout> {
    browser::ensure_installed()?;
    python::ensure_installed()?;
    let bin = postgres::ensure_installed()?;
    let programs = setup::binaries()?;
    build::console()?;
    let home = repo::dev("e2e");
    files::remove(&home)?;
    fs::create_dir_all(&home)?;
    // A copy of its own: a journey puts another console in its place.
    let www = home.join("www");
    build::copy_sources(&repo::dist("www"), &www)?;
    let layout = Layout {
        home,
        port: ports::in_a_row(3)?,
        bin: programs,
        console: Source::Built(www),
        database: Database::Embedded(bin),
    };
    setup::database(&layout)?;
    Ok(layout)
}

fn tests(layout: &Layout, environment: &DevEnvironment) -> Result<()> {
    let (python, browser) = (python::interpreter(), browser::ensure_installed()?);
    let node = node::ensure_installed()?;
    node.provider_packages()?;
    let shell = run::shell_in(&repo::path("backend"))?;
    shell.set_var("SANTA_E2E_CREDENTIALS", layout.home.join("credentials.json"));
    shell.set_var("SANTA_E2E_BROWSER", browser);
    shell.set_var("SANTA_NODE", node.program());
    if let Some(promtool) = promtool::ensure_installed()? {
        shell.set_var("SANTA_PROMTOOL", promtool);
    }
    shell.set_var("SANTA_E2E_SUPERVISE", layout.bin.join("santa-supervise"));
    shell.set_var("SANTA_E2E_CONFIG", &environment.file);
    shell.set_var("SANTA_E2E_WWW", &environment.config.paths.www);
    shell.set_var("SANTA_E2E_ARTIFACTS", layout.home.join("artifacts"));
    run::output(
        "run the end-to-end tests",
        cmd!(shell, "{python} -m pytest -q --tb=short --no-header -p no:xdist tests/e2e"),
    )
    .map(drop)
}

/// No process answers any more and no socket is left.
fn nothing_left(layout: &Layout, environment: &DevEnvironment) -> Result<()> {
    for address in layout.addresses() {
        if !ports::free(address) {
            run::check()?;
            bail!("{address} is still taken after the stop");
        }
    }
    let control = &environment.config.supervisor.control_socket;
    if UnixStream::connect(control).is_ok() || control.exists() {
        bail!("{} is still there after the stop", control.display());
    }
    if postgres::running(&layout.cluster()).is_some() {
        bail!("PostgreSQL still runs after the stop");
    }
    Ok(())
}
