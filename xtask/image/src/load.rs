//! Hands an image to a container engine. podman takes the layers that it does not
//! have from a folder; docker reads the whole archive.

use std::path::Path;

use anyhow::{Context, Result};
use xshell::{Shell, cmd};

use super::oci::Image;
use xtask::{repo, run};

/// Name of the folder in `.dev/cache` that podman reads.
const LAYOUT: &str = "santaserver-layout";

/// Hands `image`, written to `archive`, to the engine called `name`.
pub(crate) fn into(shell: &Shell, name: &str, image: &Image, archive: &Path) -> Result<()> {
    let program = run::find(name).with_context(|| {
        format!(
            "{name} was not found in PATH; install it, or load {} elsewhere",
            repo::shown(archive)
        )
    })?;
    if name != "podman" {
        return run::output("load the image", cmd!(shell, "{program} load --input {archive}"))
            .map(drop)
            .context("Docker before 23 reads no zstd; for such a one use --compression gzip");
    }
    let folder = repo::dev("cache").join(LAYOUT);
    image.write_folder(&folder)?;
    // podman names what it pulls after the path, and takes no path with a dot in it.
    shell.change_dir(repo::dev("cache"));
    let (layout, own, tag) =
        (format!("oci:{LAYOUT}"), format!("localhost/{LAYOUT}"), image.full_tag());
    let pulled = run::output("load the image", cmd!(shell, "{program} pull --quiet {layout}"))?;
    let id = pulled.trim();
    run::output("name the image", cmd!(shell, "{program} tag {id} {tag}"))?;
    run::output("name the image", cmd!(shell, "{program} untag {id} {own}")).map(drop)
}
