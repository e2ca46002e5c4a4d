//! `cargo xtask image --verify`: reads an archive, whoever made it, and says in a
//! table what holds of it. [`checks`] and [`contents`] are the single rules, which
//! see plain data and touch nothing; [`schema`] and [`scan`] ask other programs.

mod archive;
mod checks;
mod contents;
mod finding;
mod provenance;
mod scan;
mod schema;

use std::path::Path;

use anyhow::{Context, Result, bail};

use finding::{Finding, Verdict};
use xtask::{progress, repo};

/// Prints the table of all checks; an error when one of them failed.
pub(crate) fn run(file: &Path, scanner: Option<&str>, key: Option<&Path>) -> Result<()> {
    let file = repo::root().join(file);
    let bytes =
        std::fs::read(&file).with_context(|| format!("cannot read {}", repo::shown(&file)))?;
    let image = archive::read(&bytes)
        .with_context(|| format!("{} is not a container image", repo::shown(&file)))?;
    let mut findings = checks::all(&image, &paths_of_this_machine())?;
    findings.extend(provenance::check(&image, &file, key)?);
    findings.push(schema::check(&image)?);
    findings.extend(scan::check(&image, scanner)?);
    xtask::out!("{}", table(&findings));
    let count = |verdict| findings.iter().filter(|finding| finding.verdict == verdict).count();
    let (failed, unknown) = (count(Verdict::Failed), count(Verdict::NotChecked));
    xtask::out!("\n{} hold, {failed} failed, {unknown} not checked", count(Verdict::Holds));
    if failed > 0 {
        bail!("{failed} checks of {} failed; the table says which", repo::shown(&file));
    }
    Ok(())
}

fn table(findings: &[Finding]) -> String {
    let lines = findings.iter().map(|finding| {
        let word = match finding.verdict {
            Verdict::Holds => progress::green("holds      "),
            Verdict::Failed => progress::red("FAILED     "),
            Verdict::NotChecked => progress::yellow("not checked"),
        };
        format!("{:<16} {word}  {}", finding.name, finding.detail)
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// Paths that must not have got into an image.
fn paths_of_this_machine() -> Vec<String> {
    let home = std::env::var("HOME").unwrap_or_default();
    let cargo = std::env::var("CARGO_HOME").unwrap_or_else(|_| format!("{home}/.cargo"));
    vec![repo::root().display().to_string(), cargo]
}
