//! `cargo xtask image`: its options are here; what they start is a program of its own
//! (`xtask/image/`), which is compiled when the first image is made.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use xshell::cmd;

use crate::{program, repo, run};

/// How layers are compressed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Compression {
    /// Smallest and quickest; every current engine reads it
    #[default]
    Zstd,
    /// For engines from before 2020
    Gzip,
}

#[derive(clap::Args, Default)]
#[command(
    after_help = "Examples:\n  cargo xtask image\n  cargo xtask image --load podman\n  cargo xtask image --platform linux/arm64 --binaries dist/arm64\n  \
    cargo xtask image --verify dist/santaserver.oci.tar\n  cargo xtask image --update-lock\n\n\
    Beside the archive lie its provenance (FILE.intoto.json), what it was built from, and its bill of materials\n    (FILE.sbom.json, CycloneDX). The archive is loaded by `docker load`, `podman load` and skopeo. Two runs on one commit give the same digest."
)]
/// Build the container image, without a container engine
pub struct Args {
    /// Name and tag of the image
    #[arg(long, default_value = "santaserver:unified")]
    pub tag: String,
    /// The archive to write
    #[arg(long, value_name = "FILE", default_value = "dist/santaserver.oci.tar")]
    pub output: PathBuf,
    /// Write only the root filesystem, into this new folder
    #[arg(long, value_name = "DIR")]
    pub tree: Option<PathBuf>,
    /// Load the image into an engine of this machine
    #[arg(long, value_name = "ENGINE", value_parser = ["docker", "podman"])]
    pub load: Option<String>,
    /// linux/amd64 or linux/arm64 [default: this machine's processor]
    #[arg(long)]
    pub platform: Option<String>,
    /// Use programs that were built elsewhere instead of building them
    #[arg(long, value_name = "DIR")]
    pub binaries: Option<PathBuf>,
    /// Debian's main archive [default: the one in this machine's apt sources]
    #[arg(long, value_name = "URL")]
    pub mirror: Option<String>,
    /// How layers are compressed
    #[arg(long, value_enum, default_value = "zstd")]
    pub compression: Compression,
    /// Pin the current versions of Debian's packages in docker/rootfs.lock and stop
    #[arg(long, conflicts_with_all = ["tree", "load", "verify"])]
    pub update_lock: bool,
    /// Check an existing archive instead of building one
    #[arg(long, value_name = "FILE", conflicts_with_all = ["tree", "load"])]
    pub verify: Option<PathBuf>,
    /// Sign the image's provenance with this Ed25519 key
    #[arg(long, value_name = "FILE", conflicts_with_all = ["tree", "verify", "update_lock"])]
    pub sign_key: Option<PathBuf>,
    /// For --verify: the public key that must have signed the provenance
    #[arg(long, value_name = "FILE", requires = "verify")]
    pub verify_key: Option<PathBuf>,
    /// For --verify: look for known vulnerabilities with this program, osv-scanner, grype or
    /// trivy [default: the first of them in PATH]
    #[arg(long, value_name = "PROGRAM", requires = "verify")]
    pub scanner: Option<String>,
}

/// What the checks ask of the image program beside [`Args`].
#[derive(clap::Subcommand)]
pub enum Task {
    /// Unpack the programs of Debian packages into a folder
    #[command(hide = true)]
    Unpack {
        /// The folder
        folder: PathBuf,
        /// Names of packages
        packages: Vec<String>,
    },
    /// Build an archive with a root filesystem of Debian packages; print its path
    #[command(hide = true)]
    Root {
        /// Its name in the cache
        name: String,
        /// Names of packages, comma-separated
        packages: String,
    },
    /// Fail when the byte code of the backend depends on anything but its sources
    #[command(hide = true)]
    ByteCode,
}

const PROGRAM: &str = "santa-image";
const COMPILE: &str = "compile the image builder";

/// Compiles the image program and becomes it.
pub(crate) fn run() -> Result<()> {
    run::catch_interrupts()?;
    program::replace_self(COMPILE, PROGRAM)
}

/// Builds an image from this checkout and writes it.
pub(crate) fn write(tag: &str, archive: &Path) -> Result<()> {
    shown("build the image", &["--tag", tag, "--output", &archive.display().to_string()])
}

/// Builds an image from this checkout and writes it, with SBOM and provenance beside it;
/// returns its digest.
pub(crate) fn digest_of(tag: &str, archive: &str) -> Result<String> {
    let program = program::compiled(COMPILE, PROGRAM)?;
    let shell = run::shell()?;
    let said =
        run::output("build the image", cmd!(shell, "{program} --tag {tag} --output {archive}"))?;
    // Its last line is the tag and the digest.
    let digest = said.split_whitespace().last().filter(|word| word.starts_with("sha256:"));
    digest.map(str::to_owned).with_context(|| format!("the image builder named no digest: {said}"))
}

/// Checks an archive; `SANTA_SCANNER` may name a scanner for vulnerabilities.
pub(crate) fn verify(archive: &Path) -> Result<()> {
    let archive = archive.display().to_string();
    let mut words = vec!["--verify", &archive];
    let scanner = std::env::var("SANTA_SCANNER").unwrap_or_default();
    if !scanner.is_empty() {
        words.extend(["--scanner", &scanner]);
    }
    shown("verify the image", &words)
}

/// Writes the root filesystem into a folder, in the place of what is there.
pub(crate) fn tree(folder: &Path) -> Result<()> {
    crate::files::remove(folder)?;
    shown("write the image's files", &["--tree", &folder.display().to_string()])
}

/// Fails when the byte code of the backend depends on anything but its sources.
pub(crate) fn byte_code_is_deterministic() -> Result<()> {
    shown("compile the backend to the same byte code twice", &["byte-code"])
}

/// Unpacks the programs of Debian packages into a folder.
pub(crate) fn unpack_packages(names: &[&str], folder: &Path) -> Result<()> {
    let folder = folder.display().to_string();
    let words = ["unpack", &folder].into_iter().chain(names.iter().copied());
    shown("unpack Debian packages", &words.collect::<Vec<_>>())
}

/// An archive with a root filesystem that has these Debian packages, comma-separated,
/// and what they need. It is kept under `name`.
pub(crate) fn debian_root(name: &str, packages: &str) -> Result<PathBuf> {
    let program = program::compiled(COMPILE, PROGRAM)?;
    let shell = run::shell()?;
    let root = cmd!(shell, "{program} root {name} {packages}");
    let folder = run::output("build a root filesystem of Debian packages", root)?;
    Ok(repo::root().join(folder.trim()))
}

fn shown(what: &str, words: &[&str]) -> Result<()> {
    let program = program::compiled(COMPILE, PROGRAM)?;
    let shell = run::shell()?;
    run::shown(what, cmd!(shell, "{program} {words...}"))
}
