//! The browser of the end-to-end tests: the machine's own Chromium or Chrome.

use std::path::PathBuf;

use anyhow::{Context, Result};

use super::system;
use crate::run;

const NAMES: [&str; 4] = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];
const MAC: [&str; 2] = [
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
];

/// An installed browser.
pub(crate) fn find() -> Option<PathBuf> {
    let in_path = NAMES.iter().find_map(|name| run::find(name));
    in_path.or_else(|| MAC.iter().map(PathBuf::from).find(|path| path.exists()))
}

/// A browser, installed from the system's packages where that is possible.
pub(crate) fn ensure_installed() -> Result<PathBuf> {
    if let Some(found) = find() {
        return Ok(found);
    }
    if system::installs() {
        system::install("Chromium", &["chromium", "fonts-dejavu-core"])?;
    }
    find().context("a browser is needed for the end-to-end tests and none was found; install Chromium or Chrome (on Debian: sudo apt-get install chromium, on macOS: brew install --cask google-chrome)")
}
