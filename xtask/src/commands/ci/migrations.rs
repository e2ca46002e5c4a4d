//! squawk on the database's migrations: what would lock a table for long, or break the
//! release that still runs beside the new one. Its configuration is backend/.squawk.toml.

use anyhow::Result;
use xshell::cmd;

use crate::tools::uv;
use crate::{cache, files, repo, run};

/// squawk expands it, and fails when no file matches.
const FILES: &str = "santaserver/migrations/versions/*.sql";

/// Fails with the statements that squawk warns of.
pub(crate) fn check() -> Result<()> {
    let requirements = repo::path("xtask/tools/squawk.txt");
    let folder = repo::dev("tools/squawk");
    let inputs = [files::text(&requirements)];
    cache::folder("squawk", &folder, "bin/squawk", &inputs, |partial| {
        let what = "install squawk from the Python package index";
        uv::ensure_installed()?.install(what, &requirements, partial)
    })?;
    let squawk = folder.join("bin/squawk");
    let shell = run::shell_in(&repo::path("backend"))?;
    run::output("check the migrations", cmd!(shell, "{squawk} --config .squawk.toml {FILES}"))
        .map(drop)
}
