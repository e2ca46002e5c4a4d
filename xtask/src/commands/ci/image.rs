//! The image in a real container engine: it is made, audited, loaded into podman
//! and put through its promises. The journeys are in backend/tests/image; here is
//! only what they need.

use anyhow::Result;
use xshell::cmd;

use crate::commands::image;
use crate::tools::{podman, postgres, python};
use crate::{progress, repo, run};

/// What the tests call the image.
const TAG: &str = "santaserver:ci";

/// Makes the image and audits the archive.
pub(crate) fn audit() -> Result<()> {
    let archive = repo::dist("santaserver.oci.tar");
    image::write(TAG, &archive)?;
    image::verify(&archive)
}

/// Makes the image, loads it into an engine of our own and runs the journeys.
pub(crate) fn run() -> Result<()> {
    let archive = repo::dist("santaserver.oci.tar");
    image::write(TAG, &archive)?;
    let engine = podman::bring()?;
    let (python, database) = (python::bring()?, postgres::bring()?);
    let shell = engine.shell()?;
    progress::step("load the image", || {
        run::output("load the image", cmd!(shell, "podman load --quiet --input {archive}"))
    })?;
    shell.change_dir(repo::path("backend"));
    shell.set_var("SANTA_PG_BIN", database);
    shell.set_var("SANTA_IMAGE", format!("localhost/{TAG}"));
    shell.set_var("SANTA_IMAGE_ARCHIVE", &archive);
    let tests = cmd!(shell, "{python} -m pytest -q -p no:xdist tests/image");
    run::output("pass the container's journeys", tests).map(drop)
}
