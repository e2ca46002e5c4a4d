//! The image in Docker: `docker/Dockerfile` from nothing, and the journeys in
//! backend/tests/docker. No registry is asked: the two images that the repository
//! names are made here of Debian's packages, under the same names.

use std::path::Path;

use anyhow::{Context, Result};
use xshell::{Shell, cmd};

use crate::commands::image;
use crate::tools::{debian, docker, postgres, python};
use crate::{progress, repo, run};

/// What the tests call the image of `cargo xtask image` and that of the Dockerfile.
const TAG: &str = "santaserver:ci";
const BUILT: &str = "santaserver:dockerfile";

/// What both stand-ins are made on, besides what the Dockerfile installs itself.
const PACKAGES: &str = "ca-certificates,gcc,libc6-dev,postgresql-17";
const BASE: &str = "localhost/debian";

const STAND_INS: &str = "xtask/src/commands/ci/stand_in";
/// Where Debian and its relatives keep the authorities that this machine trusts.
const CERTIFICATES: &str = "/etc/ssl/certs";

/// Builds both images and runs the journeys.
pub(crate) fn run() -> Result<()> {
    let archive = repo::dist("santaserver.oci.tar");
    image::write(TAG, &archive)?;
    let (python, database) = (python::bring()?, postgres::bring()?);
    let base = debian::root("docker-base", PACKAGES)?;
    let engine = docker::start()?;
    let shell = engine.shell()?;
    progress::step("load the image", || {
        run::output("load the image", cmd!(shell, "docker load --quiet --input {archive}"))
    })?;
    progress::step("stand-ins", || stand_ins(&shell, &base))?;
    progress::step("docker/Dockerfile, both stages", || {
        // The machine's name service is not always reached from a bridge.
        let build = cmd!(
            shell,
            "docker build --quiet --network host --file docker/Dockerfile --tag {BUILT} ."
        );
        run::output("build docker/Dockerfile", build).map(drop)
    })?;
    shell.change_dir(repo::path("backend"));
    shell.set_var("SANTA_PG_BIN", database);
    shell.set_var("SANTA_IMAGE", TAG);
    shell.set_var("SANTA_IMAGE_BUILT", BUILT);
    shell.set_var("SANTA_XTASK", std::env::current_exe()?);
    let tests = cmd!(shell, "{python} -m pytest -q -p no:xdist tests/docker");
    run::output("pass the journeys in Docker", tests).map(drop)
}

/// Makes the two images that the repository's files name.
fn stand_ins(shell: &Shell, base: &Path) -> Result<()> {
    run::output("import Debian's packages", cmd!(shell, "docker import {base} {BASE}"))?;
    let rust = run::output("ask rustc for its folder", cmd!(shell, "rustc --print sysroot"))?;
    let contexts = &[
        format!("--build-context=rust={}", rust.trim()),
        format!("--build-context=certificates={CERTIFICATES}"),
    ];
    for (name, file) in [
        (named("docker/Dockerfile", "FROM ")?, "rust.Dockerfile"),
        (named("docker/compose.yaml", "    image: ")?, "postgres.Dockerfile"),
    ] {
        let (folder, file) = (repo::path(STAND_INS), repo::path(STAND_INS).join(file));
        let build = cmd!(
            shell,
            "docker build --quiet --network host {contexts...} --file {file} --tag {name} {folder}"
        );
        run::output(&format!("make a stand-in for {name}"), build)?;
    }
    Ok(())
}

/// The first image that a file of the repository names.
fn named(file: &str, before: &str) -> Result<String> {
    let text = crate::stamp::text(&repo::path(file));
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
