//! The two images. The earlier arrangement is made of Debian's ordinary packages
//! of the same release and of the same backend and console; its files lie in
//! `earlier/`.

use anyhow::Result;
use santa_image::debian;
use xshell::{Shell, cmd};
use xtask::commands::build;
use xtask::{progress, repo, run};

/// An image that takes part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Image {
    /// Its name in the report.
    pub(crate) name: &'static str,
    /// Name in the engine.
    pub(crate) tag: &'static str,
}

const OURS: Image = Image { name: "SantaServer's image", tag: "localhost/santaserver:bench" };
/// The arrangement that came before.
pub(crate) const EARLIER: Image =
    Image { name: "nginx + supervisord", tag: "localhost/santaserver:earlier" };

/// In the order of the tables; the first is what the other is compared with.
pub(crate) const IMAGES: [Image; 2] = [EARLIER, OURS];

/// Debian's packages of the earlier one.
const PACKAGES: &str = "ca-certificates,nginx,python3,supervisor";
const BASE: &str = "localhost/earlier-base";
const FILES: &str = "xtask/bench/src/container/earlier";

/// Makes both and hands them to the engine.
pub(crate) fn make(shell: &Shell) -> Result<()> {
    let archive = repo::dist("santaserver.oci.tar");
    santa_image::write(OURS.tag, &archive)?;
    progress::step(OURS.name, || {
        run::output("load the image", cmd!(shell, "podman load --quiet --input {archive}"))
    })?;
    let base = debian::root("earlier", PACKAGES)?;
    let import = cmd!(shell, "podman import --quiet {base} {BASE}");
    run::output("import the packages of the earlier arrangement", import)?;
    build::console()?;
    build::backend()?;
    earlier(shell)
}

/// Builds the earlier arrangement of the console and the backend in dist/.
pub(crate) fn earlier(shell: &Shell) -> Result<()> {
    progress::step(EARLIER.name, || {
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
