//! The table of checks. A step installs what it needs itself, so each can be run
//! alone.

use std::time::{Duration, SystemTime};

use anyhow::Result;
use xshell::cmd;

use super::schedule::Lane;
use super::{
    dev_loop, docker, docs, e2e, image, kubernetes, layers, locks, migrations, previous_release,
    stray,
};
use crate::commands::{build, codegen, fmt, fuzz, model, soak};
use crate::tools::{nextest, node, pgbouncer, postgres, promtool, python};
use crate::{repo, run};

/// One check.
pub(crate) struct Step {
    /// Its name on the command line and in the table.
    pub(crate) name: &'static str,
    /// What it checks.
    pub(crate) about: &'static str,
    /// What it must not run beside.
    pub(crate) lane: Lane,
    /// Whether `--quick` runs it.
    pub(crate) quick: bool,
    /// What it does; fails with a message that shows what is wrong.
    pub(crate) work: Work,
}

/// What a step does.
#[derive(Clone, Copy)]
pub(crate) enum Work {
    /// A check that is over when it is done.
    Check(fn() -> Result<()>),
    /// A search that finds the more, the longer it is given.
    Search(fn(Duration) -> Result<()>),
}

/// Which steps run together when none is named.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Group {
    /// What must pass before every merge
    Usual,
    /// Searches for rare faults: fuzzers, the model and the soak, each for --minutes
    Long,
}

impl Work {
    /// Does it; a search takes `time`.
    pub(crate) fn run(self, time: Duration) -> Result<()> {
        match self {
            Self::Check(check) => check(),
            Self::Search(search) => search(time),
        }
    }
}

impl Step {
    /// The group that it runs with.
    pub(crate) fn group(&self) -> Group {
        match self.work {
            Work::Check(_) => Group::Usual,
            Work::Search(_) => Group::Long,
        }
    }
}

const fn step(
    name: &'static str,
    lane: Lane,
    quick: bool,
    about: &'static str,
    run: fn() -> Result<()>,
) -> Step {
    Step { name, about, lane, quick, work: Work::Check(run) }
}

const fn search(name: &'static str, about: &'static str, run: fn(Duration) -> Result<()>) -> Step {
    Step { name, about, lane: Lane::Whole, quick: false, work: Work::Search(run) }
}

/// All checks, in the order in which they begin.
pub(crate) const STEPS: &[Step] = &[
    step("rust-format", Lane::Rust, true, "rustfmt agrees with the Rust sources", || {
        fmt::rust(true)
    }),
    step(
        "clippy",
        Lane::Rust,
        true,
        "clippy finds nothing in the workspace, tests included",
        clippy,
    ),
    step(
        "rust-test",
        Lane::Rust,
        false,
        "unit, property and integration tests of the Rust crates",
        rust_test,
    ),
    step(
        "backend-format",
        Lane::Backend,
        true,
        "ruff agrees with the format of the backend",
        || fmt::backend(true),
    ),
    step(
        "backend-lint",
        Lane::Backend,
        true,
        "ruff finds nothing in the backend, and its folders import only what is below them",
        backend_lint,
    ),
    step(
        "backend-types",
        Lane::Backend,
        false,
        "the backend's types are right (mypy, strict)",
        backend_types,
    ),
    step(
        "backend-test",
        Lane::Backend,
        false,
        "the backend's tests on a real PostgreSQL",
        backend_test,
    ),
    step(
        "console-format",
        Lane::Console,
        true,
        "prettier agrees with the console's sources",
        || fmt::console(true),
    ),
    step("console-lint", Lane::Console, true, "eslint finds nothing in the console", || {
        npm("lint the console", "lint")
    }),
    step(
        "console-types",
        Lane::Console,
        false,
        "the console's types are right (svelte-check)",
        || npm("check the console's types", "check"),
    ),
    step("console-test", Lane::Console, false, "the console's unit tests", || {
        npm("test the console", "test")
    }),
    step("console-build", Lane::Console, false, "the console builds into dist/www", build::console),
    step(
        "stray",
        Lane::Text,
        true,
        "paths, ports and sockets are in docker/santa.toml only",
        stray::check,
    ),
    step(
        "layers",
        Lane::Text,
        true,
        "modules import only from the layers below them, and never in a circle",
        layers::check,
    ),
    step(
        "locks",
        Lane::Text,
        true,
        "lock files carry versions and hashes, and no registry addresses",
        locks::check,
    ),
    step(
        "docs",
        Lane::Text,
        true,
        "commands, paths and links named in the documentation exist",
        docs::check,
    ),
    step(
        "migrations",
        Lane::Text,
        true,
        "no migration locks a table for long or breaks the release before it (squawk)",
        migrations::check,
    ),
    step(
        "previous-release",
        Lane::Backend,
        false,
        "the release before passes its own sync tests on this schema",
        previous_release::check,
    ),
    step(
        "kubernetes",
        Lane::Text,
        false,
        "docker/k8s is valid against the schemas of Kubernetes",
        kubernetes::check,
    ),
    step("codegen", Lane::Console, false, "generated files are up to date", codegen::check),
    step(
        "dev",
        Lane::Loop,
        false,
        "the development loop starts, follows saved files without a failed request, and stops",
        dev_loop::run,
    ),
    step(
        "model",
        Lane::Whole,
        false,
        "simulated Macs whose connections break at any byte end with exactly their rules",
        model::check,
    ),
    step(
        "e2e",
        Lane::Whole,
        false,
        "the whole chain: real binaries, PostgreSQL, a browser and a simulated Mac",
        e2e::run,
    ),
    step(
        "image",
        Lane::Whole,
        false,
        "the image in podman: hardened, synced, restarted, stopped, attacked",
        image::run,
    ),
    step(
        "image-audit",
        Lane::Image,
        false,
        "the image is built and passes its audit",
        image::audit,
    ),
    step(
        "dockerfile",
        Lane::Image,
        false,
        "docker/Dockerfile makes the same image from nothing in Docker",
        docker::dockerfile,
    ),
    step(
        "docker",
        Lane::Docker,
        false,
        "the image in Docker: loaded, composed, deployed, rolled back",
        docker::run,
    ),
    search(
        "fuzz-parsers",
        "libFuzzer finds no input that breaks an invariant of santa-proxy's parsers",
        fuzz::search,
    ),
    search(
        "fuzz-rest",
        "no request that the OpenAPI document allows, or forbids, makes an endpoint crash",
        rest_search,
    ),
    search(
        "model-search",
        "simulated Macs and faults, another seed each time, end with exactly their rules",
        model::search,
    ),
    search(
        "soak",
        "the whole server under load and random faults loses nothing, recovers in time and leaks nothing",
        soak::search,
    ),
];

/// The names of all checks.
pub(crate) fn names() -> Vec<&'static str> {
    STEPS.iter().map(|step| step.name).collect()
}

fn clippy() -> Result<()> {
    let shell = run::shell()?;
    let clippy =
        cmd!(shell, "cargo clippy --quiet --locked --workspace --all-targets -- -D warnings");
    run::output("lint the Rust sources", clippy).map(drop)
}

fn rust_test() -> Result<()> {
    let nextest = nextest::ensure_installed()?;
    let shell = run::shell()?;
    let test = cmd!(
        shell,
        "{nextest} nextest run --locked --workspace --no-fail-fast --status-level fail --final-status-level fail"
    );
    run::output("test the Rust crates", test).map(drop)
}

fn backend_lint() -> Result<()> {
    let python = python::ensure_installed()?;
    let shell = run::shell_in(&repo::path("backend"))?;
    run::output("lint the backend", cmd!(shell, "{python} -m ruff check ."))?;
    let linter = "import importlinter.cli as cli; cli.lint_imports_command()";
    let layers = cmd!(shell, "{python} -c {linter} --no-cache --no-logo");
    run::output("check which of the backend's folders import which", layers).map(drop)
}

fn backend_types() -> Result<()> {
    let python = python::ensure_installed()?;
    let shell = run::shell_in(&repo::path("backend"))?;
    run::output("check the backend's types", cmd!(shell, "{python} -m mypy")).map(drop)
}

fn backend_test() -> Result<()> {
    let python = python::ensure_installed()?;
    pgbouncer::ensure_installed()?;
    let node = node::ensure_installed()?;
    node.provider_packages()?;
    let shell = run::shell_in(&repo::path("backend"))?;
    shell.set_var("SANTA_PG_BIN", postgres::ensure_installed()?);
    shell.set_var("SANTA_NODE", node.program());
    if let Some(promtool) = promtool::ensure_installed()? {
        shell.set_var("SANTA_PROMTOOL", promtool);
    }
    run::output(
        "test the backend",
        cmd!(shell, "{python} -m pytest -q -n 3 --ignore=tests/docker --ignore=tests/e2e --ignore=tests/image"),
    )
    .map(drop)
}

/// Processes that share the endpoints of the API.
const REST_WORKERS: f64 = 2.0;
/// Each endpoint is requested as an administrator, as a viewer and as nobody.
const REST_ROLES: f64 = 3.0;

/// Requests that differ from run to run; a failure prints the one that crashed.
fn rest_search(time: Duration) -> Result<()> {
    let python = python::ensure_installed()?;
    let shell = run::shell_in(&repo::path("backend"))?;
    let minutes = time.as_secs_f64() / 60.0 * REST_WORKERS / REST_ROLES;
    shell.set_var("FUZZ_MINUTES", minutes.to_string());
    shell.set_var("SANTA_PG_BIN", postgres::ensure_installed()?);
    let fuzz = cmd!(shell, "{python} -m pytest -q -n 2 tests/test_fuzz.py");
    run::output("fuzz the API", fuzz).map(drop)
}

/// A seed that no earlier run had: seconds since 1970.
pub(crate) fn seed() -> u64 {
    SystemTime::UNIX_EPOCH.elapsed().map_or(1, |time| time.as_secs())
}

fn npm(what: &str, script: &str) -> Result<()> {
    let node = node::ensure_installed()?;
    node.console_packages()?;
    node.npm(what, &repo::path("frontend"), &["run", "--silent", script]).map(drop)
}
