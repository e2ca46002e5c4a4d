//! `cargo xtask build`: everything that is shipped, into `dist/`.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use xshell::cmd;

use crate::tools::{node, uv};
use crate::{progress, repo, run, stamp};

/// The image's Python, and the platform its wheels are for.
const IMAGE_PYTHON: &str = "3.13";
const MANYLINUX: &str = "manylinux_2_28";

#[derive(clap::Args)]
#[command(after_help = "Examples:\n  cargo xtask build\n  cargo xtask build --release\n\n\
    Result: dist/bin/ (santa-proxy, santa-supervise), dist/www/ (console with .br, .zst and .gz beside each\n\
    file and manifest.json), dist/app/ (backend and its packages for the image's Python)")]
/// Build the binaries, the console and the backend into dist/
pub(crate) struct Args {
    /// Optimise the binaries as they are shipped
    #[arg(long)]
    release: bool,
}

/// Builds all three parts.
pub(crate) fn run(args: &Args) -> Result<()> {
    run::catch_interrupts()?;
    binaries(args.release)?;
    console()?;
    backend()
}

/// `dist/bin`: the two Rust programs.
pub(crate) fn binaries(release: bool) -> Result<()> {
    progress::step("dist/bin", || {
        let shell = run::shell()?;
        let (flags, profile): (&[&str], _) =
            if release { (&["--release"], "release") } else { (&[], "debug") };
        let build = cmd!(
            shell,
            "cargo build --quiet --locked -p santa-proxy -p santa-supervise {flags...}"
        );
        run::output("build the Rust binaries", build)?;
        let bin = repo::dist("bin");
        fs::create_dir_all(&bin)?;
        for name in ["santa-proxy", "santa-supervise"] {
            let built = repo::target().join(profile).join(name);
            // A running program cannot be written to, but its file can be replaced.
            let partial = bin.join(format!("{name}.partial"));
            fs::copy(&built, &partial)
                .and_then(|_| fs::rename(&partial, bin.join(name)))
                .with_context(|| format!("cannot put dist/bin/{name} in place"))?;
        }
        Ok(())
    })
}

/// `dist/www`: the console, each file precompressed, and a manifest.
pub(crate) fn console() -> Result<()> {
    let node = node::bring()?;
    node.console_packages()?;
    progress::step("dist/www", || {
        let frontend = repo::path("frontend");
        node.npm("build the console", &frontend, &["run", "--silent", "build"])?;
        let (shell, program) = (node.shell_in(&frontend)?, node.program());
        let partial = repo::dist("www.partial");
        stamp::remove(&partial)?;
        let precompress = cmd!(shell, "{program} scripts/precompress.js build {partial}");
        run::output("compress the console", precompress)?;
        put(&partial, &repo::dist("www"))
    })
}

/// `dist/app`: the backend and its packages for the image's Python, whatever
/// Python this machine has.
pub(crate) fn backend() -> Result<()> {
    progress::step("dist/app", || {
        let partial = repo::dist("app.partial");
        stamp::remove(&partial)?;
        fs::create_dir_all(&partial)?;
        let tool = uv::bring()?;
        let (shell, uv) = (tool.shell()?, tool.program());
        let requirements = repo::path("backend/requirements.txt");
        let platform = format!("{}-{MANYLINUX}", std::env::consts::ARCH);
        let install = cmd!(
            shell,
            "{uv} pip install --quiet --no-deps --no-build --require-hashes --link-mode copy
             --python-version {IMAGE_PYTHON} --python-platform {platform} --target {partial} -r {requirements}"
        );
        run::output("install the backend's packages for the image", install)?;
        copy_sources(&repo::path("backend/santaserver"), &partial.join("santaserver"))?;
        fs::copy(repo::path("backend/openapi.json"), partial.join("openapi.json"))?;
        put(&partial, &repo::dist("app"))
    })
}

/// Copies a package without byte code.
fn copy_sources(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to).with_context(|| format!("cannot create {}", repo::shown(to)))?;
    for entry in fs::read_dir(from).with_context(|| format!("cannot read {}", repo::shown(from)))? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_name() == "__pycache__" {
            continue;
        }
        if entry.file_type()?.is_dir() {
            copy_sources(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), &target)?;
        }
    }
    Ok(())
}

/// Puts a finished folder in the place of the old one.
fn put(partial: &Path, folder: &Path) -> Result<()> {
    stamp::remove(folder)?;
    fs::rename(partial, folder)
        .with_context(|| format!("cannot put {} in place", repo::shown(folder)))
}
