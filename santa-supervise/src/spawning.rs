//! From a blueprint to a running process: environment, user, descriptors, and
//! the words for everything that can go wrong. The fork itself is in
//! [`crate::os`].

mod environment;

use std::ffi::{CString, OsStr, OsString};
use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crate::machine::{Generation, Retry, SpawnFailure};
use crate::os::{self, Launch, Pid, ResourceLimits, StartError};
use crate::plan::{Blueprint, Probe};
use crate::sockets::Sockets;

use environment::{Environment, path_of};

/// Variable that marks every process with the spawn it belongs to.
pub const TAG: &str = "SANTA_SUPERVISE_ID";

/// Variables of ours or of whoever started us that no service may see.
const PRIVATE: [&str; 7] = [
    "LISTEN_PID",
    "LISTEN_FDS",
    "LISTEN_FDNAMES",
    "NOTIFY_SOCKET",
    "WATCHDOG_USEC",
    "WATCHDOG_PID",
    TAG,
];

/// What all spawns of one run of santa-supervise have in common.
#[derive(Debug)]
pub struct Spawner {
    /// Tells our marks from those of an earlier run.
    boot: String,
    environment: Environment,
    helpers: u64,
}

/// A running process and the read ends of its output.
#[derive(Debug)]
pub struct Spawned {
    /// Its main process.
    pub pid: Pid,
    /// What marks its tree.
    pub tag: String,
    /// Standard output and standard error, non-blocking.
    pub output: [OwnedFd; 2],
}

/// A short program beside the services: an `exec` probe or a hook.
#[derive(Debug)]
pub struct HelperSpec<'a> {
    /// What it is for, in its mark.
    pub purpose: &'a str,
    /// Program and arguments.
    pub command: &'a [String],
    /// Run like this service.
    pub like: Option<&'a Blueprint>,
    /// Added to its environment.
    pub environment: Vec<(&'static str, String)>,
    /// What it reads on its standard input; must fit into a pipe.
    pub input: &'a str,
}

/// A running helper.
#[derive(Debug)]
pub struct Helper {
    /// Its process.
    pub pid: Pid,
    /// What marks its tree.
    pub tag: String,
}

impl Spawner {
    /// Services inherit `environment`; `boot` must differ from run to run.
    #[must_use]
    pub fn new(environment: impl IntoIterator<Item = (OsString, OsString)>, boot: String) -> Self {
        let private = |name: &OsString| PRIVATE.iter().any(|private| name == private);
        let environment = environment.into_iter().filter(|(name, _)| !private(name)).collect();
        Self { boot, environment, helpers: 0 }
    }

    /// Starts one instance; `notify` is the path of its `NOTIFY_SOCKET`.
    ///
    /// # Errors
    /// Why not, with the remedy, and whether trying again may help.
    pub fn spawn(
        &self,
        blueprint: &Blueprint,
        sockets: &Sockets,
        generation: Generation,
        notify: Option<&Path>,
    ) -> Result<Spawned, SpawnFailure> {
        let tag = format!("{}:{}:{}", self.boot, blueprint.spec.label(), generation.0);
        let pipes = || -> std::io::Result<_> {
            let (out, err) = (os::pipe()?, os::pipe()?);
            os::set_nonblocking(&out.0)?;
            os::set_nonblocking(&err.0)?;
            Ok((out, err))
        };
        let (out, err) =
            pipes().map_err(|error| failure(blueprint, "make pipes for its output", &error))?;
        let mut environment = self.environment(blueprint, &tag)?;
        if let Some(path) = notify {
            environment.insert("NOTIFY_SOCKET".into(), path.into());
            if let Some(period) = watchdog_period(blueprint) {
                environment.insert("WATCHDOG_USEC".into(), period.to_string().into());
            }
        }
        let launch = launch(blueprint, sockets, &environment, (out.1, err.1))?;
        match os::start(&launch) {
            Ok(pid) => Ok(Spawned { pid, tag, output: [out.0, err.0] }),
            Err(StartError { step, error }) => Err(failure(blueprint, step, &error)),
        }
    }

    /// Starts a helper. Its output is thrown away; its exit code is its answer.
    ///
    /// # Errors
    /// What was attempted and why it did not work.
    pub fn help(&mut self, spec: &HelperSpec<'_>) -> Result<Helper, String> {
        self.helpers += 1;
        let tag = format!("{}:{}:h{}", self.boot, spec.purpose, self.helpers);
        let mut environment = match spec.like {
            Some(blueprint) => {
                self.environment(blueprint, &tag).map_err(|failure| failure.message)?
            }
            None => self.environment.clone(),
        };
        environment.insert(TAG.into(), tag.clone().into());
        let more = spec.environment.iter().map(|(name, value)| ((*name).into(), value.into()));
        environment.extend(more);
        let program = find_program(&spec.command[0], path_of(&environment))
            .ok_or_else(|| format!("cannot find the program \"{}\" in PATH", spec.command[0]))?;
        let failed = |error: io::Error| format!("cannot start {}: {error}", spec.command[0]);
        let service = spec.like.map(|blueprint| &blueprint.service);
        let user = service.and_then(|service| service.user.as_deref());
        let launch = Launch {
            program: text(program.as_os_str()),
            arguments: texts(spec.command),
            environment: variables(&environment),
            directory: service.and_then(directory_of),
            credentials: user.map(os::look_up_user).transpose()?,
            limits: ResourceLimits::default(),
            umask: service.and_then(|service| service.umask).map(|mode| mode.0),
            input: Some(filled_pipe(spec.input.as_bytes()).map_err(failed)?),
            output: (nowhere().map_err(failed)?, nowhere().map_err(failed)?),
            sockets: Vec::new(),
        };
        let start = os::start(&launch);
        let pid = start.map_err(|StartError { step, error }| {
            format!("cannot {step} ({}): {error}", spec.command[0])
        })?;
        Ok(Helper { pid, tag })
    }

    fn environment(&self, blueprint: &Blueprint, tag: &str) -> Result<Environment, SpawnFailure> {
        let mut environment = self.environment.clone();
        environment::add_files(&mut environment, &blueprint.service)
            .map_err(|problem| permanent(126, problem))?;
        let own = blueprint.environment.iter().map(|(name, value)| (name.into(), value.into()));
        environment.extend(own);
        environment.insert(TAG.into(), tag.into());
        if !blueprint.sockets.is_empty() {
            let names: Vec<&str> =
                blueprint.sockets.iter().map(|(name, _)| name.as_str()).collect();
            environment.insert("LISTEN_FDS".into(), names.len().to_string().into());
            environment.insert("LISTEN_FDNAMES".into(), names.join(":").into());
        }
        Ok(environment)
    }
}

fn launch(
    blueprint: &Blueprint,
    sockets: &Sockets,
    environment: &Environment,
    output: (OwnedFd, OwnedFd),
) -> Result<Launch, SpawnFailure> {
    let service = &blueprint.service;
    let program = find_program(&blueprint.command[0], path_of(environment)).ok_or_else(|| {
        let (program, name) = (&blueprint.command[0], &blueprint.spec.service);
        permanent(
            127,
            format!(
                "cannot find the program \"{program}\" in PATH; check command of service {name}"
            ),
        )
    })?;
    let credentials = service.user.as_deref().map(os::look_up_user).transpose();
    let limits = &service.limits;
    let mut handed = Vec::new();
    for (_, address) in &blueprint.sockets {
        if let Some(listener) = sockets.get(address) {
            listener.claim();
            handed.push(listener.fd().as_raw_fd());
        }
    }
    Ok(Launch {
        program: text(program.as_os_str()),
        arguments: texts(&blueprint.command),
        environment: variables(environment),
        directory: directory_of(service),
        credentials: credentials.map_err(|problem| permanent(126, format!("user: {problem}")))?,
        limits: ResourceLimits {
            nofile: limits.nofile,
            core: limits.core,
            nproc: limits.nproc,
            address_space: limits.address_space.map(|size| size.0),
            oom_score_adj: limits.oom_score_adj,
        },
        umask: service.umask.map(|mode| mode.0),
        input: None,
        output,
        sockets: handed,
    })
}

/// How often it must say `WATCHDOG=1`, in microseconds (sd_watchdog_enabled(3)).
fn watchdog_period(blueprint: &Blueprint) -> Option<u128> {
    let liveness = blueprint.liveness.as_ref()?;
    (liveness.probe == Probe::Notify).then_some(liveness.interval.as_micros())
}

fn directory_of(service: &santa_config::Service) -> Option<CString> {
    service.directory.as_ref().map(|directory| text(directory.as_os_str()))
}

/// The read end of a pipe that holds `bytes` and nothing more.
fn filled_pipe(bytes: &[u8]) -> io::Result<OwnedFd> {
    let (read, write) = os::pipe()?;
    // What does not fit is an error rather than a wait.
    os::set_nonblocking(&write)?;
    std::fs::File::from(write).write_all(bytes)?;
    Ok(read)
}

fn nowhere() -> io::Result<OwnedFd> {
    Ok(OpenOptions::new().write(true).open("/dev/null")?.into())
}

fn texts(all: &[String]) -> Vec<CString> {
    all.iter().map(|one| text(OsStr::new(one))).collect()
}

fn variables(environment: &Environment) -> Vec<CString> {
    environment.iter().map(|(name, value)| variable(name, value)).collect()
}

/// A path is taken as it is; a bare name is looked up as a shell would.
fn find_program(command: &str, path: Option<&OsString>) -> Option<PathBuf> {
    if command.contains('/') {
        return Some(PathBuf::from(command));
    }
    std::env::split_paths(path?)
        .map(|directory| directory.join(command))
        .find(|file| is_executable(file))
}

fn is_executable(file: &Path) -> bool {
    file.is_file() && rustix::fs::access(file, rustix::fs::Access::EXEC_OK).is_ok()
}

/// Configuration and environment hold no NUL: the parser and the kernel see to
/// that. What has one all the same ends there, as it would in C.
fn text(text: &OsStr) -> CString {
    let bytes = text.as_bytes().split(|byte| *byte == 0).next().unwrap_or_default();
    CString::new(bytes).unwrap_or_default()
}

fn variable(name: &OsStr, value: &OsStr) -> CString {
    let mut both = name.to_owned();
    both.push("=");
    both.push(value);
    text(&both)
}

fn permanent(code: i32, message: String) -> SpawnFailure {
    SpawnFailure { message, retry: Retry::Never, code }
}

/// What time or another process may cure. A shortage that a limit of the
/// service's own may have made counts as its failure.
fn retry(limits: &santa_config::Limits, code: i32) -> Retry {
    let own_limit = match code {
        libc::EMFILE => limits.nofile.is_some(),
        libc::ENOMEM => limits.address_space.is_some(),
        libc::EAGAIN => limits.nproc.is_some(),
        libc::ENFILE | libc::ENOBUFS => false,
        libc::ETXTBSY => return Retry::Counted,
        _ => return Retry::Never,
    };
    if own_limit { Retry::Counted } else { Retry::Always }
}

fn failure(blueprint: &Blueprint, step: &str, error: &std::io::Error) -> SpawnFailure {
    let service = &blueprint.service;
    let code = error.raw_os_error().unwrap_or(0);
    let retry = retry(&service.limits, code);
    let (what, remedy) = match step {
        "run the program" => (
            format!(" {}", blueprint.command[0]),
            "check that it exists and is executable, and its interpreter too",
        ),
        "change to its directory" => (
            service
                .directory
                .as_ref()
                .map(|directory| format!(" {}", directory.display()))
                .unwrap_or_default(),
            "check directory",
        ),
        "change to its user" => (
            service.user.as_ref().map(|user| format!(" {user}")).unwrap_or_default(),
            "leave user out unless santa-supervise runs as root",
        ),
        "set its limits" => {
            (String::new(), "limits must not exceed the hard limits of santa-supervise")
        }
        _ if retry != Retry::Never => (String::new(), "it is tried again"),
        _ => (String::new(), "check the service's keys in the configuration"),
    };
    SpawnFailure {
        message: format!("cannot {step}{what}: {error}; {remedy}"),
        retry,
        code: if code == libc::ENOENT { 127 } else { 126 },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shortage_that_a_limit_of_its_own_may_have_made_counts_against_a_service() {
        let none = santa_config::Limits {
            nofile: None,
            core: None,
            nproc: None,
            address_space: None,
            oom_score_adj: None,
        };
        let own = santa_config::Limits { nofile: Some(4), nproc: Some(1), ..none.clone() };
        for (limits, code, expected) in [
            (&none, libc::EMFILE, Retry::Always),
            (&none, libc::EAGAIN, Retry::Always),
            (&none, libc::ENOMEM, Retry::Always),
            (&own, libc::EMFILE, Retry::Counted),
            (&own, libc::EAGAIN, Retry::Counted),
            (&own, libc::ENOMEM, Retry::Always),
            (&own, libc::ENFILE, Retry::Always),
            (&none, libc::ETXTBSY, Retry::Counted),
            (&none, libc::ENOENT, Retry::Never),
            (&none, libc::EACCES, Retry::Never),
        ] {
            assert_eq!(retry(limits, code), expected, "{code}");
        }
    }
}
