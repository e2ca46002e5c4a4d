//! The scanners: which of them is there, and how each is run over an SBOM.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use xshell::cmd;
use xtask::{repo, run};

use super::report::{Format, Vulnerability};
use super::{Package, input};

/// The message where there is no scanner.
pub(super) const NONE: &str =
    "no scanner was found in PATH; install osv-scanner, grype or trivy, or name one with --scanner";

const KNOWN: [(&str, Format); 3] =
    [("osv-scanner", Format::OsvScanner), ("grype", Format::Grype), ("trivy", Format::Trivy)];

/// A scanner of this machine.
#[derive(Debug)]
pub(super) struct Scanner {
    program: PathBuf,
    format: Format,
}

/// What a scanner has found.
pub(super) struct Scan {
    pub(super) name: String,
    pub(super) found: Vec<Vulnerability>,
}

/// The scanner that is named, by its path or as it is called in PATH; else the first
/// known one in PATH, if there is any.
pub(super) fn choose(wanted: Option<&str>) -> Result<Option<Scanner>> {
    let Some(wanted) = wanted else {
        let found =
            |(name, format): (&str, Format)| Some(Scanner { program: run::find(name)?, format });
        return Ok(KNOWN.into_iter().find_map(found));
    };
    let program =
        run::find(wanted).with_context(|| format!("the scanner {wanted} was not found"))?;
    match format_of(&program) {
        Some(format) => Ok(Some(Scanner { program, format })),
        None => bail!(
            "{wanted} is none of the known scanners: osv-scanner, grype and trivy, by the name of the file"
        ),
    }
}

/// Which scanner a file is: release files have the platform after the name.
fn format_of(program: &Path) -> Option<Format> {
    let file = program.file_name()?.to_str()?;
    KNOWN.into_iter().find(|(name, _)| file.starts_with(name)).map(|(_, format)| format)
}

impl Scanner {
    /// Has it look at packages.
    pub(super) fn scan(&self, packages: &[Package]) -> Result<Scan> {
        let scans = repo::dev("cache/scan");
        fs::create_dir_all(&scans).context("cannot create .dev/cache/scan")?;
        // A folder of its own, for another scan may run.
        let folder =
            tempfile::tempdir_in(scans).context("cannot create a folder in .dev/cache/scan")?;
        let (name, document) = input::document(self.format, packages);
        let file = folder.path().join(name);
        fs::write(&file, document)
            .with_context(|| format!("cannot write {}", repo::shown(&file)))?;
        let (shell, program) = (run::shell()?, &self.program);
        let words = self.words(&file);
        let output = run::ended("scan for vulnerabilities", cmd!(shell, "{program} {words...}"))?;
        let name = program.file_name().unwrap_or_default().to_string_lossy().into_owned();
        // osv-scanner ends with 1 when it has found something, the others only with an option.
        let errors = String::from_utf8_lossy(&output.stderr);
        let last =
            errors.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("no message");
        ensure!(
            matches!(output.status.code(), Some(0 | 1)),
            "{name} ended with {}: {last}",
            output.status
        );
        let found = self.format.read(&String::from_utf8_lossy(&output.stdout));
        let found = found.with_context(|| format!("{name} made no report ({last})"))?;
        Ok(Scan { name, found })
    }

    fn words(&self, file: &Path) -> Vec<OsString> {
        let mut words: Vec<OsString> = match self.format {
            Format::OsvScanner => {
                ["scan", "source", "--format=json", "--lockfile"].map(Into::into).into()
            }
            Format::Grype => ["--quiet", "--output=json"].map(Into::into).into(),
            Format::Trivy => ["sbom", "--quiet", "--format=json"].map(Into::into).into(),
        };
        // The kind of the file, for the scanners that ask for it.
        let mut place = OsString::from(match self.format {
            Format::OsvScanner => "osv-scanner:",
            Format::Grype => "sbom:",
            Format::Trivy => "",
        });
        place.push(file);
        words.push(place);
        words
    }
}
