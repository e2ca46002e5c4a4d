//! Every path of the repository, as functions. `dist/` holds what is built,
//! `.dev/` what the development loop keeps.

use std::path::{Path, PathBuf};

/// The repository's root.
pub(crate) fn root() -> &'static Path {
    // The manifest's directory is known when this crate is compiled; a copy of
    // the repository compiles its own xtask.
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new("."))
}

/// A path in the repository.
pub(crate) fn path(relative: &str) -> PathBuf {
    root().join(relative)
}

/// What the development loop keeps: database, sockets, logs, tools.
pub(crate) fn dev(relative: &str) -> PathBuf {
    let folder = root().join(".dev");
    if relative.is_empty() { folder } else { folder.join(relative) }
}

/// What is built.
pub(crate) fn dist(relative: &str) -> PathBuf {
    root().join("dist").join(relative)
}

/// Where cargo puts what it builds.
pub(crate) fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| root().join("target"), |dir| root().join(dir))
}

/// A path as people read it: relative to the repository where it lies inside.
pub(crate) fn shown(path: &Path) -> String {
    path.strip_prefix(root()).unwrap_or(path).display().to_string()
}

/// A folder with a short path that stands for `folder`: the paths of Unix
/// sockets are limited, and a repository may lie deep.
pub(crate) fn short(folder: &Path) -> PathBuf {
    let bytes = folder.as_os_str().as_encoded_bytes();
    let number =
        bytes.iter().fold(0u64, |sum, byte| sum.wrapping_mul(31).wrapping_add(u64::from(*byte)));
    PathBuf::from(format!("/tmp/santaserver-{number:x}"))
}
