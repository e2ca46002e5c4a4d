//! `cargo xtask doctor`: what is installed, what is missing, and the exact
//! command that helps.

use anyhow::Result;
use xshell::cmd;

use crate::tools::{browser, node, postgres, uv};
use crate::{progress, repo, run};

/// What a fresh clone takes up after its first start, with some room for work.
const FIRST_START: u64 = 2_500_000_000;

#[derive(clap::Args)]
#[command(after_help = "Example:\n  cargo xtask doctor")]
/// Report what is installed, what is missing and how to get it
pub(crate) struct Args {}

/// One line of the report.
struct Finding {
    name: &'static str,
    /// What was found, or nothing.
    found: Option<String>,
    /// What helps when nothing was found.
    remedy: &'static str,
    /// Whether `cargo xtask dev` cannot do without it.
    needed: bool,
}

/// Prints the report; fails when something needed is missing.
pub(crate) fn run(_: &Args) -> Result<()> {
    let findings = findings();
    for finding in &findings {
        match (&finding.found, finding.needed) {
            (Some(found), _) => out!("{} {:<14} {found}", progress::green("✓"), finding.name),
            (None, true) => {
                out!("{} {:<14} missing: {}", progress::red("✗"), finding.name, finding.remedy)
            }
            (None, false) => {
                out!("{} {:<14} {}", progress::dim("·"), finding.name, finding.remedy)
            }
        }
    }
    let missing =
        findings.iter().filter(|finding| finding.needed && finding.found.is_none()).count();
    anyhow::ensure!(missing == 0, "{missing} of what `cargo xtask dev` needs is missing");
    Ok(())
}

fn says(program: &str, args: &[&str]) -> Option<String> {
    let shell = run::shell().ok()?;
    let text = cmd!(shell, "{program} {args...}").quiet().ignore_stderr().read().ok()?;
    text.lines().next().map(str::to_owned)
}

fn installed(path: &str) -> Option<String> {
    repo::dev(path).exists().then(|| format!("in .dev/{path}"))
}

/// The free space of the repository's disk, when it is enough or nothing is to be
/// installed any more.
fn disk() -> Option<String> {
    let about = rustix::fs::statvfs(repo::root()).ok()?;
    let free = about.f_bavail.saturating_mul(about.f_frsize);
    let enough = free >= FIRST_START || installed("venv").is_some();
    enough.then(|| format!("{} MB free", free / 1_000_000))
}

fn findings() -> Vec<Finding> {
    vec![
        Finding {
            name: "Rust",
            found: says("cargo", &["--version"]),
            remedy: "install Rust: https://rustup.rs",
            needed: true,
        },
        Finding {
            name: "C compiler",
            found: says("cc", &["--version"]),
            remedy: "install one (Debian: apt-get install gcc libc6-dev, Fedora: dnf install gcc, macOS: xcode-select --install)",
            needed: true,
        },
        Finding {
            name: "disk",
            found: disk(),
            remedy: "free 2.5 GB on this disk: the first start takes about 1.7 GB (.dev 0.9 GB, the rest in target and frontend/node_modules)",
            needed: true,
        },
        Finding {
            name: "git",
            found: says("git", &["--version"]),
            remedy: "for cargo xtask ci and image: install git (Debian: apt-get install git, macOS: xcode-select --install)",
            needed: false,
        },
        Finding {
            name: "rustfmt",
            found: says("cargo", &["fmt", "--version"]),
            remedy: "rustup component add rustfmt",
            needed: false,
        },
        Finding {
            name: "clippy",
            found: says("cargo", &["clippy", "--version"]),
            remedy: "rustup component add clippy",
            needed: false,
        },
        Finding {
            name: "Python",
            found: uv::machine_python()
                .ok()
                .and_then(|python| says(&python.to_string_lossy(), &["--version"])),
            remedy: "install Python 3.11 or later (Debian: apt-get install python3 python3-venv, macOS: brew install python)",
            needed: true,
        },
        Finding {
            name: "Node.js",
            found: node::own_version()
                .map(|(major, minor)| format!("v{major}.{minor}"))
                .or_else(|| installed("tools/node")),
            remedy: "installed by cargo xtask dev, with npm (this machine has none that is new enough)",
            needed: false,
        },
        Finding {
            name: "uv",
            found: installed("tools/uv"),
            remedy: "installed by cargo xtask dev",
            needed: false,
        },
        Finding {
            name: "Python packages",
            found: installed("venv"),
            remedy: "installed by cargo xtask dev",
            needed: false,
        },
        Finding {
            name: "PostgreSQL",
            found: installed("tools/postgres"),
            remedy: "installed by cargo xtask dev",
            needed: false,
        },
        Finding {
            name: "root",
            found: match postgres::prefix() {
                Ok(prefix) if prefix.is_empty() => Some("no (an ordinary user)".to_owned()),
                Ok(_) => Some("yes; PostgreSQL runs in a user namespace".to_owned()),
                Err(_) => None,
            },
            remedy: "PostgreSQL refuses to run as root and user namespaces are not allowed: run as a user, or use --database-url",
            needed: false,
        },
        Finding {
            name: "browser",
            found: browser::find().map(|path| path.display().to_string()),
            remedy: "for the end-to-end tests: cargo xtask ci installs it as root on Debian; else install Chromium or Chrome",
            needed: false,
        },
    ]
}
