//! Byte code, compiled by the image's own interpreter. It is run through its own
//! loader and libraries, so neither root nor a container is needed, and it is kept
//! without byte code of its own: only then does it write the same bytes each time.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use xshell::{Cmd, Shell, cmd};

use super::tree::{Node, Tree};
use xtask::platform::Platform;
use xtask::{cache, files, repo, run};

/// Compiles a folder; the same for every tree.
const SCRIPT: &str = include_str!("compile.py");

/// An interpreter as in the image that this machine can execute.
pub(crate) struct Interpreter {
    root: PathBuf,
    platform: Platform,
    program: String,
}

impl Interpreter {
    /// Unpacks `base` (a base layer for this machine's processor, without byte
    /// code) unless that was done for the same `key` before. `program` is the path
    /// of Python in it.
    pub(crate) fn unpack(
        platform: Platform,
        key: &str,
        program: &Path,
        base: impl FnOnce() -> Result<Tree>,
    ) -> Result<Self> {
        if !platform.runs_here() {
            bail!(
                "byte code is written by the image's own Python, which only Linux on {} can execute here; use `docker build -f docker/Dockerfile .` instead",
                platform.machine
            );
        }
        let root = repo::dev("cache/python").join(platform.debian);
        cache::folder("the image's Python", &root, "", &[key.to_owned()], |partial| {
            base()?.write(partial)
        })?;
        let program = program.display().to_string().trim_start_matches('/').to_owned();
        Ok(Self { root, platform, program })
    }

    /// Adds the byte code of every source in the tree.
    pub(crate) fn compile(&self, tree: &mut Tree) -> Result<()> {
        let folder = repo::dev("cache").join(format!("compile-{}", std::process::id()));
        let result = self.compile_in(&folder, tree);
        files::remove(&folder)?;
        result
    }

    fn compile_in(&self, folder: &Path, tree: &mut Tree) -> Result<()> {
        files::remove(folder)?;
        let mut sources = tree.clone();
        sources.retain(|path, node| matches!(node, Node::File { .. }) && path.ends_with(".py"));
        let mut whole = Tree::default();
        whole.merge(sources);
        fs::create_dir_all(folder)
            .with_context(|| format!("cannot create {}", repo::shown(folder)))?;
        whole.write(folder)?;
        let script = folder.with_extension("py");
        fs::write(&script, SCRIPT)?;
        let shell = run::shell()?;
        let printed = run::output("write byte code", self.python(&shell).arg(&script).arg(folder));
        fs::remove_file(&script)?;
        let printed = printed?;
        if !printed.ends_with("failed 0\n") {
            bail!("some sources are not valid Python {printed}");
        }
        let mut found = Tree::default();
        found.read(folder, "")?;
        for (path, bytes) in found.files().filter(|(path, _)| path.ends_with(".pyc")) {
            tree.file(path.trim_start_matches('/'), bytes.clone());
        }
        Ok(())
    }

    /// The interpreter with an environment of its own.
    fn python<'a>(&self, shell: &'a Shell) -> Cmd<'a> {
        let root = &self.root;
        let loader = root.join(self.platform.loader);
        let libraries = root.join("usr/lib").join(self.platform.multiarch);
        let python = root.join(&self.program);
        cmd!(shell, "{loader} --library-path {libraries} {python} -S -s -B")
            .env_clear()
            .env("PYTHONHOME", root.join("usr"))
    }
}
