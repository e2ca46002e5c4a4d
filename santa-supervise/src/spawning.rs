//! From a blueprint to a running process: environment, user, descriptors, and
//! the words for everything that can go wrong. The fork itself is in
//! [`crate::os`].

mod environment;
mod failure;
mod helper;
mod problem;
mod program;

use std::ffi::{CString, OsString};
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::path::Path;

use crate::machine::{Generation, SpawnFailure};
use crate::os::{
    self, Family, Launch, Program, ResourceLimits, StartError, Started, Step, TAG, Tag,
};
use crate::plan::{Blueprint, ProbeKind};
use crate::sockets::Sockets;

use environment::Environment;
pub use failure::explain;
pub use helper::{Helper, HelperSpec, Like};
pub use problem::Problem;
use program::{program, text};

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
    /// binds it to. The child looks up everything else.
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

/// The descriptors of the sockets to hand over.
fn claim(blueprint: &Blueprint, sockets: &Sockets) -> Vec<RawFd> {
    let listeners = blueprint.sockets.iter().filter_map(|(_, address)| sockets.get(address));
    let claimed = listeners.inspect(|listener| listener.claim());
    claimed.map(|listener| listener.fd().as_raw_fd()).collect()
}

/// How often it must say `WATCHDOG=1`, in microseconds (sd_watchdog_enabled(3)).
fn watchdog_period(blueprint: &Blueprint) -> Option<u128> {
    let liveness = blueprint.liveness.as_ref()?;
    (liveness.probe == ProbeKind::Notify).then_some(liveness.interval.as_micros())
}

fn directory_of(service: &santa_config::Service) -> Option<CString> {
    service.directory.as_ref().map(|directory| text(directory.as_os_str()))
}
