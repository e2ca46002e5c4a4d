//! The manifests in docker/k8s against the schemas of Kubernetes, which the package
//! kubernetes-validate contains: no cluster is needed, and no network.

use anyhow::{Result, ensure};
use xshell::cmd;

use crate::tools::uv;
use crate::{cache, files, repo, run};

const FOLDER: &str = "docker/k8s";
/// The oldest and the newest release that the manifests are for; the newest is that
/// of the package.
const VERSIONS: [&str; 2] = ["1.30", "1.37"];

/// Fails with the field that Kubernetes does not know or that has a wrong value.
pub(crate) fn check() -> Result<()> {
    let requirements = repo::path("xtask/tools/kubernetes.txt");
    let tools = repo::dev("tools/kubernetes");
    let inputs = [files::text(&requirements)];
    cache::folder("Kubernetes' schemas", &tools, "kubernetes_validate", &inputs, |partial| {
        uv::ensure_installed()?.install("install Kubernetes' schemas", &requirements, partial)
    })?;
    let python = uv::machine_python()?;
    let shell = run::shell()?;
    shell.set_var("PYTHONPATH", &tools);
    let files = &manifests()?;
    for version in VERSIONS {
        let validate = cmd!(
            shell,
            "{python} -m kubernetes_validate --strict --no-warn -k {version} {files...}"
        );
        let output = run::output(&format!("check {FOLDER} for Kubernetes {version}"), validate)?;
        let resources = output.matches("passed for resource").count();
        ensure!(resources >= files.len(), "kubernetes-validate looked at {resources} resources");
    }
    Ok(())
}

/// What `kubectl apply` takes, and the example that is copied and filled in.
fn manifests() -> Result<Vec<String>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(repo::path(FOLDER))? {
        files.push(entry?.path().display().to_string());
    }
    files.sort();
    ensure!(files.len() >= 3, "{FOLDER} has only {} files", files.len());
    Ok(files)
}
