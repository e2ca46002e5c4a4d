//! The virtual environment in which the backend runs and is tested here.

use std::path::PathBuf;

use anyhow::Result;
use xshell::cmd;

use super::uv;
use crate::{cache, files, repo, run};

/// The interpreter of the environment; it exists after [`ensure_installed`].
pub fn interpreter() -> PathBuf {
    repo::dev("venv/bin/python")
}

/// Makes the environment with exactly the packages of
/// `backend/requirements-dev.txt`.
pub fn ensure_installed() -> Result<PathBuf> {
    let requirements = repo::path("backend/requirements-dev.txt");
    let folder = repo::dev("venv");
    let inputs = [files::text(&requirements)];
    // The proof is a link that leads nowhere when the Python that it was made from is gone.
    cache::folder("Python packages", &folder, "bin/python", &inputs, |partial| {
        let tool = uv::ensure_installed()?;
        let (shell, uv, python) = (tool.shell()?, tool.program(), &tool.python);
        let venv = cmd!(
            shell,
            "{uv} venv --quiet --clear --relocatable --no-python-downloads --python {python} {partial}"
        );
        run::output("create the virtual environment", venv)?;
        let target = partial.join("bin/python");
        let sync = cmd!(
            shell,
            "{uv} pip sync --quiet --require-hashes --compile-bytecode --link-mode hardlink
             --python {target} {requirements}"
        );
        run::output("install the backend's packages", sync).map(drop)
    })?;
    Ok(interpreter())
}
