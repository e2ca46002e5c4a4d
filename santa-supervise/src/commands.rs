//! The commands of the command line. `run.rs` and `check.rs` read the
//! configuration; `client.rs` talks to the running santa-supervise.

mod check;
mod client;
mod run;
mod show;

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use santa_config::Config;

use crate::cli::{Cli, Command, Common};
use crate::plan::{self, Blueprint};

/// Exit codes, as the help text lists them.
pub mod exit {
    /// Done.
    pub const OK: i32 = 0;
    /// It did not work.
    pub const FAILED: i32 = 1;
    /// No santa-supervise is running.
    pub const NOT_RUNNING: i32 = 4;
    /// Not done in time.
    pub const TIMEOUT: i32 = 5;
    /// A defect of our own (EX_SOFTWARE).
    pub const DEFECT: i32 = 70;
    /// Errors in the configuration (EX_CONFIG).
    pub const CONFIG: i32 = 78;
}

/// Why a command did not work, and the exit code that says so.
#[derive(Debug)]
pub struct Failure {
    /// For people; may have several lines.
    pub message: String,
    /// One of [`exit`].
    pub code: i32,
}

/// Writes to standard output; whether anybody still reads it. A reader that has
/// seen enough (`status | head`) is no error.
fn print_some(
    write: impl FnOnce(&mut io::StdoutLock<'static>) -> io::Result<()>,
) -> Result<bool, Failure> {
    let mut output = io::stdout().lock();
    match write(&mut output).and_then(|()| output.flush()) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(Failure {
            message: format!("cannot write to standard output: {error}"),
            code: exit::FAILED,
        }),
    }
}

/// Writes the answer to a command; returns its exit code `code`.
fn print(
    code: i32,
    write: impl FnOnce(&mut io::StdoutLock<'static>) -> io::Result<()>,
) -> Result<i32, Failure> {
    print_some(write).map(|_| code)
}

/// Carries out a command; returns the exit code.
///
/// # Errors
/// What went wrong, to be printed.
pub fn perform(cli: Cli) -> Result<i32, Failure> {
    match cli.command {
        Command::Run { with_parent } => run::run(&cli.common, with_parent),
        Command::Check { json } => check::check(&cli.common, json),
        other => client::perform(&cli.common, other),
    }
}

fn config_path(common: &Common) -> PathBuf {
    let by_environment = || std::env::var_os("SANTA_CONFIG").map(PathBuf::from);
    common
        .config
        .clone()
        .or_else(by_environment)
        .unwrap_or_else(|| PathBuf::from("docker/santa.toml"))
}

/// Reads the configuration and makes the blueprints.
fn load(path: &Path) -> Result<(Config, Vec<Blueprint>), Failure> {
    match std::fs::read_to_string(path) {
        Ok(text) => parse(path, &text),
        Err(error) => Err(refused(&santa_config::Diagnostics::unreadable(path, &error))),
    }
}

/// The same with the `text` that was read from `path`.
fn parse(path: &Path, text: &str) -> Result<(Config, Vec<Blueprint>), Failure> {
    let env = santa_config::process_env();
    let name = path.display().to_string();
    let config = santa_config::parse(text, &name, &env).map_err(|found| refused(&found))?;
    let whole_path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let variables = santa_config::shared_variables(text, &env);
    let file = plan::ConfigFile { path: &whole_path, variables: &variables };
    let blueprints = plan::blueprints(&config, file);
    Ok((config, blueprints))
}

fn refused(found: &santa_config::Diagnostics) -> Failure {
    Failure { message: found.to_string(), code: exit::CONFIG }
}
