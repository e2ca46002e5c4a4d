//! The base layer: the wanted files of the locked Debian packages, what belongs
//! to no package, and the byte code of Python's own library.

use std::fs;

use anyhow::{Context, Result};

use super::bytecode::Interpreter;
use super::pins::{self, Pin};
use super::rootfs::{self, Rootfs};
use super::tree::Tree;
use super::{deb, etc, hash, mirror};
use xtask::platform::Platform;
use xtask::{files, repo};

/// Where scanners look for the packages of an image without dpkg.
pub(crate) const STATUS: &str = "var/lib/dpkg/status.d";

/// The root filesystem and the packages for one platform.
pub(crate) struct Base {
    rootfs: Rootfs,
    pub(crate) pins: Vec<Pin>,
    platform: Platform,
    /// `--mirror`
    mirror: Option<String>,
    /// What it depends on.
    pub(crate) inputs: String,
}

impl Base {
    /// Reads docker/rootfs.toml and its lock.
    pub(crate) fn load(platform: Platform, mirror: Option<&str>) -> Result<Self> {
        let text = files::text(&repo::path(rootfs::FILE));
        let rootfs = Rootfs::parse(&text)?;
        let pins = pins::parse(&files::text(&repo::path(pins::FILE)))?;
        let pins = pins::for_architecture(&pins, platform.debian, rootfs.packages())?;
        let inputs = hash::Inputs::default()
            .add(text.as_bytes())
            .add(pins::format(&pins).as_bytes())
            .finish();
        Ok(Self { rootfs, pins, platform, mirror: mirror.map(str::to_owned), inputs })
    }

    /// The release by number, such as `13`.
    pub(crate) fn release(&self) -> &str {
        &self.rootfs.version
    }

    /// The tree without byte code.
    pub(crate) fn tree(&self) -> Result<Tree> {
        let files = mirror::fetch(&self.pins, self.mirror.as_deref())?;
        let mut tree = Tree::default();
        for (pin, file) in self.pins.iter().zip(files) {
            let bytes =
                fs::read(&file).with_context(|| format!("cannot read {}", repo::shown(&file)))?;
            let package = deb::read(&bytes, |path| self.rootfs.takes(&pin.name, path))
                .with_context(|| format!("cannot read the package {} {}", pin.name, pin.version))?;
            tree.merge(package.files);
            tree.file(&format!("{STATUS}/{}", pin.name), package.control.into_bytes());
        }
        etc::add(&mut tree, self.platform);
        Ok(tree)
    }

    /// The interpreter of this machine's own platform, of the same version.
    pub(crate) fn interpreter(&self, python: &std::path::Path) -> Result<Interpreter> {
        let here = Platform::of_this_machine()?;
        let own = if here == self.platform {
            None
        } else {
            Some(Self::load(here, self.mirror.as_deref())?)
        };
        let base = own.as_ref().unwrap_or(self);
        Interpreter::unpack(here, &base.inputs, python, || base.tree())
    }
}
