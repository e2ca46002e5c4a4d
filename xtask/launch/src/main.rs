//! What `cargo xtask` starts: compiles xtask, showing what cargo compiles
//! while it does, and becomes it. `cargo run` alone is either silent for the minute
//! that a fresh clone takes, or adds two lines of its own to every later run.

use std::env;
use std::io::{self, BufRead as _, BufReader, IsTerminal as _, Write as _};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::process::{Command, ExitCode, ExitStatus, Stdio};

/// Without a package's name: dependencies get the features that tests of the whole
/// workspace give them, and are compiled once for both.
const PROGRAM: [&str; 2] = ["--bin", "xtask"];

fn main() -> ExitCode {
    match build() {
        Ok(status) if status.success() => {
            let failed = cargo("run")
                .args(["--quiet"])
                .args(PROGRAM)
                .arg("--")
                .args(env::args_os().skip(1))
                .exec();
            complain(&failed)
        }
        Ok(status) => ended(status),
        Err(error) => complain(&error),
    }
}

/// Compiles xtask; cargo's lines are shown as they come, except the one that says
/// that all is done.
fn build() -> io::Result<ExitStatus> {
    let color = if io::stderr().is_terminal() { "always" } else { "never" };
    let mut cargo = cargo("build")
        .args(PROGRAM)
        .env("CARGO_TERM_COLOR", env::var_os("CARGO_TERM_COLOR").unwrap_or_else(|| color.into()))
        .stderr(Stdio::piped())
        .spawn()?;
    let mut announced = false;
    for line in cargo.stderr.take().map(BufReader::new).into_iter().flat_map(BufReader::lines) {
        let line = line?;
        if line.contains("Finished") && line.contains("target(s) in") {
            continue;
        }
        if !announced && line.contains("Compiling") {
            announced = true;
            say("compiling cargo xtask; the first time takes about a minute");
        }
        say(&line);
    }
    cargo.wait()
}

/// The cargo that started this program, without what it says of this package:
/// build scripts look at those variables and would run once more.
fn cargo(command: &str) -> Command {
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.arg(command);
    for (name, _) in env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("CARGO_PKG_") || text.starts_with("CARGO_MANIFEST_") {
            cargo.env_remove(name);
        }
    }
    cargo
}

/// A line on standard error; where it cannot be written, the work goes on.
fn say(line: &str) {
    let _ = writeln!(io::stderr(), "{line}");
}

fn ended(status: ExitStatus) -> ExitCode {
    // Ctrl-C reaches cargo as well.
    let interrupted = matches!(status.signal(), Some(2 | 15));
    ExitCode::from(if interrupted { 130 } else { 1 })
}

fn complain(error: &io::Error) -> ExitCode {
    say(&format!("error: cannot start cargo: {error}"));
    ExitCode::FAILURE
}
