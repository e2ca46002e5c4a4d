//! `cargo xtask image`: the whole product as one OCI image, without a container
//! engine and without root, the same bytes for the same commit. This file is the
//! order of things; each layer has a file of its own.

mod audit;
mod base;
mod binaries;
mod budget;
mod builder;
mod bytecode;
mod deb;
pub mod debian;
mod elf;
mod etc;
mod hash;
mod layer;
mod load;
mod mirror;
mod notices;
mod oci;
mod packages;
mod pins;
mod provenance;
mod rootfs;
mod sbom;
mod settings;
mod tree;
mod update;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result};

use base::Base;
use builder::Builder;
use clap::Parser as _;
use layer::Layer;
use oci::Image;
use provenance::key::SigningKey;
use settings::Source;
use tree::Tree;
use xtask::Engines;
use xtask::commands::image::{Args, Task};
use xtask::lock::{self, Held};
use xtask::platform::Platform;
use xtask::{files, progress, repo, run, shipped};

/// Command line of the program.
#[derive(clap::Parser)]
#[command(
    name = "cargo xtask image",
    bin_name = "cargo xtask image",
    args_conflicts_with_subcommands = true
)]
struct Cli {
    #[command(flatten)]
    args: Args,
    #[command(subcommand)]
    task: Option<Task>,
}

/// The program behind `cargo xtask image`.
pub fn main() -> ExitCode {
    xtask::part(Engines::Users, || {
        let cli = Cli::parse();
        run::catch_interrupts()?;
        cli.task.as_ref().map_or_else(|| run(&cli.args), carry_out)
    })
}

fn carry_out(task: &Task) -> Result<()> {
    match task {
        Task::Unpack { folder, packages } => {
            let names: Vec<&str> = packages.iter().map(String::as_str).collect();
            update::unpack(&names, folder)
        }
        Task::Root { name, packages } => {
            let archive = debian::root(name, packages)?;
            xtask::out!("{}", repo::shown(&archive));
            Ok(())
        }
        Task::ByteCode => byte_code_is_deterministic(),
    }
}

/// Makes the image, or renews the lock, or checks an archive.
fn run(args: &Args) -> Result<()> {
    if args.update_lock {
        let rootfs = rootfs::Rootfs::parse(&files::text(&repo::path(rootfs::FILE)))?;
        return update::run(&rootfs, args.mirror.as_deref());
    }
    if let Some(file) = &args.verify {
        return audit::run(file, args.scanner.as_deref(), args.verify_key.as_deref());
    }
    let _alone = alone()?;
    let key = args.sign_key.as_deref().map(SigningKey::read).transpose()?;
    let source = Source::find()?;
    let image = make(args, &source)?;
    if let Some(folder) = &args.tree {
        return progress::step(&repo::shown(folder), || write_tree(&image, folder));
    }
    let output = repo::root().join(&args.output);
    progress::step(&repo::shown(&output), || {
        image.write_archive(&output)?;
        provenance::write(&image, &source, args.binaries.is_some(), &output, key.as_ref())?;
        write_sbom(&image, &output)
    })?;
    if let Some(engine) = &args.load {
        progress::step(engine, || load::into(&run::shell()?, engine, &image, &output))?;
    }
    xtask::out!("{}\n{} {}", budget::table(&image), args.tag, image.digest());
    budget::check(&image)
}

/// Writes the bill of materials that is in the image beside its archive, too.
fn write_sbom(image: &Image, archive: &Path) -> Result<()> {
    for layer in image.layers.iter().rev() {
        if let Some(tree::Node::File { bytes, .. }) = unpack(layer)?.get(sbom::PATH) {
            let mut name = archive.as_os_str().to_owned();
            name.push(".sbom.json");
            let file = PathBuf::from(name);
            return std::fs::write(&file, bytes)
                .with_context(|| format!("cannot write {}", repo::shown(&file)));
        }
    }
    anyhow::bail!("the image has no /{}", sbom::PATH)
}

/// Makes the image for this machine's processor and writes it, for the checks.
pub fn write(tag: &str, archive: &Path) -> Result<()> {
    let _alone = alone()?;
    let source = Source::find()?;
    let image = make(&Args { tag: tag.to_owned(), ..Args::default() }, &source)?;
    image.write_archive(archive)?;
    provenance::write(&image, &source, false, archive, None)?;
    budget::check(&image)
}

/// This machine's mirror of Debian's main archive.
fn debian_archive() -> Result<String> {
    Ok(mirror::Mirror::choose(None)?.archives()[0].to_owned())
}

/// Fails when the byte code of the backend depends on anything but its sources.
fn byte_code_is_deterministic() -> Result<()> {
    let base = Base::load(Platform::of_this_machine()?, None)?;
    let interpreter = base.interpreter(&shipped::configuration()?.paths.python)?;
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

/// Waits until no other process builds the image: both would write the same files.
fn alone() -> Result<Held> {
    lock::hold(&repo::dev("cache/layers"))
}

/// All layers, put together.
fn make(args: &Args, source: &Source) -> Result<Image> {
    let platform = match &args.platform {
        Some(name) => Platform::named(name)?,
        None => Platform::of_this_machine()?,
    };
    binaries::possible(platform, args.binaries.as_deref())?;
    let builder = Builder {
        platform,
        config: shipped::configuration()?,
        base: Base::load(platform, args.mirror.as_deref())?,
        compression: args.compression,
        binaries: args.binaries.clone(),
        code: hash::Inputs::default().files(&repo::path("xtask/image/src"))?.finish(),
    };
    let layers = builder.layers()?;
    let settings = settings::config(&builder.config, source)?;
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
