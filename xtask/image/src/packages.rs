//! The layer with the backend's Python packages: the hashed wheels of
//! `backend/requirements.txt` for the image's platform, without what only
//! developers and installers need.

use std::path::Path;

use anyhow::{Context, Result};

use super::elf;
use super::tree::{Node, Tree};
use xtask::commands::build;
use xtask::platform::Platform;
use xtask::{files, repo};

/// Sources of compiled modules, type stubs, bookkeeping of installers.
const ENDINGS: [&str; 12] = [
    ".pyi",
    ".pyx",
    ".pxd",
    ".pxi",
    ".c",
    ".cpp",
    ".h",
    ".hpp",
    ".lock",
    "/py.typed",
    ".exe",
    ".pyc",
];
const BOOKKEEPING: [&str; 5] =
    ["RECORD", "INSTALLER", "REQUESTED", "direct_url.json", "uv_cache.json"];
/// Parts that the backend never imports (a test looks), by the start of their path.
const UNUSED: [&str; 6] = [
    // 23 MB of functions that Santa's agents do not have; ext_strings is used
    "cel_expr_python/ext/ext_bindings.",
    "cel_expr_python/ext/ext_encoders.",
    "cel_expr_python/ext/ext_math.",
    "cel_expr_python/ext/ext_optional.",
    "cel_expr_python/ext/ext_proto.",
    // 6 MB of a build tool's folder that got into the wheel
    "bazel-project/",
];
const FOLDERS: [&str; 4] = ["tests", "test", "testing", "__pycache__"];

/// The packages under `prefix`, the path of the backend in the image.
pub(crate) fn tree(platform: Platform, prefix: &str) -> Result<Tree> {
    let folder = repo::dev("cache").join(format!("packages-{}", platform.debian));
    files::remove(&folder)?;
    build::packages(&folder, &platform.wheels())?;
    let result = read(&folder, prefix);
    files::remove(&folder)?;
    result
}

fn read(folder: &Path, prefix: &str) -> Result<Tree> {
    let mut all = Tree::default();
    all.read(folder, prefix)?;
    let mut tree = Tree::default();
    for (path, node) in all.entries() {
        let relative = path.strip_prefix(prefix).unwrap_or(path).trim_start_matches('/');
        match node {
            Node::File { bytes, .. } if wanted(relative) => {
                let stripped = match elf::is_elf(bytes) {
                    true => {
                        elf::strip(bytes).with_context(|| format!("cannot strip {relative}"))?
                    }
                    false => None,
                };
                tree.file(path, stripped.map_or_else(|| bytes.clone(), Into::into));
            }
            Node::Link(target) => tree.link(path, target),
            _ => {}
        }
    }
    Ok(tree)
}

/// Whether a file of a package is needed at run time.
fn wanted(path: &str) -> bool {
    let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
    let top = path.split('/').next().unwrap_or_default();
    if top == "bin" || (top.ends_with(".dist-info") && BOOKKEEPING.contains(&name)) {
        return false;
    }
    // Names of licences end in anything.
    if top.ends_with(".dist-info") {
        return true;
    }
    if UNUSED.iter().any(|unused| path.starts_with(unused)) {
        return false;
    }
    // Only below a package: `testing` itself could be one.
    let developers = folder.split('/').skip(1).any(|part| FOLDERS.contains(&part));
    !developers && !ENDINGS.iter().any(|ending| path.ends_with(ending))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_backend_does_not_import_what_is_left_out() {
        let mut backend = Tree::default();
        backend.read(&repo::path("backend/santaserver"), "").expect("read");
        for part in UNUSED {
            let module = part.trim_end_matches(['.', '/']).rsplit('/').next().unwrap_or_default();
            for (path, bytes) in backend.files() {
                let text = String::from_utf8_lossy(bytes);
                assert!(
                    !text.contains(module),
                    "{path} names {module}, which is left out of the image"
                );
            }
        }
    }

    #[test]
    fn what_runs_and_licences_stay_and_the_rest_goes() {
        for path in [
            "fastapi/applications.py",
            "asyncpg/protocol/protocol.cpython-313-x86_64-linux-gnu.so",
            "x-1.dist-info/METADATA",
            "x-1.dist-info/licenses/LICENSE.c",
            "greenlet.libs/libstdc++.so.6",
        ] {
            assert!(wanted(path), "{path}");
        }
        for path in [
            "bin/uvicorn",
            "bazel-project/external/x.py",
            "x-1.dist-info/RECORD",
            "greenlet/greenlet.cpp",
            "greenlet/tests/test_cpp.py",
            "sqlalchemy/testing/suite/x.py",
            "pydantic/py.typed",
        ] {
            assert!(!wanted(path), "{path}");
        }
    }
}
