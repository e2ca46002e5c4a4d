//! `cargo xtask image`: the whole product as one OCI image, without a container
//! engine and without root, the same bytes for the same commit. This file is the
//! order of things; each layer has a file of its own.

mod audit;
mod base;
mod binaries;
mod budget;
mod bytecode;
mod deb;
mod elf;
mod etc;
pub(crate) mod hash;
mod layer;
mod load;
mod lock;
mod maker;
mod mirror;
mod notices;
mod oci;
mod packages;
pub(crate) mod platform;
mod recipe;
mod sbom;
pub(crate) mod settings;
mod tree;
mod update;

use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use anyhow::{Context, Result};

use crate::{progress, repo, run, stamp};
use base::Base;
use layer::{Compression, Layer};
use maker::Maker;
use oci::Image;
use platform::Platform;
use settings::Source;
use tree::Tree;

#[derive(clap::Args, Default)]
#[command(
    after_help = "Examples:\n  cargo xtask image\n  cargo xtask image --load podman\n  cargo xtask image --platform linux/arm64 --binaries dist/arm64\n  \
    cargo xtask image --verify dist/santaserver.oci.tar\n  cargo xtask image --update-lock\n\n\
    The archive is loaded by `docker load`, `podman load` and skopeo. Two runs on one commit give the same digest."
)]
/// Make the container image, without a container engine
pub(crate) struct Args {
    /// Name and tag of the image
    #[arg(long, default_value = "santaserver:unified")]
    tag: String,
    /// The archive to write
    #[arg(long, value_name = "FILE", default_value = "dist/santaserver.oci.tar")]
    output: PathBuf,
    /// Write only the root filesystem, into this new folder
    #[arg(long, value_name = "DIR")]
    tree: Option<PathBuf>,
    /// Hand the image to an engine of this machine
    #[arg(long, value_name = "ENGINE", value_parser = ["docker", "podman"])]
    load: Option<String>,
    /// linux/amd64 or linux/arm64 [default: this machine's processor]
    #[arg(long)]
    platform: Option<String>,
    /// Programs that were built elsewhere, instead of building them
    #[arg(long, value_name = "DIR")]
    binaries: Option<PathBuf>,
    /// Debian's main archive [default: the one in this machine's apt sources]
    #[arg(long, value_name = "URL")]
    mirror: Option<String>,
    /// How layers are compressed
    #[arg(long, value_enum, default_value = "zstd")]
    compression: Compression,
    /// Pin the current versions of Debian's packages in docker/rootfs.lock and stop
    #[arg(long, conflicts_with_all = ["tree", "load", "verify"])]
    update_lock: bool,
    /// Check an existing archive instead of making one
    #[arg(long, value_name = "FILE", conflicts_with_all = ["tree", "load"])]
    verify: Option<PathBuf>,
    /// For --verify: known vulnerabilities, as OSV records in a file or a folder of folders
    #[arg(long, value_name = "PATH", requires = "verify")]
    advisories: Option<PathBuf>,
}

/// Makes the image, or renews the lock, or checks an archive.
pub(crate) fn run(args: &Args) -> Result<()> {
    run::catch_interrupts()?;
    if args.update_lock {
        let recipe = recipe::Recipe::parse(&stamp::text(&repo::path(recipe::FILE)))?;
        return update::run(&recipe, args.mirror.as_deref());
    }
    if let Some(file) = &args.verify {
        return audit::run(file, args.advisories.as_deref());
    }
    let image = make(args)?;
    if let Some(folder) = &args.tree {
        return progress::step(&repo::shown(folder), || write_tree(&image, folder));
    }
    let output = repo::root().join(&args.output);
    progress::step(&repo::shown(&output), || image.write_archive(&output))?;
    if let Some(engine) = &args.load {
        progress::step(engine, || load::into(&run::shell()?, engine, &image, &output))?;
    }
    out!("{}\n{} {}", budget::table(&image), args.tag, image.digest());
    budget::check(&image)
}

/// Makes the image for this machine's processor and writes it, for the checks.
pub fn write(tag: &str, archive: &Path) -> Result<()> {
    let _alone = alone();
    let image = make(&Args { tag: tag.to_owned(), ..Args::default() })?;
    image.write_archive(archive)?;
    budget::check(&image)
}

/// Checks an archive, for the checks; `SANTA_ADVISORIES` may name a database of
/// vulnerabilities.
pub(crate) fn verify(archive: &Path) -> Result<()> {
    let advisories = std::env::var_os("SANTA_ADVISORIES").filter(|value| !value.is_empty());
    audit::run(archive, advisories.as_deref().map(Path::new))
}

/// Writes the root filesystem into a folder, for the checks.
pub(crate) fn tree(folder: &Path) -> Result<()> {
    let _alone = alone();
    stamp::remove(folder)?;
    write_tree(&make(&Args::default())?, folder)
}

/// This machine's mirror of Debian's main archive.
pub(crate) fn debian_archive() -> Result<String> {
    Ok(mirror::Mirror::choose(None)?.archives()[0].to_owned())
}

/// Puts the programs of Debian's packages into a folder, for the checks.
pub(crate) fn unpack_packages(suite: &str, names: &[&str], folder: &Path) -> Result<()> {
    update::unpack(suite, names, folder)
}

/// Fails when the byte code of the backend depends on anything but its sources.
pub(crate) fn byte_code_is_deterministic() -> Result<()> {
    let base = Base::load(Platform::of_this_machine()?, None)?;
    let interpreter = base.interpreter(&settings::plan()?.paths.python)?;
    let mut sources = Tree::default();
    sources.read(&repo::path("backend/santaserver"), "app/santaserver")?;
    sources.retain(|path, _| !path.contains("__pycache__"));
    let mut whole = sources.clone();
    interpreter.compile(&mut whole)?;
    // Half of the modules, over byte code that is already there.
    let mut half = whole.clone();
    let mut odd = false;
    half.retain(|path, _| {
        odd = !odd;
        odd || !path.ends_with(".py")
    });
    let mut again = Tree::default();
    again.merge(half);
    interpreter.compile(&mut again)?;
    let differing: Vec<&str> = again
        .files()
        .filter(|(path, bytes)| {
            path.ends_with(".pyc") && whole.get(path).is_none_or(|node| !node.holds(bytes))
        })
        .map(|(path, _)| path)
        .collect();
    anyhow::ensure!(
        differing.is_empty(),
        "byte code differs from run to run: {}",
        differing.join(", ")
    );
    // It is not compared with its source at run time, so a stale one would be run.
    let (source, compiled) =
        ("app/santaserver/clock.py", "app/santaserver/__pycache__/clock.cpython-313.pyc");
    again.file(source, *b"now = None\n");
    interpreter.compile(&mut again)?;
    let stale = again.get(compiled).zip(whole.get(compiled)).is_none_or(
        |(one, other)| matches!(other, tree::Node::File { bytes, .. } if one.holds(bytes)),
    );
    anyhow::ensure!(!stale, "a changed source keeps the byte code of the one before");
    Ok(())
}

/// Waits until no other check makes the image: both would write the same files.
fn alone() -> MutexGuard<'static, ()> {
    static ONE: Mutex<()> = Mutex::new(());
    ONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// All layers, put together.
fn make(args: &Args) -> Result<Image> {
    let platform = match &args.platform {
        Some(name) => Platform::named(name)?,
        None => Platform::of_this_machine()?,
    };
    binaries::possible(platform, args.binaries.as_deref())?;
    let maker = Maker {
        platform,
        plan: settings::plan()?,
        base: Base::load(platform, args.mirror.as_deref())?,
        compression: args.compression,
        binaries: args.binaries.clone(),
        code: hash::Inputs::default().files(&repo::path("xtask/src/commands/image"))?.finish(),
    };
    let layers = maker.layers()?;
    let source = Source::find()?;
    let settings = settings::config(&maker.plan, &source)?;
    Ok(Image::new(&args.tag, platform, layers, &settings, &source.created))
}

/// A layer as a tree again.
fn unpack(layer: &Layer) -> Result<Tree> {
    let bytes = std::fs::read(&layer.file)
        .with_context(|| format!("cannot read {}", repo::shown(&layer.file)))?;
    layer::unarchive(&layer::decompress(&bytes)?)
}

/// Writes the root filesystem into a new folder.
fn write_tree(image: &Image, folder: &Path) -> Result<()> {
    let folder = repo::root().join(folder);
    let occupied = std::fs::read_dir(&folder).is_ok_and(|mut entries| entries.next().is_some());
    anyhow::ensure!(!occupied, "{} is not empty; name a new folder", repo::shown(&folder));
    let mut tree = Tree::default();
    for layer in &image.layers {
        tree.merge(unpack(layer)?);
    }
    std::fs::create_dir_all(&folder)?;
    tree.write(&folder)
}
