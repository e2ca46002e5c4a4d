//! The two images. The earlier arrangement is made of Debian's ordinary packages
//! of the same release and of the same backend and console; its files lie in
//! `earlier/`.

use anyhow::{Context, Result};
use xshell::{Shell, cmd};

use crate::commands::{build, image};
use crate::tools::system;
use crate::{progress, repo, run, stamp};

/// An image that takes part.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Image {
    /// How it is called in the report.
    pub(crate) name: &'static str,
    /// Name in the engine.
    pub(crate) tag: &'static str,
}

const OURS: Image = Image { name: "SantaServer's image", tag: "localhost/santaserver:bench" };
const EARLIER: Image = Image { name: "nginx + supervisord", tag: "localhost/santaserver:earlier" };

/// In the order of the tables; the first is what the other is compared with.
pub(crate) const IMAGES: [Image; 2] = [EARLIER, OURS];

/// Debian's release of both images, and the packages of the earlier one.
const RELEASE: &str = "trixie";
const PACKAGES: &str = "ca-certificates,nginx,python3,supervisor";
const BASE: &str = "localhost/earlier-base";
const FILES: &str = "xtask/src/commands/bench/container/earlier";

/// Makes both and hands them to the engine.
pub(crate) fn make(shell: &Shell) -> Result<()> {
    let archive = repo::dist("santaserver.oci.tar");
    image::write(OURS.tag, &archive)?;
    progress::step(OURS.name, || {
        run::output("load the image", cmd!(shell, "podman load --quiet --input {archive}"))
    })?;
    build::console()?;
    build::backend()?;
    let base = base()?;
    progress::step(EARLIER.name, || {
        let import = cmd!(shell, "podman import --quiet {base} {BASE}");
        run::output("import the packages of the earlier arrangement", import)?;
        let context = |name: &str| format!("{name}={}", repo::dist(name).display());
        let (www, app, tag) = (context("www"), context("app"), EARLIER.tag);
        let files = repo::path(FILES);
        let build = cmd!(
            shell,
            "podman build --quiet --format docker --build-context {www} --build-context {app} --tag {tag} {files}"
        );
        run::output("build the image of the earlier arrangement", build).map(drop)
    })
}

/// The root filesystem of ordinary packages, as an archive that is kept.
fn base() -> Result<std::path::PathBuf> {
    let folder = repo::dev("cache/earlier");
    let inputs = [RELEASE.to_owned(), PACKAGES.to_owned()];
    stamp::folder("packages of the earlier arrangement", &folder, &inputs, |partial| {
        if run::find("mmdebstrap").is_none() {
            anyhow::ensure!(
                system::installs(),
                "mmdebstrap makes the image to compare with and was not found in PATH; install it (on Debian: sudo apt-get install mmdebstrap)"
            );
            system::install("mmdebstrap", &["mmdebstrap"])?;
        }
        let mirror = image::debian_archive()
            .context("the image to compare with is made of Debian's packages")?;
        let shell = run::shell()?;
        let (include, file) = (format!("--include={PACKAGES}"), partial.join("base.tar"));
        let make =
            cmd!(shell, "mmdebstrap --quiet --variant=minbase {include} {RELEASE} {file} {mirror}");
        run::output("put the packages of the earlier arrangement together", make).map(drop)
    })?;
    Ok(folder.join("base.tar"))
}
