//! Short programs beside the services: `exec` probes and hooks.

use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::os::fd::OwnedFd;

use crate::os::{self, Launch, Pid, Progress, Report, ResourceLimits, StartError, TAG, Tag};
use crate::plan::Blueprint;

use super::program::program;
use super::{Problem, Spawner, directory_of, environment};

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
        let started = os::start(&launch).map_err(|found| problem(&spec.command[0], &found))?;
        let program = spec.command[0].clone();
        Ok(Helper { pid: started.pid, tag, program, progress: Some(started.progress) })
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
            Report::Failed(found) => Some(problem(&self.program, &found)),
            Report::Refused(refusal) => Some(refusal.into()),
            Report::At(_) | Report::Running => None,
        }
    }
}

fn problem(program: &str, found: &StartError) -> Problem {
    Problem::of(&found.error).about(&format!("cannot {} ({program})", found.step.attempt()))
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
