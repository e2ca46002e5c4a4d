//! The five layers: what each depends on and how its tree is made.

use std::path::{Path, PathBuf};

use anyhow::Result;
use santa_config::Config;

use super::base::Base;
use super::layer::{Layer, LayerSpec};
use super::tree::Tree;
use super::{binaries, hash, notices, packages, sbom, unpack};
use xtask::commands::build;
use xtask::commands::image::Compression;
use xtask::platform::Platform;
use xtask::repo;

/// Where licenses of our own parts are in the image.
const DOCUMENTS: &str = "usr/share/doc/santaserver";

/// How hard layers are compressed that change seldom and often.
const SELDOM: i32 = 9;
const OFTEN: i32 = 3;

/// What all layers are made with.
pub(crate) struct Builder {
    pub(crate) platform: Platform,
    pub(crate) config: Config,
    pub(crate) base: Base,
    pub(crate) compression: Compression,
    pub(crate) binaries: Option<PathBuf>,
    /// SHA-256 of the sources of this command: other code makes other layers.
    pub(crate) code: String,
}

impl Builder {
    fn spec<'a>(&self, name: &'a str, level: i32, inputs: hash::Inputs) -> LayerSpec<'a> {
        let paths = format!("{:?} {}", self.config.paths, self.platform.name);
        let inputs = inputs.add(self.code.as_bytes()).add(paths.as_bytes()).finish();
        LayerSpec { name, inputs, compression: self.compression, level }
    }

    /// A path of the configuration in the image's tree.
    fn path(path: &Path) -> String {
        path.display().to_string().trim_start_matches('/').to_owned()
    }

    fn compile(&self, tree: &mut Tree) -> Result<()> {
        self.base.interpreter(&self.config.paths.python)?.compile(tree)
    }

    /// All layers, those that change seldom first. The programs take longest to
    /// build and wait for nothing, so they are built beside the others.
    pub(crate) fn layers(&self) -> Result<Vec<Layer>> {
        std::thread::scope(|scope| {
            let programs =
                scope.spawn(|| binaries::programs(self.platform, self.binaries.as_deref()));
            let (base, packages) = (self.base()?, self.packages()?);
            let (console, backend) = (self.console()?, self.backend()?);
            let programs = programs
                .join()
                .map_err(|_| anyhow::anyhow!("building the programs panicked"))??;
            let binaries = self.binaries(&base, &packages, &programs)?;
            Ok(vec![base, packages, console, backend, binaries])
        })
    }

    fn base(&self) -> Result<Layer> {
        let inputs = hash::Inputs::default().add(self.base.inputs.as_bytes());
        self.spec("base", SELDOM, inputs).layer(|| {
            let mut tree = self.base.tree()?;
            self.compile(&mut tree)?;
            Ok(tree)
        })
    }

    fn packages(&self) -> Result<Layer> {
        let inputs = hash::Inputs::default()
            .add(self.base.inputs.as_bytes())
            .files(&repo::path("backend/requirements.txt"))?;
        self.spec("packages", SELDOM, inputs).layer(|| {
            let mut tree = packages::tree(self.platform, &Self::path(&self.config.paths.app))?;
            self.compile(&mut tree)?;
            Ok(tree)
        })
    }

    fn console(&self) -> Result<Layer> {
        let inputs = hash::Inputs::default().files(&repo::path("frontend"))?;
        self.spec("console", OFTEN, inputs).layer(|| {
            build::console()?;
            let mut tree = Tree::default();
            tree.read(&repo::dist("www"), &Self::path(&self.config.paths.www))?;
            let texts = notices::texts(&notices::console()?);
            tree.file(&format!("{DOCUMENTS}/console-libraries.txt"), texts.into_bytes());
            Ok(tree)
        })
    }

    fn backend(&self) -> Result<Layer> {
        let sources = repo::path("backend/santaserver");
        let inputs = hash::Inputs::default().add(self.base.inputs.as_bytes()).files(&sources)?;
        self.spec("backend", OFTEN, inputs).layer(|| {
            let mut tree = Tree::default();
            let paths = &self.config.paths;
            tree.read(&sources, &format!("{}/santaserver", Self::path(&paths.app)))?;
            let command = command_line(&paths.python, &paths.app).into_bytes();
            tree.program(&format!("{}/santaserver", Self::path(&paths.bin)), command);
            tree.retain(|path, _| !path.contains("__pycache__"));
            self.compile(&mut tree)?;
            Ok(tree)
        })
    }

    fn binaries(&self, base: &Layer, packages: &Layer, programs: &Path) -> Result<Layer> {
        let inputs = hash::Inputs::default()
            .files(programs)?
            .add(base.diff_id.as_bytes())
            .add(packages.diff_id.as_bytes())
            .files(&repo::path("docker/santa.toml"))?
            .files(&repo::path("frontend/package-lock.json"))?;
        self.spec("binaries", OFTEN, inputs).layer(|| {
            let mut tree = binaries::tree(self.platform, programs, &self.config.paths.bin)?;
            let rust = notices::crates(self.platform)?;
            tree.file(
                &format!("{DOCUMENTS}/rust-libraries.txt"),
                notices::texts(&rust).into_bytes(),
            );
            tree.file(&format!("{DOCUMENTS}/copyright"), std::fs::read(repo::path("LICENSE"))?);
            let parts = sbom::Parts {
                release: self.base.release(),
                debian: &self.base.pins,
                base: &unpack(base)?,
                python: sbom::python(&unpack(packages)?),
                rust,
                console: notices::console()?,
            };
            tree.file(sbom::PATH, sbom::document(&parts).into_bytes());
            Ok(tree)
        })
    }
}

/// The program `santaserver`: the backend's command line from any directory. The kernel
/// starts its interpreter; there is no shell.
fn command_line(python: &Path, app: &Path) -> String {
    format!(
        "#!{} -I\nimport sys\n\nsys.path.insert(0, {:?})\nfrom santaserver.__main__ import main\n\n\
         sys.exit(main())\n",
        python.display(),
        app.display().to_string(),
    )
}
