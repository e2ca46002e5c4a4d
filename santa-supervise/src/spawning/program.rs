//! What a child runs and as whom: the program in its `PATH`, its user, its arguments and
//! its environment as the system takes them.

use std::ffi::{CString, OsStr, OsString};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crate::machine::SpawnFailure;
use crate::os::{self, Program};

use super::Problem;
use super::environment::{Environment, path_of};

/// Finds a program and its user.
pub(super) fn program(
    command: &[String],
    environment: &Environment,
    user: Option<&str>,
) -> Result<Program, SpawnFailure> {
    let path =
        find_program(&command[0], path_of(environment)).map_err(|problem| problem.failure(127))?;
    let credentials = user.map(look_up_user).transpose();
    Ok(Program {
        path: text(path.as_os_str()),
        arguments: texts(command),
        environment: variables(environment),
        credentials: credentials.map_err(|problem| problem.about("user").failure(126))?,
    })
}

fn look_up_user(user: &str) -> Result<os::Credentials, Problem> {
    match os::look_up_user(user) {
        Ok(found) => found.ok_or_else(|| {
            Problem::lasting(format!(
                "unknown user \"{user}\"; write the name of one in /etc/passwd, or UID:GID"
            ))
        }),
        Err(error) => Err(Problem::refused(&error, "check the system's users and groups")
            .about(&format!("cannot look up user {user} or its groups"))),
    }
}

fn texts(all: &[String]) -> Vec<CString> {
    all.iter().map(|one| text(OsStr::new(one))).collect()
}

fn variables(environment: &Environment) -> Vec<CString> {
    environment.iter().map(|(name, value)| variable(name, value)).collect()
}

/// A path is taken as it is; a bare name is looked up as a shell would.
fn find_program(command: &str, path: Option<&OsString>) -> Result<PathBuf, Problem> {
    if command.contains('/') {
        return Ok(PathBuf::from(command));
    }
    let what = format!("cannot find the program \"{command}\" in PATH");
    for directory in path.map(std::env::split_paths).into_iter().flatten() {
        let file = directory.join(command);
        match is_executable(&file) {
            Ok(true) => return Ok(file),
            // Further on there may be another program of this name.
            Err(error) if os::is_shortage(&error) => {
                return Err(Problem::shortage(&error).about(&what));
            }
            Ok(false) | Err(_) => {}
        }
    }
    Err(Problem::lasting(what))
}

fn is_executable(file: &Path) -> io::Result<bool> {
    if !std::fs::metadata(file)?.is_file() {
        return Ok(false);
    }
    rustix::fs::access(file, rustix::fs::Access::EXEC_OK)?;
    Ok(true)
}

/// Configuration and environment hold no NUL: the parser and the kernel see to
/// that. A text that has one nevertheless ends there, as it would in C.
pub(super) fn text(text: &OsStr) -> CString {
    let bytes = text.as_bytes().split(|byte| *byte == 0).next().unwrap_or_default();
    CString::new(bytes).unwrap_or_default()
}

fn variable(name: &OsStr, value: &OsStr) -> CString {
    let mut both = name.to_owned();
    both.push("=");
    both.push(value);
    text(&both)
}
