//! The whole chain on real parts: the built binaries and console, PostgreSQL, a
//! browser and a simulated Mac. The journeys are in backend/tests/e2e; here the
//! house is put up for them and taken down again, and nothing may be left.

use std::fs;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use xshell::cmd;

use crate::commands::{build, dev::setup};
use crate::layout::{Database, House, Plan, Source};
use crate::supervisor::Supervisor;
use crate::tools::{browser, postgres, python};
use crate::{ports, private, repo, run, stamp};

/// Longest the chain may take to answer.
const READY_DEADLINE: Duration = Duration::from_secs(90);

/// Puts the house up, runs the journeys, takes it down.
pub(crate) fn run() -> Result<()> {
    let plan = prepare()?;
    let house = plan.write()?;
    let log = plan.home.join("house.log");
    let output = private::log(&log)?;
    let mut supervisor = Supervisor::start_into(&house, &plan.bin, Stdio::from(output))?;
    let result =
        supervisor.wait_until_ready(&house, READY_DEADLINE).and_then(|()| journeys(&plan, &house));
    let stopped = supervisor.stop();
    result.with_context(|| {
        format!("last lines of {}:\n{}", repo::shown(&log), run::tail(&stamp::text(&log)))
    })?;
    stopped?;
    nothing_left(&plan, &house)?;
    no_secrets(&log, &plan.home.join("artifacts/secrets.json"))
}

/// None of the secrets that the journeys used stands in what any part wrote.
fn no_secrets(log: &Path, used: &Path) -> Result<()> {
    let used =
        fs::read_to_string(used).context("the journeys did not say which secrets they used")?;
    let used: Vec<String> = serde_json::from_str(&used)?;
    let written = fs::read(log).with_context(|| format!("cannot read {}", repo::shown(log)))?;
    let written = String::from_utf8_lossy(&written);
    ensure!(!used.is_empty() && !written.is_empty(), "there are no secrets or no log to look at");
    let shown = |line: &&str| used.iter().any(|secret| line.contains(secret));
    match written.lines().find(shown) {
        Some(line) => bail!("a secret stands in {}:\n{line}", repo::shown(log)),
        None => Ok(()),
    }
}

fn prepare() -> Result<Plan> {
    browser::bring()?;
    python::bring()?;
    let bin = postgres::bring()?;
    let programs = setup::binaries()?;
    build::console()?;
    let home = repo::dev("e2e");
    stamp::remove(&home)?;
    fs::create_dir_all(&home)?;
    // A copy of its own: a journey puts another console in its place.
    let www = home.join("www");
    build::copy_sources(&repo::dist("www"), &www)?;
    let plan = Plan {
        home,
        port: ports::in_a_row(3)?,
        bin: programs,
        console: Source::Built(www),
        database: Database::Embedded(bin),
    };
    setup::database(&plan)?;
    Ok(plan)
}

fn journeys(plan: &Plan, house: &House) -> Result<()> {
    let (python, browser) = (python::interpreter(), browser::bring()?);
    let shell = run::shell_in(&repo::path("backend"))?;
    shell.set_var("SANTA_E2E_CREDENTIALS", plan.home.join("credentials.json"));
    shell.set_var("SANTA_E2E_BROWSER", browser);
    shell.set_var("SANTA_E2E_SUPERVISE", plan.bin.join("santa-supervise"));
    shell.set_var("SANTA_E2E_CONFIG", &house.file);
    shell.set_var("SANTA_E2E_WWW", &house.config.paths.www);
    shell.set_var("SANTA_E2E_ARTIFACTS", plan.home.join("artifacts"));
    run::output(
        "pass the end-to-end journeys",
        cmd!(shell, "{python} -m pytest -q --tb=short --no-header -p no:xdist tests/e2e"),
    )
    .map(drop)
}

/// No process answers any more and no socket is left.
fn nothing_left(plan: &Plan, house: &House) -> Result<()> {
    for address in plan.addresses() {
        if !ports::free(address) {
            run::check()?;
            bail!("{address} is still taken after the stop");
        }
    }
    let control = &house.config.supervisor.control_socket;
    if UnixStream::connect(control).is_ok() || control.exists() {
        bail!("{} is still there after the stop", control.display());
    }
    if postgres::running(&plan.cluster()).is_some() {
        bail!("PostgreSQL still runs after the stop");
    }
    Ok(())
}
