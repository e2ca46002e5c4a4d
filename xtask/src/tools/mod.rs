//! What a fresh clone needs beyond Rust, Node and Python is installed here, pinned
//! by the lock files in `xtask/tools/` and kept in `.dev/tools/`. Nothing is
//! installed outside the repository.

pub(crate) mod browser;
pub(crate) mod docker;
pub mod hardened;
pub(crate) mod nextest;
pub mod node;
pub(crate) mod pgbouncer;
pub mod podman;
pub mod postgres;
pub(crate) mod promtool;
pub mod python;
pub mod system;
pub mod uv;

use std::path::PathBuf;

/// A lock file of the tools themselves.
fn lock(name: &str) -> PathBuf {
    crate::repo::path("xtask/tools").join(name)
}
