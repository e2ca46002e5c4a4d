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
/// Packages that others use only to build themselves, metadata included.
const BUILD_ONLY: [&str; 1] = ["pycparser"];
/// Parts that the backend never imports (a test looks), by the start of their path.
const UNUSED: [&str; 30] = [
    // 23 MB of functions that Santa's agents do not have; ext_strings is used
    "cel_expr_python/ext/ext_bindings.",
    "cel_expr_python/ext/ext_encoders.",
    "cel_expr_python/ext/ext_math.",
    "cel_expr_python/ext/ext_optional.",
    "cel_expr_python/ext/ext_proto.",
    // 6 MB of a build tool's folder that got into the wheel
    "bazel-project/",
    // compiles extensions; those of argon2 need only the module `_cffi_backend`
    "cffi/",
    // speaks to security keys, which is the browser's part, and knows their makers
    "fido2/attestation/",
    "fido2/client/",
    "fido2/ctap1.",
    "fido2/ctap2/",
    "fido2/hid/",
    "fido2/mds3.",
    "fido2/pcsc.",
    // clients and servers that come with their own input and output: uvicorn has its own
    "websockets/asyncio/",
    "websockets/legacy/",
    "websockets/sync/",
    "websockets/trio/",
    // a command line and its manual page
    "segno/cli.",
    // for type checkers, test runners and coding assistants
    "annotated_types/test_cases.",
    "anyio/pytest_plugin.",
    "asyncpg/_testbase/",
    "asyncpg/cluster.",
    "click/testing.",
    "fastapi/.agents/",
    "pydantic/mypy.",
    "pydantic/v1/_hypothesis_plugin.",
    "pydantic/v1/mypy.",
    "starlette/testclient.",
    "uvloop/_testbase.",
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
    let package = top.split_once('-').map_or(top, |(package, _)| package);
    if BUILD_ONLY.contains(&package) {
        return false;
    }
    if ["bin", "share"].contains(&top)
        || (top.ends_with(".dist-info") && BOOKKEEPING.contains(&name))
    {
        return false;
    }
    // Names of licenses end in anything.
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
        for (path, bytes) in backend.files().filter(|(path, _)| path.ends_with(".py")) {
            for line in String::from_utf8_lossy(bytes).lines() {
                for part in UNUSED.iter().chain(&BUILD_ONLY) {
                    assert!(!imports(line, part), "{path} needs what is left out: {line}");
                }
            }
        }
    }

    /// Whether a line of Python imports the module at this path.
    fn imports(line: &str, path: &str) -> bool {
        let line = line.trim_start();
        let words: Vec<&str> = line.split(|c: char| !c.is_alphanumeric() && c != '_').collect();
        let mut names = path.trim_end_matches(['.', '/']).split('/');
        (line.starts_with("import ") || line.starts_with("from "))
            && names.all(|name| words.contains(&name))
    }

    #[test]
    fn an_import_is_recognized_in_each_form() {
        let path = "cel_expr_python/ext/ext_math.";
        for line in [
            "import cel_expr_python.ext.ext_math as math",
            "    from cel_expr_python.ext import ext_math, ext_strings",
            "from cel_expr_python.ext.ext_math import Math",
        ] {
            assert!(imports(line, path), "{line}");
        }
        for line in
            ["from cel_expr_python.ext import ext_strings", "# cel_expr_python ext ext_math"]
        {
            assert!(!imports(line, path), "{line}");
        }
    }

    #[test]
    fn what_runs_and_licenses_stay_and_the_rest_goes() {
        for path in [
            "fastapi/applications.py",
            "fido2/public_suffix_list.dat",
            "fido2/server.py",
            "asyncpg/protocol/protocol.cpython-313-x86_64-linux-gnu.so",
            "x-1.dist-info/METADATA",
            "x-1.dist-info/licenses/LICENSE.c",
            "httptools.libs/libstdc++.so.6",
            "_cffi_backend.cpython-313-x86_64-linux-gnu.so",
            "cffi-2.dist-info/METADATA",
            "websockets/server.py",
        ] {
            assert!(wanted(path), "{path}");
        }
        for path in [
            "bin/uvicorn",
            "share/man/man1/segno.1",
            "fido2/client/windows.py",
            "bazel-project/external/x.py",
            "x-1.dist-info/RECORD",
            "httptools/parser/parser.cpp",
            "httptools/tests/test_parser.py",
            "pydantic/testing/suite/x.py",
            "pydantic/py.typed",
            "cffi/recompiler.py",
            "pycparser/ply/yacc.py",
            "pycparser-3.12.dist-info/METADATA",
            "websockets/legacy/server.py",
            "starlette/testclient.py",
        ] {
            assert!(!wanted(path), "{path}");
        }
    }
}
