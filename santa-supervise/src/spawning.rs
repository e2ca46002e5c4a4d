//! From a blueprint to a running process: environment, user, descriptors, and
//! the words for everything that can go wrong. The fork itself is in
//! [`crate::os`].

mod environment;
mod problem;

use std::ffi::{CString, OsStr, OsString};
use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crate::machine::{Generation, Retry, SpawnFailure};
use crate::os::{
    self, Family, Launch, Pid, Program, Progress, Report, ResourceLimits, StartError, Started,
    Step, TAG, Tag,
};
use crate::plan::{Blueprint, Probe};
use crate::sockets::Sockets;

use environment::{Environment, path_of};
pub use problem::Problem;

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
    family: Family,
    /// How many processes were started.
    started: u32,
}

/// A process on its way to its program, and the read ends of its output.
#[derive(Debug)]
pub struct Spawned {
    /// Its main process.
    pub started: Started,
    /// What marks its tree.
    pub tag: Tag,
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
    /// What surrounds it.
    pub like: Like<'a>,
    /// Added to its environment.
    pub environment: Vec<(&'static str, String)>,
    /// What it reads on its standard input; must fit into a pipe.
    pub input: &'a str,
}

/// What surrounds a helper.
#[derive(Debug, Clone, Copy)]
pub enum Like<'a> {
    /// What surrounds this service.
    Service(&'a Blueprint),
    /// What surrounds santa-supervise, with these variables.
    Ourselves(&'a [String]),
}

/// A running helper.
#[derive(Debug)]
pub struct Helper {
    /// Its process.
    pub pid: Pid,
    /// What marks its tree.
    pub tag: Tag,
    program: String,
    /// None for a process of our own code.
    progress: Option<Progress>,
}

impl Spawner {
    /// Services inherit from `environment` what they declare; `boot` and `family`
    /// must differ from run to run.
    #[must_use]
    pub fn new(
        environment: impl IntoIterator<Item = (OsString, OsString)>,
        boot: String,
        family: Family,
    ) -> Self {
        let private = |name: &OsString| PRIVATE.iter().any(|private| name == private);
        let environment = environment.into_iter().filter(|(name, _)| !private(name)).collect();
        Self { boot, environment, family, started: 0 }
    }

    /// What the marks of all that is started have in common.
    #[must_use]
    pub fn family(&self) -> Family {
        self.family
    }

    /// Starts one instance; `notify` is its `NOTIFY_SOCKET` and the path that it
    /// binds it to. The child finds out the rest by itself.
    ///
    /// # Errors
    /// Why not, with the remedy, and whether trying again may help.
    pub fn spawn(
        &mut self,
        blueprint: &Blueprint,
        sockets: &Sockets,
        generation: Generation,
        notify: Option<(BorrowedFd<'_>, &Path)>,
    ) -> Result<Spawned, SpawnFailure> {
        let tag = self.tag(&blueprint.spec.label(), &generation.0.to_string());
        let pipes = || -> std::io::Result<_> {
            let (out, err) = (os::pipe()?, os::pipe()?);
            os::set_nonblocking(&out.0)?;
            os::set_nonblocking(&err.0)?;
            Ok((out, err))
        };
        let (out, err) = pipes()
            .map_err(|error| explain(blueprint, StartError { step: Step::Output, error }))?;
        let path = notify.map(|(_, path)| path);
        let prepare = || self.prepare(blueprint, &tag.variable, path);
        let service = &blueprint.service;
        let limits = &service.limits;
        let launch = Launch {
            prepare: &prepare,
            mark: tag.mark,
            directory: directory_of(service),
            limits: ResourceLimits {
                nofile: limits.nofile,
                core: limits.core,
                nproc: limits.nproc,
                address_space: limits.address_space.map(|size| size.0),
                oom_score_adj: limits.oom_score_adj,
            },
            umask: service.umask.map(|mode| mode.0),
            input: None,
            output: (out.1, err.1),
            sockets: claim(blueprint, sockets),
            notify: notify.map(|(fd, path)| (fd.as_raw_fd(), path)),
        };
        let started = os::start(&launch).map_err(|error| explain(blueprint, error))?;
        Ok(Spawned { started, tag, output: [out.0, err.0] })
    }

    /// In the child: what to run, how, and as whom.
    fn prepare(
        &self,
        blueprint: &Blueprint,
        tag: &str,
        notify: Option<&Path>,
    ) -> Result<Program, SpawnFailure> {
        let mut environment = self.environment(blueprint, tag)?;
        if let Some(path) = notify {
            environment.insert("NOTIFY_SOCKET".into(), path.into());
            if let Some(period) = watchdog_period(blueprint) {
                environment.insert("WATCHDOG_USEC".into(), period.to_string().into());
            }
        }
        if !blueprint.sockets.is_empty() {
            let names: Vec<&str> =
                blueprint.sockets.iter().map(|(name, _)| name.as_str()).collect();
            environment.insert("LISTEN_FDS".into(), names.len().to_string().into());
            environment.insert("LISTEN_FDNAMES".into(), names.join(":").into());
            environment.insert("LISTEN_PID".into(), std::process::id().to_string().into());
        }
        let name = &blueprint.spec.service;
        program(&blueprint.command, &environment, blueprint.service.user.as_deref()).map_err(
            |mut problem| {
                if problem.code == 127 {
                    problem.message += &format!("; check command of service {name}");
                }
                problem
            },
        )
    }

    /// Starts a helper. Its output is thrown away; its exit code is its answer.
    ///
    /// # Errors
    /// What was attempted and why it did not work.
    pub fn help(&mut self, spec: &HelperSpec<'_>) -> Result<Helper, Problem> {
        let tag = self.tag(spec.purpose, &format!("h{}", self.started));
        let service = match spec.like {
            Like::Service(blueprint) => Some(&blueprint.service),
            Like::Ourselves(_) => None,
        };
        let user = service.and_then(|service| service.user.as_deref());
        let prepare = || {
            let mut environment = match spec.like {
                Like::Service(blueprint) => self.environment(blueprint, &tag.variable)?,
                Like::Ourselves(inherits) => environment::inherited(&self.environment, inherits),
            };
            environment.insert(TAG.into(), (&tag.variable).into());
            let more = spec.environment.iter().map(|(name, value)| ((*name).into(), value.into()));
            environment.extend(more);
            program(spec.command, &environment, user)
        };
        let what = format!("cannot start {}", spec.command[0]);
        let failed = |error: io::Error| Problem::of(&error).about(&what);
        let launch = Launch {
            prepare: &prepare,
            mark: tag.mark,
            directory: service.and_then(directory_of),
            limits: ResourceLimits::default(),
            umask: service.and_then(|service| service.umask).map(|mode| mode.0),
            input: Some(filled_pipe(spec.input.as_bytes()).map_err(failed)?),
            output: (nowhere().map_err(failed)?, nowhere().map_err(failed)?),
            sockets: Vec::new(),
            notify: None,
        };
        let started = os::start(&launch).map_err(|found| told(&spec.command[0], &found))?;
        let program = spec.command[0].clone();
        Ok(Helper { pid: started.pid, tag, program, progress: Some(started.progress) })
    }

    fn tag(&mut self, name: &str, number: &str) -> Tag {
        self.started = self.started.wrapping_add(1);
        let variable = format!("{}:{name}:{number}", self.boot);
        Tag { variable, mark: self.family.mark(self.started) }
    }

    fn environment(&self, blueprint: &Blueprint, tag: &str) -> Result<Environment, SpawnFailure> {
        let mut environment = environment::inherited(&self.environment, &blueprint.inherits);
        environment::add_files(&mut environment, &blueprint.service)
            .map_err(|problem| problem.failure(126))?;
        let own = blueprint.environment.iter().map(|(name, value)| (name.into(), value.into()));
        environment.extend(own);
        environment.insert(TAG.into(), tag.into());
        Ok(environment)
    }
}

impl Helper {
    /// A process of our own code. It starts no others, so it needs no mark.
    #[must_use]
    pub fn of_our_own(pid: Pid) -> Self {
        Self { pid, tag: Tag::default(), program: String::new(), progress: None }
    }

    /// Why its program never ran, if that is so; for one that has ended.
    pub fn start_problem(&mut self) -> Option<Problem> {
        match self.progress.as_mut()?.look() {
            Report::Failed(found) => Some(told(&self.program, &found)),
            Report::Refused(refusal) => Some(refusal.into()),
            Report::At(_) | Report::Running => None,
        }
    }
}

fn told(program: &str, found: &StartError) -> Problem {
    Problem::of(&found.error).about(&format!("cannot {} ({program})", found.step.attempt()))
}

/// The descriptors of the sockets to hand over.
fn claim(blueprint: &Blueprint, sockets: &Sockets) -> Vec<RawFd> {
    let listeners = blueprint.sockets.iter().filter_map(|(_, address)| sockets.get(address));
    let claimed = listeners.inspect(|listener| listener.claim());
    claimed.map(|listener| listener.fd().as_raw_fd()).collect()
}

/// Finds a program and its user.
fn program(
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
                "there is no user \"{user}\"; write the name of one in /etc/passwd, or UID:GID"
            ))
        }),
        Err(error) => Err(Problem::refused(&error, "check the system's users and groups")
            .about(&format!("cannot look up user {user} or its groups"))),
    }
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

/// The remedy for what passes.
const AGAIN: &str = "it will be tried again";

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

/// A failed start in words, with the remedy.
#[must_use]
pub fn explain(blueprint: &Blueprint, found: StartError) -> SpawnFailure {
    let StartError { step, error } = found;
    let service = &blueprint.service;
    let code = error.raw_os_error().unwrap_or(0);
    let retry = retry(&service.limits, code);
    let directory = || service.directory.as_ref().map(|path| format!(" {}", path.display()));
    let (what, remedy) = match step {
        Step::Program => (
            format!(" {}", blueprint.command[0]),
            "check that it exists and is executable, and its interpreter too",
        ),
        Step::Directory => (directory().unwrap_or_default(), "check directory"),
        Step::User => (
            service.user.as_ref().map(|user| format!(" {user}")).unwrap_or_default(),
            "leave user out unless santa-supervise runs as root",
        ),
        Step::Limits => {
            (String::new(), "limits must not exceed the hard limits of santa-supervise")
        }
        Step::Notify => (
            String::new(),
            "check that the directory of control_socket exists and can be written to",
        ),
        _ if retry != Retry::Never => (String::new(), AGAIN),
        _ => (String::new(), "check the service's keys in the configuration"),
    };
    let remedy = if retry == Retry::Always { AGAIN } else { remedy };
    SpawnFailure {
        message: format!("cannot {}{what}: {error}; {remedy}", step.attempt()),
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
