//! `cargo xtask build`: everything that is shipped, into `dist/`.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde_json::Value;
use xshell::cmd;

use crate::platform::Platform;
use crate::tools::{node, uv};
use crate::{cache, files, fingerprint, progress, repo, run};

/// The image's Python.
const IMAGE_PYTHON: &str = "3.13";

#[derive(clap::Args)]
#[command(after_help = "Examples:\n  cargo xtask build\n  cargo xtask build --release\n\n\
    Result: dist/bin/ (santa-proxy, santa-supervise), dist/www/ (console with .br, .zst and .gz beside each\n\
    file and manifest.json), dist/app/ (backend and its packages for the image's Python)")]
/// Build the binaries, the console and the backend into dist/
pub(crate) struct Args {
    /// Optimize the binaries as they are shipped
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
        let folder = programs(release, None)?;
        let bin = repo::dist("bin");
        fs::create_dir_all(&bin)?;
        for name in ["santa-proxy", "santa-supervise"] {
            let built = folder.join(name);
            // A running program cannot be written to, but its file can be replaced.
            let partial = bin.join(format!("{name}.partial"));
            fs::copy(&built, &partial)
                .and_then(|_| fs::rename(&partial, bin.join(name)))
                .with_context(|| format!("cannot put dist/bin/{name} in place"))?;
        }
        Ok(())
    })
}

/// Builds the two programs, for another platform when one is given, and returns
/// the folder they are in. Optimized ones are the same from any folder.
pub fn programs(release: bool, other: Option<Platform>) -> Result<PathBuf> {
    let shell = run::shell()?;
    let mut flags = Vec::new();
    if let Some(platform) = other {
        flags.extend(["--target", platform.rust]);
        let variable = platform.rust.to_uppercase().replace('-', "_");
        shell.set_var(format!("CARGO_TARGET_{variable}_LINKER"), platform.linker);
    }
    if release {
        flags.push("--release");
        shell.set_var("CARGO_ENCODED_RUSTFLAGS", remapped()?);
    }
    // By name: the supervisor's tests have a program of their own.
    let programs = ["--bin", "santa-proxy", "--bin", "santa-supervise"];
    let build = cmd!(shell, "cargo build --quiet --locked {programs...} {flags...} {LISTED...}");
    folder_of(&run::output("build the Rust binaries", build)?)
}

/// Has cargo say where the programs are: variables and files of configuration that
/// are the user's own decide it.
pub(crate) const LISTED: [&str; 1] = ["--message-format=json-render-diagnostics"];

/// The folder that cargo has put the programs into, by what it says with [`LISTED`].
pub(crate) fn folder_of(output: &str) -> Result<PathBuf> {
    let messages = output.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let mut programs =
        messages.filter_map(|message| Some(message["executable"].as_str()?.to_owned()));
    let folder = programs.next().and_then(|file| Some(Path::new(&file).parent()?.to_owned()));
    folder.context("cargo does not say where it has put the programs")
}

/// Flags with which no path of this machine gets into a program.
fn remapped() -> Result<String> {
    let home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let user = || std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cargo"));
    let home = home.or_else(user).context("neither CARGO_HOME nor HOME is set; set one")?;
    let remap = |from: &Path, to: &str| format!("--remap-path-prefix={}={to}", from.display());
    Ok([remap(&home, "/cargo"), remap(repo::root(), "/source")].join("\u{1f}"))
}

/// `dist/www`: the console with the documentation in `docs`, each file precompressed, and a manifest; built again when
/// its sources have changed.
pub fn console() -> Result<()> {
    let node = node::ensure_installed()?;
    node.console_packages()?;
    let sources = ["frontend", "docs"].map(|folder| fingerprint::of(&repo::path(folder)));
    let sources = sources.into_iter().collect::<Result<Vec<_>>>()?;
    cache::once("dist/www", &repo::dist("www"), &sources, || {
        let frontend = repo::path("frontend");
        node.npm("build the console", &frontend, &["run", "--silent", "build"])?;
        let (shell, program) = (node.shell_in(&frontend)?, node.program());
        let partial = repo::dist("www.partial");
        files::remove(&partial)?;
        let precompress = cmd!(shell, "{program} scripts/precompress.js build {partial}");
        run::output("compress the console", precompress)?;
        put(&partial, &repo::dist("www"))
    })
}

/// `dist/app`: the backend and its packages for the image's Python, whatever
/// Python this machine has.
pub fn backend() -> Result<()> {
    progress::step("dist/app", || {
        let partial = repo::dist("app.partial");
        files::remove(&partial)?;
        fs::create_dir_all(&partial)?;
        packages(&partial, &Platform::of_this_machine()?.wheels())?;
        copy_sources(&repo::path("backend/santaserver"), &partial.join("santaserver"))?;
        fs::copy(repo::path("backend/openapi.json"), partial.join("openapi.json"))?;
        put(&partial, &repo::dist("app"))
    })
}

/// Installs the backend's packages for the image's Python into `target`;
/// `platform` is uv's name of what the wheels are for.
pub fn packages(target: &Path, platform: &str) -> Result<()> {
    let tool = uv::ensure_installed()?;
    let (shell, uv) = (tool.shell()?, tool.program());
    let requirements = repo::path("backend/requirements.txt");
    let install = cmd!(
        shell,
        "{uv} pip install --quiet --no-deps --no-build --require-hashes --link-mode copy
         --python-version {IMAGE_PYTHON} --python-platform {platform} --target {target} -r {requirements}"
    );
    run::output("install the backend's packages for the image", install).map(drop)
}

/// Copies a folder, a package without its byte code.
pub(crate) fn copy_sources(from: &Path, to: &Path) -> Result<()> {
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
    files::remove(folder)?;
    fs::rename(partial, folder)
        .with_context(|| format!("cannot put {} in place", repo::shown(folder)))
}
