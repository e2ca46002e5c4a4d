//! The image in a real container engine: it is made, audited, loaded into podman
//! and tested against its promises. The tests are in backend/tests/image; here is
//! only what they need.

use anyhow::Result;
use xshell::{Shell, cmd};

use super::reach;
use crate::commands::image;
use crate::tools::hardened::{HARDENED, PODMAN};
use crate::tools::{podman, postgres, python};
use crate::{progress, repo, run};

/// What the tests call the image.
const TAG: &str = "santaserver:ci";

const FROM_DOCKERFILE: &str = "localhost/santaserver:dockerfile";

/// Makes the image and audits the archive.
pub(crate) fn audit() -> Result<()> {
    let archive = repo::dist("santaserver.oci.tar");
    image::write(TAG, &archive)?;
    image::byte_code_is_deterministic()?;
    image::verify(&archive)
}

/// Makes the image, loads it into an engine of our own and runs the tests.
pub(crate) fn run() -> Result<()> {
    let engine = podman::ensure_installed()?;
    let _session = engine.session()?;
    let shell = engine.shell()?;
    reach::check(&shell)?;
    let archive = repo::dist("santaserver.oci.tar");
    image::write(TAG, &archive)?;
    let (python, database) = (python::ensure_installed()?, postgres::ensure_installed()?);
    progress::step("load the image", || {
        run::output("load the image", cmd!(shell, "podman load --quiet --input {archive}"))
    })?;
    progress::step("docker/Dockerfile", || dockerfile(&shell))?;
    shell.change_dir(repo::path("backend"));
    shell.set_var("SANTA_PG_BIN", database);
    shell.set_var("SANTA_IMAGE", format!("localhost/{TAG}"));
    shell.set_var("SANTA_IMAGE_ARCHIVE", &archive);
    let hardened: Vec<&str> = HARDENED.into_iter().chain([PODMAN]).collect();
    shell.set_var("SANTA_IMAGE_HARDENED", hardened.join(" "));
    shell.set_var("SANTA_IMAGE_NETWORK", podman::network::NAME);
    shell.set_var("SANTA_XTASK", run::own_program()?);
    let tests = cmd!(shell, "{python} -m pytest -q -p no:xdist tests/image");
    run::output("run the container tests", tests).map(drop)
}

/// The last stage of docker/Dockerfile, over the tree that its first one would make.
fn dockerfile(shell: &Shell) -> Result<()> {
    let tree = repo::dev("cache/tree");
    image::tree(&tree)?;
    let context = format!("tree={}", tree.display());
    let build = cmd!(
        shell,
        "podman build --quiet --format docker --build-context {context} --file docker/Dockerfile --tag {FROM_DOCKERFILE} docker"
    );
    run::output("build the last stage of docker/Dockerfile", build)?;
    let run = cmd!(
        shell,
        "podman run --rm --read-only --cap-drop=ALL --network=none {FROM_DOCKERFILE} check"
    );
    run::output("read the configuration in the image of docker/Dockerfile", run).map(drop)
}
