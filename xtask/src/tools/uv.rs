//! uv, which installs all Python packages: fetched as an ordinary package by
//! the machine's own Python.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use xshell::{Shell, cmd};

use super::lock;
use crate::{cache, files, repo, run};

/// The oldest Python that the backend runs on.
const OLDEST: (u32, u32) = (3, 11);

/// Names under which a Python may be found, the image's version first.
const NAMES: [&str; 6] =
    ["python3.13", "python3.12", "python3.14", "python3.11", "python3", "python"];

/// The machine's Python, version 3.11 or later.
pub fn machine_python() -> Result<PathBuf> {
    let found = NAMES
        .iter()
        .filter_map(|name| run::find(name))
        .find(|python| version(python).is_some_and(|found| found >= OLDEST));
    found.with_context(|| {
        format!("Python {}.{} or later is needed and none was found in PATH; install it (on Debian: apt-get install python3 python3-venv, on macOS: brew install python)", OLDEST.0, OLDEST.1)
    })
}

/// The version a Python says it has; a launcher that does not run has none.
pub(crate) fn version(python: &Path) -> Option<(u32, u32)> {
    let shell = run::shell().ok()?;
    let code = "import sys; print(*sys.version_info[:2])";
    let text = cmd!(shell, "{python} -c {code}").quiet().ignore_stderr().read().ok()?;
    let (major, minor) = text.split_once(' ')?;
    Some((major.parse().ok()?, minor.trim().parse().ok()?))
}

/// uv and the Python it works with.
pub struct Uv {
    program: PathBuf,
    /// The machine's own Python.
    pub python: PathBuf,
}

/// uv, installed on first use.
pub fn ensure_installed() -> Result<Uv> {
    let folder = repo::dev("tools/uv");
    let requirements = lock("uv.txt");
    cache::folder("uv", &folder, "bin/uv", &[files::text(&requirements)], |partial| {
        let pip = pip(&machine_python()?)?;
        let shell = run::shell()?;
        let install = cmd!(
            shell,
            "{pip} -m pip install --quiet --disable-pip-version-check --no-warn-script-location
             --root-user-action ignore --require-hashes --no-deps --target {partial} -r {requirements}"
        );
        run::output("install uv from the Python package index", install).map(drop)
    })?;
    Ok(Uv { program: folder.join("bin/uv"), python: machine_python()? })
}

impl Uv {
    /// A shell in which uv keeps its cache in the repository and reads no
    /// configuration of the user's. What is installed is linked to the cache, so that
    /// it is on the disk once; where the file system has no hard links, uv copies.
    pub fn shell(&self) -> Result<Shell> {
        let shell = run::shell()?;
        shell.set_var("UV_CACHE_DIR", repo::dev("cache/uv"));
        shell.set_var("UV_SYSTEM_CERTS", "1");
        shell.set_var("UV_NO_CONFIG", "1");
        Ok(shell)
    }

    /// uv itself.
    pub fn program(&self) -> &Path {
        &self.program
    }

    /// Installs exactly the hashed packages of `requirements` into the folder
    /// `target`. `what` completes "cannot …".
    pub fn install(&self, what: &str, requirements: &Path, target: &Path) -> Result<()> {
        let (shell, uv, python) = (self.shell()?, &self.program, &self.python);
        let install = cmd!(
            shell,
            "{uv} pip install --quiet --require-hashes --no-deps --link-mode hardlink
             --python {python} --target {target} -r {requirements}"
        );
        run::output(what, install).map(drop)
    }
}

/// A Python with pip: the machine's own, or a virtual environment of it.
fn pip(python: &Path) -> Result<PathBuf> {
    let shell = run::shell()?;
    if cmd!(shell, "{python} -m pip --version")
        .quiet()
        .ignore_stdout()
        .ignore_stderr()
        .run()
        .is_ok()
    {
        return Ok(python.to_owned());
    }
    let folder = repo::dev("tools/pip");
    let made =
        cache::folder("pip", &folder, "bin/python", &[python.display().to_string()], |partial| {
            run::output("create a virtual environment", cmd!(shell, "{python} -m venv {partial}"))
                .map(drop)
        });
    if let Err(error) = made {
        bail!(
            "{} has neither pip nor venv; install one (on Debian: apt-get install python3-pip or python3-venv)\n{error:#}",
            python.display()
        );
    }
    Ok(folder.join("bin/python"))
}
