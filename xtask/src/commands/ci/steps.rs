//! The table of checks. A step brings what it needs itself, so each can be run
//! alone.

use anyhow::Result;
use xshell::cmd;

use super::schedule::Lane;
use super::{dev_loop, docker, docs, e2e, image, kubernetes, locks, stray};
use crate::commands::{build, codegen, fmt, model};
use crate::tools::{nextest, node, postgres, python};
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
    /// Fails with a message that shows what is wrong.
    pub(crate) run: fn() -> Result<()>,
}

const fn step(
    name: &'static str,
    lane: Lane,
    quick: bool,
    about: &'static str,
    run: fn() -> Result<()>,
) -> Step {
    Step { name, about, lane, quick, run }
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
        "clippy has nothing to say about the workspace, tests included",
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
        "ruff has nothing to say about the backend",
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
    step(
        "console-lint",
        Lane::Console,
        true,
        "eslint has nothing to say about the console",
        || npm("lint the console", "lint"),
    ),
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
        "paths, ports and sockets stand in docker/santa.toml only",
        stray::check,
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
        "kubernetes",
        Lane::Text,
        false,
        "docker/k8s is valid by the schemas of Kubernetes",
        kubernetes::check,
    ),
    step("codegen", Lane::Console, false, "generated files are fresh", codegen::check),
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
        "the image is made and holds what is promised of its files",
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
    let nextest = nextest::bring()?;
    let shell = run::shell()?;
    let test = cmd!(
        shell,
        "{nextest} nextest run --locked --workspace --no-fail-fast --status-level fail --final-status-level fail"
    );
    run::output("test the Rust crates", test).map(drop)
}

fn backend_lint() -> Result<()> {
    let python = python::bring()?;
    let shell = run::shell_in(&repo::path("backend"))?;
    run::output("lint the backend", cmd!(shell, "{python} -m ruff check .")).map(drop)
}

fn backend_types() -> Result<()> {
    let python = python::bring()?;
    let shell = run::shell_in(&repo::path("backend"))?;
    run::output("check the backend's types", cmd!(shell, "{python} -m mypy")).map(drop)
}

fn backend_test() -> Result<()> {
    let python = python::bring()?;
    let shell = run::shell_in(&repo::path("backend"))?;
    shell.set_var("SANTA_PG_BIN", postgres::bring()?);
    run::output(
        "test the backend",
        cmd!(shell, "{python} -m pytest -q -n 2 --ignore=tests/docker --ignore=tests/e2e --ignore=tests/image"),
    )
    .map(drop)
}

fn npm(what: &str, script: &str) -> Result<()> {
    let node = node::bring()?;
    node.console_packages()?;
    node.npm(what, &repo::path("frontend"), &["run", "--silent", script]).map(drop)
}
