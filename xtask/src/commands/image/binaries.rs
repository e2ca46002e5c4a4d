//! The last layer: the two Rust programs, the house plan, the licences and the
//! bill of materials.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use super::platform::Platform;
use super::tree::Tree;
use super::{hash, settings};
use crate::commands::build;
use crate::{repo, run};

const NAMES: [&str; 2] = ["santa-proxy", "santa-supervise"];

/// Everything that the programs are made of.
pub(crate) fn inputs(given: Option<&Path>) -> Result<String> {
    if let Some(folder) = given {
        return Ok(hash::Inputs::default().files(folder)?.finish());
    }
    let toolchain = std::env::var("RUSTUP_TOOLCHAIN").unwrap_or_default();
    let mut inputs = hash::Inputs::default().add(toolchain.as_bytes());
    for part in ["Cargo.toml", "Cargo.lock", "docker/config", "santa-proxy", "santa-supervise"] {
        inputs = inputs.files(&repo::path(part))?;
    }
    Ok(inputs.finish())
}

/// The programs and the house plan.
pub(crate) fn tree(platform: Platform, given: Option<&Path>, bin: &Path) -> Result<Tree> {
    let folder = match given {
        Some(folder) => folder.to_owned(),
        None => build(platform)?,
    };
    let mut tree = Tree::default();
    for name in NAMES {
        let file = folder.join(name);
        let bytes =
            fs::read(&file).with_context(|| format!("cannot read {}", repo::shown(&file)))?;
        let machine = super::elf::wants(&bytes).map(|wants| wants.machine).unwrap_or_default();
        if !super::elf::is_elf(&bytes) || machine != platform.machine {
            bail!(
                "{} is not a program for {}; build it there, or name another folder with --binaries",
                repo::shown(&file),
                platform.name
            );
        }
        tree.program(settings::program(bin, name).trim_start_matches('/'), bytes);
    }
    let plan = fs::read(repo::path("docker/santa.toml"))?;
    tree.file(settings::PLAN.trim_start_matches('/'), plan);
    Ok(tree)
}

/// Builds the programs, or says what is missing on this machine for that.
fn build(platform: Platform) -> Result<PathBuf> {
    if platform.runs_here() {
        return build::programs(true, None);
    }
    let missing = missing(platform)?;
    if !missing.is_empty() {
        bail!(
            "this machine cannot build the programs for {}: {}. Or build them on such a machine (cargo xtask build --release) and hand them in with --binaries DIR",
            platform.name,
            missing.join("; ")
        );
    }
    build::programs(true, Some(platform))
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
