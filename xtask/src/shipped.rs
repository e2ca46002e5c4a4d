//! docker/santa.toml as the container reads it.

use std::path::Path;

use anyhow::Result;
use santa_config::{Config, Env};

use crate::repo;

/// The configuration, with no variables set.
pub fn configuration() -> Result<Config> {
    Ok(santa_config::load(&repo::path("docker/santa.toml"), &Env::new())?)
}

/// The path of one of the two programs.
pub fn program(bin: &Path, name: &str) -> String {
    bin.join(name).display().to_string()
}
