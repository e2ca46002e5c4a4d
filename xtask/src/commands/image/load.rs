//! Hands an image to a container engine. podman takes the layers that it does not
//! have from a folder; docker reads the whole archive.

use std::path::Path;

use anyhow::{Context, Result};
use xshell::{Shell, cmd};

use super::oci::Image;
use crate::{repo, run};

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
            .map(drop);
    }
    let folder = repo::dev("cache/oci");
    image.write_folder(&folder)?;
    let (layout, tag) = (format!("oci:{}:{}", folder.display(), image.tag()), image.full_tag());
    let pulled = run::output("load the image", cmd!(shell, "{program} pull --quiet {layout}"))?;
    let id = pulled.trim();
    run::output("name the image", cmd!(shell, "{program} tag {id} {tag}")).map(drop)
}
