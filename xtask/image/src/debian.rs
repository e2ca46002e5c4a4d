//! Root filesystems and programs out of Debian's packages, of the release that the
//! image is made of, without installing any: for what is compared with the image and
//! for what it is tested with.

use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use xshell::cmd;
use xtask::platform::DEBIAN;
use xtask::tools::system;
use xtask::{cache, repo, run};

/// An archive with a root filesystem that has these packages, comma-separated, and
/// what they need. It is kept under `name`.
pub fn root(name: &str, packages: &str) -> Result<PathBuf> {
    let folder = repo::dev("cache").join(name);
    let inputs = [DEBIAN.to_owned(), packages.to_owned()];
    cache::folder(
        &format!("Debian's packages ({name})"),
        &folder,
        "root.tar",
        &inputs,
        |partial| {
            if run::find("mmdebstrap").is_none() {
                ensure!(
                    system::installs(),
                    "mmdebstrap puts Debian's packages together and was not found in PATH; install it (on Debian: sudo apt-get install mmdebstrap)"
                );
                system::install("mmdebstrap", &["mmdebstrap"])?;
            }
            let mirror = super::debian_archive().context("Debian's packages come from a mirror")?;
            let shell = run::shell()?;
            let (include, file) = (format!("--include={packages}"), partial.join("root.tar"));
            let make = cmd!(
                shell,
                "mmdebstrap --quiet --variant=minbase {include} {DEBIAN} {file} {mirror}"
            );
            run::output("put Debian's packages together", make).map(drop)
        },
    )?;
    Ok(folder.join("root.tar"))
}
