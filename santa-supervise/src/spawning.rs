//! From a blueprint to a running process: environment, user, descriptors, and
//! the words for everything that can go wrong. The fork itself is in
//! [`crate::os`].

use std::collections::BTreeMap;
use std::ffi::{CString, OsStr, OsString};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crate::machine::{Generation, SpawnFailure};
use crate::os::{self, Launch, Pid, StartError};
use crate::plan::Blueprint;
use crate::sockets::Sockets;

/// Variable that marks every process with the spawn it belongs to.
pub const TAG: &str = "SANTA_SUPERVISE_ID";

/// Variables of ours or of whoever started us that no service may see.
const PRIVATE: [&str; 5] = ["LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES", "NOTIFY_SOCKET", TAG];

/// What all spawns of one run of santa-supervise have in common.
#[derive(Debug)]
pub struct Spawner {
    /// Tells our marks from those of an earlier run.
    boot: String,
    environment: BTreeMap<OsString, OsString>,
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

impl Spawner {
    /// Services inherit `environment`; `boot` must differ from run to run.
    #[must_use]
    pub fn new(environment: impl IntoIterator<Item = (OsString, OsString)>, boot: String) -> Self {
        let private = |name: &OsString| PRIVATE.iter().any(|private| name == private);
        let environment = environment.into_iter().filter(|(name, _)| !private(name)).collect();
        Self { boot, environment }
    }

    /// Starts one instance.
    ///
    /// # Errors
    /// Why not, with the remedy, and whether trying again may help.
    pub fn spawn(
        &self,
        blueprint: &Blueprint,
        sockets: &Sockets,
        generation: Generation,
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
        let launch = self.launch(blueprint, sockets, &tag, (out.1, err.1))?;
        match os::start(&launch) {
            Ok(pid) => Ok(Spawned { pid, tag, output: [out.0, err.0] }),
            Err(StartError { step, error }) => Err(failure(blueprint, step, &error)),
        }
    }

    fn launch(
        &self,
        blueprint: &Blueprint,
        sockets: &Sockets,
        tag: &str,
        output: (OwnedFd, OwnedFd),
    ) -> Result<Launch, SpawnFailure> {
        let environment = self.environment(blueprint, tag);
        let program = find_program(&blueprint.command[0], environment.get(OsStr::new("PATH")))
            .ok_or_else(|| {
                permanent(
                    127,
                    format!(
                        "cannot find the program \"{}\" in PATH; check command of service {}",
                        blueprint.command[0], blueprint.spec.service
                    ),
                )
            })?;
        let service = &blueprint.service;
        let credentials = service.user.as_deref().map(os::look_up_user).transpose();
        let credentials =
            credentials.map_err(|problem| permanent(126, format!("user: {problem}")))?;
        let mut handed = Vec::new();
        for (_, address) in &blueprint.sockets {
            if let Some(listener) = sockets.get(address) {
                listener.claim();
                handed.push(listener.fd().as_raw_fd());
            }
        }
        Ok(Launch {
            program: text(program.as_os_str()),
            arguments: blueprint
                .command
                .iter()
                .map(|argument| text(OsStr::new(argument)))
                .collect(),
            environment: environment.iter().map(|(name, value)| variable(name, value)).collect(),
            directory: service.directory.as_ref().map(|directory| text(directory.as_os_str())),
            credentials,
            limit_nofile: service.limits.nofile,
            limit_core: service.limits.core,
            umask: service.umask.map(|mode| mode.0),
            output,
            sockets: handed,
        })
    }

    fn environment(&self, blueprint: &Blueprint, tag: &str) -> BTreeMap<OsString, OsString> {
        let mut environment = self.environment.clone();
        let own = blueprint.environment.iter().map(|(name, value)| (name.into(), value.into()));
        environment.extend(own);
        environment.insert(TAG.into(), tag.into());
        if !blueprint.sockets.is_empty() {
            let names: Vec<&str> =
                blueprint.sockets.iter().map(|(name, _)| name.as_str()).collect();
            environment.insert("LISTEN_FDS".into(), names.len().to_string().into());
            environment.insert("LISTEN_FDNAMES".into(), names.join(":").into());
        }
        environment
    }
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
    SpawnFailure { message, passing: false, code }
}

fn failure(blueprint: &Blueprint, step: &str, error: &std::io::Error) -> SpawnFailure {
    let service = &blueprint.service;
    let code = error.raw_os_error().unwrap_or(0);
    // What time or another process may cure.
    let passing =
        [libc::EAGAIN, libc::ENOMEM, libc::EMFILE, libc::ENFILE, libc::ETXTBSY].contains(&code);
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
        _ if passing => (String::new(), "it is tried again"),
        _ => (String::new(), "check the service's keys in the configuration"),
    };
    SpawnFailure {
        message: format!("cannot {step}{what}: {error}; {remedy}"),
        passing,
        code: if code == libc::ENOENT { 127 } else { 126 },
    }
}
