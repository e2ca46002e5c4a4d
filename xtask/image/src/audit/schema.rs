//! The bill of materials against the schema of CycloneDX, which the package
//! cyclonedx-python-lib contains: no network is needed.

use anyhow::{Context, Result};
use xshell::cmd;
use xtask::tools::uv;
use xtask::{cache, files, repo, run};

use super::super::sbom;
use super::archive::Image;
use super::finding::Finding;

const NAME: &str = "schema";

/// Reads a document on its standard input and prints a verdict.
const VALIDATE: &str = include_str!("validate.py");

/// Whether the bill of materials is valid. Where the schema cannot be installed that is
/// "not checked", but an error where `CI` is set.
pub(super) fn check(image: &Image) -> Result<Finding> {
    let text = image.text(sbom::PATH).unwrap_or_default();
    match problems(&text) {
        Ok(problems) => Ok(Finding::none(NAME, "the bill is valid CycloneDX 1.6", problems)),
        Err(error) if std::env::var_os("CI").is_some() || run::check().is_err() => Err(error),
        Err(error) => {
            let why = format!("{error:#}");
            Ok(Finding::not_checked(NAME, why.lines().next().unwrap_or_default()))
        }
    }
}

/// What is wrong with a document, if anything is.
fn problems(document: &str) -> Result<Vec<String>> {
    let requirements = repo::path("xtask/tools/sbom.txt");
    let tools = repo::dev("tools/sbom");
    let inputs = [files::text(&requirements)];
    cache::folder("CycloneDX's schemas", &tools, "cyclonedx", &inputs, |partial| {
        uv::ensure_installed()?.install("install CycloneDX's schemas", &requirements, partial)
    })?;
    let python = uv::machine_python()?;
    let shell = run::shell()?;
    shell.set_var("PYTHONPATH", &tools);
    let validate = cmd!(shell, "{python} -c {VALIDATE}");
    verdict(&run::output_of("validate the bill of materials", validate, document)?)
}

/// What the validator's answer means.
fn verdict(printed: &str) -> Result<Vec<String>> {
    match printed.trim() {
        "valid" => Ok(Vec::new()),
        other => {
            let wrong = other.strip_prefix("invalid: ");
            let wrong =
                wrong.context("the validator accepts an SBOM that is known to be invalid")?;
            Ok(vec![wrong.to_owned()])
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_validator_that_looks_is_believed() {
        assert_eq!(verdict("valid\n").expect("checked"), [""; 0]);
        assert_eq!(verdict("invalid: no type\n").expect("checked"), ["no type"]);
        for printed in ["blind\n", "", "Traceback"] {
            assert!(verdict(printed).is_err(), "{printed}");
        }
    }
}
