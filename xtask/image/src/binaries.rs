//! The last layer: the two Rust programs, the configuration, the licenses and the
//! bill of materials.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use super::tree::Tree;
use super::{elf, hash, settings};
use xtask::commands::build;
use xtask::platform::Platform;
use xtask::{cache, repo, run, shipped};

const NAMES: [&str; 2] = ["santa-proxy", "santa-supervise"];

/// The folder with the programs: the one given, or one that they are built into
/// unless that was done from the same sources before.
pub(crate) fn programs(platform: Platform, given: Option<&Path>) -> Result<PathBuf> {
    if let Some(folder) = given {
        return Ok(repo::root().join(folder));
    }
    let folder = repo::dev("cache/programs").join(platform.debian);
    let what = format!("programs for {}", platform.name);
    cache::folder(&what, &folder, NAMES[0], &[sources()?], |partial| {
        let built = build(platform)?;
        for name in NAMES {
            fs::copy(built.join(name), partial.join(name))
                .with_context(|| format!("cannot copy {}", repo::shown(&built.join(name))))?;
        }
        Ok(())
    })?;
    Ok(folder)
}

/// Everything that the programs are made of.
fn sources() -> Result<String> {
    let toolchain = std::env::var("RUSTUP_TOOLCHAIN").unwrap_or_default();
    let mut inputs = hash::Inputs::default().add(toolchain.as_bytes());
    for part in ["Cargo.toml", "Cargo.lock", "docker/config", "santa-proxy", "santa-supervise"] {
        inputs = inputs.files(&repo::path(part))?;
    }
    Ok(inputs.finish())
}

/// The programs and the configuration.
pub(crate) fn tree(platform: Platform, folder: &Path, bin: &Path) -> Result<Tree> {
    let mut tree = Tree::default();
    for name in NAMES {
        let file = folder.join(name);
        let bytes =
            fs::read(&file).with_context(|| format!("cannot read {}", repo::shown(&file)))?;
        let machine = elf::wants(&bytes).map(|wants| wants.machine).unwrap_or_default();
        if !elf::is_elf(&bytes) || machine != platform.machine {
            bail!(
                "{} is not a program for {}; build it there, or name another folder with --binaries",
                repo::shown(&file),
                platform.name
            );
        }
        tree.program(shipped::program(bin, name).trim_start_matches('/'), bytes);
    }
    let config = fs::read(repo::path("docker/santa.toml"))?;
    tree.file(settings::FILE.trim_start_matches('/'), config);
    Ok(tree)
}

/// Fails at once when the programs are neither given nor can be built here.
pub(crate) fn possible(platform: Platform, given: Option<&Path>) -> Result<()> {
    if given.is_some() || platform.runs_here() {
        return Ok(());
    }
    let missing = missing(platform)?;
    if missing.is_empty() {
        return Ok(());
    }
    bail!(
        "this machine cannot build the programs for {}: {}. Or build them on such a machine (cargo xtask build --release) and hand them in with --binaries DIR",
        platform.name,
        missing.join("; ")
    )
}

fn build(platform: Platform) -> Result<PathBuf> {
    build::programs(true, (!platform.runs_here()).then_some(platform))
}

/// What cross-compiling needs and is not here, as things to do.
fn missing(platform: Platform) -> Result<Vec<String>> {
    let mut missing = Vec::new();
    let shell = run::shell()?;
    let system =
        run::output("ask rustc for its folder", xshell::cmd!(shell, "rustc --print sysroot"))?;
    if !Path::new(system.trim()).join("lib/rustlib").join(platform.rust).join("lib").exists() {
        missing.push(format!(
            "Rust's library for it is not installed (rustup target add {})",
            platform.rust
        ));
    }
    if run::find(platform.linker).is_none() {
        missing.push(format!(
            "the linker {} is not in PATH (on Debian: apt-get install {})",
            platform.linker, platform.linker_package
        ));
    }
    Ok(missing)
}
