//! An earlier state of this repository as one more subject: `--baseline CHECKOUT`
//! measures its programs in turn with those of today.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use xshell::cmd;
use xtask::{progress, run};

/// Where the benchmarks are, today and in earlier commits.
const FOLDERS: [&str; 2] = ["xtask/bench/src", "xtask/src/commands/bench"];

/// A checkout of an earlier commit, its programs built as they are shipped.
pub(crate) struct Baseline {
    root: PathBuf,
}

impl Baseline {
    /// Builds the programs of the checkout at `root`.
    ///
    /// # Errors
    /// When `root` is no checkout of this repository, or does not build.
    pub(crate) fn prepare(root: &Path) -> Result<Self> {
        let root = fs::canonicalize(root)
            .with_context(|| format!("cannot read the baseline {}", root.display()))?;
        ensure!(
            root.join("santa-proxy/Cargo.toml").is_file(),
            "{} is no checkout of this repository; make one: git worktree add DIR COMMIT",
            root.display()
        );
        progress::step("optimized programs of the baseline", || {
            let shell = run::shell_in(&root)?;
            let target = root.join("target");
            let build = cmd!(
                shell,
                "cargo build --quiet --locked --release --target-dir {target}
                 --bin santa-proxy --bin santa-supervise"
            );
            run::output("build the baseline", build).map(drop)
        })?;
        Ok(Self { root })
    }

    /// The folder of its programs.
    pub(crate) fn bin(&self) -> PathBuf {
        self.root.join("target/release")
    }

    /// A path in the checkout.
    pub(crate) fn path(&self, relative: &str) -> PathBuf {
        self.root.join(relative)
    }

    /// A file of the checkout's benchmarks: its programs may not know today's
    /// configuration keys.
    pub(crate) fn text(&self, relative: &str) -> Result<String> {
        let files = FOLDERS.map(|folder| self.path(folder).join(relative));
        let path = files.iter().find(|file| file.exists()).unwrap_or(&files[0]);
        fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
    }
}
