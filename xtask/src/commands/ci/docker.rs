//! The image in Docker: `docker/Dockerfile` from nothing, and the tests in
//! backend/tests/docker. No registry is asked: the two images that the repository
//! names are made here of Debian's packages, under the same names.

use std::path::Path;

use anyhow::{Context, Result};
use xshell::{Shell, cmd};

use crate::commands::image;
use crate::tools::docker::{self, Docker};
use crate::tools::{postgres, python};
use crate::{progress, repo, run};

/// What the tests call the image of `cargo xtask image` and that of the Dockerfile.
const TAG: &str = "santaserver:ci";
const BUILT: &str = "santaserver:dockerfile";

/// What both test images are built from, besides what the Dockerfile installs itself.
const PACKAGES: &str = "ca-certificates,gcc,libc6-dev,postgresql-17";
const BASE: &str = "localhost/debian";

const FIXTURES: &str = "xtask/src/commands/ci/fixture";
/// Where Debian and its relatives keep the authorities that this machine trusts.
const CERTIFICATES: &str = "/etc/ssl/certs";

/// Builds docker/Dockerfile from nothing and holds the result to our image.
pub(crate) fn dockerfile() -> Result<()> {
    let (engine, python) = (engine()?, python::ensure_installed()?);
    let shell = engine.shell()?;
    let rust = run::output("ask rustc for its folder", cmd!(shell, "rustc --print sysroot"))?;
    let contexts = [
        format!("--build-context=rust={}", rust.trim()),
        format!("--build-context=certificates={CERTIFICATES}"),
    ];
    let name = named("docker/Dockerfile", "FROM ")?;
    fixture(&shell, &name, "rust.Dockerfile", &contexts)?;
    progress::step("build docker/Dockerfile", || {
        // The machine's name service is not always reached from a bridge.
        let build = cmd!(
            shell,
            "docker build --quiet --network host --file docker/Dockerfile --tag {BUILT} ."
        );
        run::output("build docker/Dockerfile", build).map(drop)
    })?;
    shell.set_var("SANTA_IMAGE_BUILT", BUILT);
    let what = "compare the image of docker/Dockerfile with ours";
    tests(&shell, &python, what, &["tests/docker/test_dockerfile.py"])
}

/// Loads our image and runs the tests.
pub(crate) fn run() -> Result<()> {
    let (database, python) = (postgres::ensure_installed()?, python::ensure_installed()?);
    let engine = engine()?;
    let shell = engine.shell()?;
    let name = named("docker/compose.yaml", "    image: ")?;
    fixture(&shell, &name, "postgres.Dockerfile", &[])?;
    shell.set_var("SANTA_PG_BIN", database);
    let rest = ["tests/docker", "--ignore=tests/docker/test_dockerfile.py"];
    tests(&shell, &python, "run the tests in Docker", &rest)
}

/// A daemon with our image and with what the test images are built from.
fn engine() -> Result<Docker> {
    let archive = repo::dist("santaserver.oci.tar");
    image::write(TAG, &archive)?;
    let base = image::debian_root("docker-base", PACKAGES)?;
    let engine = docker::start()?;
    let shell = engine.shell()?;
    progress::step("load the image", || {
        run::output("load the image", cmd!(shell, "docker load --quiet --input {archive}"))
    })?;
    run::output("import Debian's packages", cmd!(shell, "docker import {base} {BASE}"))?;
    Ok(engine)
}

/// Makes an image that the repository's files name.
fn fixture(shell: &Shell, name: &str, file: &str, contexts: &[String]) -> Result<()> {
    progress::step(&format!("test image for {name}"), || {
        let (folder, file) = (repo::path(FIXTURES), repo::path(FIXTURES).join(file));
        let build = cmd!(
            shell,
            "docker build --quiet --network host {contexts...} --file {file} --tag {name} {folder}"
        );
        run::output(&format!("make test image for {name}"), build).map(drop)
    })
}

fn tests(shell: &Shell, python: &Path, what: &str, tests: &[&str]) -> Result<()> {
    let _folder = shell.push_dir(repo::path("backend"));
    shell.set_var("SANTA_IMAGE", TAG);
    shell.set_var("SANTA_XTASK", run::own_program()?);
    run::output(what, cmd!(shell, "{python} -m pytest -q -p no:xdist {tests...}")).map(drop)
}

/// The first image that a file of the repository names.
fn named(file: &str, before: &str) -> Result<String> {
    let text = crate::files::text(&repo::path(file));
    let mut lines = text.lines().filter_map(|line| line.strip_prefix(before));
    let name = lines.next().and_then(|line| line.split_whitespace().next());
    name.map(str::to_owned).with_context(|| format!("{file} names no image"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_images_that_are_stood_in_for_are_those_that_the_files_name() {
        assert_eq!(
            named("docker/Dockerfile", "FROM ").expect("named"),
            "docker.io/library/rust:1-trixie"
        );
        let postgres = named("docker/compose.yaml", "    image: ").expect("named");
        assert_eq!(postgres, "docker.io/library/postgres:17");
    }
}
