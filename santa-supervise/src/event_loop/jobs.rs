//! Work on paths, by workers that do it, report the outcome and end: a mount that
//! hangs holds up one of them and nobody else. Each has its deadline.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::fd::RawFd;
use std::rc::Rc;
use std::time::{Duration, Instant};

use santa_config::{Address, Config};

use crate::os::{Pid, Token};
use crate::plan::Blueprint;
use crate::sockets::{Batch, FileTask};

use super::helpers::{Helpers, OwnWorker, Purpose};
use super::io::{Io, Source};

/// How long one may take; less than a client waits.
const LONGEST: Duration = Duration::from_secs(8);

/// How long environments may take to be read: until then, every service that stops
/// may have left the orphans behind.
const LONGEST_READ: Duration = Duration::from_secs(2);

/// What is to be done.
#[derive(Debug)]
pub(super) enum Job {
    /// Bind the sockets of a configuration that is read.
    BindNew(Box<Config>, Vec<Blueprint>, Batch),
    /// Look whether the files of these sockets are there.
    LookForLost(Vec<Address>),
    /// Bind sockets again whose files are lost.
    BindLost(Batch),
    /// Read the environments of these orphans.
    ReadEnvironments(Vec<Pid>),
    /// Nothing that anybody waits for.
    FileTasks(Rc<[FileTask]>),
}

impl Job {
    fn longest(&self) -> Duration {
        match self {
            Self::ReadEnvironments(_) => LONGEST_READ,
            _ => LONGEST,
        }
    }
}

#[derive(Debug)]
struct Running {
    job: Job,
    worker: OwnWorker,
    bytes: Vec<u8>,
    deadline: Instant,
}

/// A job that has ended, and what its worker reported.
#[derive(Debug)]
pub(super) struct Finished {
    pub(super) job: Job,
    pub(super) bytes: Vec<u8>,
}

/// All that are under way.
#[derive(Debug, Default)]
pub(super) struct Jobs(BTreeMap<Token, Running>);

impl Jobs {
    pub(super) fn next_end(&self) -> Option<Instant> {
        self.0.values().map(|running| running.deadline).min()
    }

    /// The file tasks under way, which may not be done. Each can be done twice.
    pub(super) fn file_tasks(&self) -> impl Iterator<Item = &FileTask> {
        let file_tasks = self.0.values().filter_map(|running| match &running.job {
            Job::FileTasks(file_tasks) => Some(file_tasks.iter()),
            _ => None,
        });
        file_tasks.flatten()
    }

    /// Whether environments are being read.
    pub(super) fn read_environments(&self) -> bool {
        self.0.values().any(|running| matches!(running.job, Job::ReadEnvironments(_)))
    }

    /// Whether lost files are looked for, or sockets bound again.
    pub(super) fn look_for_lost(&self) -> bool {
        let looks = |job: &Job| matches!(job, Job::LookForLost(_) | Job::BindLost(_));
        self.0.values().any(|running| looks(&running.job))
    }

    /// Lets a worker do `work`, which may write, on `fds`.
    ///
    /// # Errors
    /// There is no room for another process.
    pub(super) fn start(
        &mut self,
        io: &mut Io,
        helpers: &mut Helpers,
        job: Job,
        fds: &[RawFd],
        work: &dyn Fn(&mut File, &[RawFd]),
    ) -> io::Result<()> {
        let worker = helpers.start_worker(io, Purpose::Path, Source::Job, fds, work)?;
        let deadline = Instant::now() + job.longest();
        self.0.insert(worker.token(), Running { job, worker, bytes: Vec::new(), deadline });
        Ok(())
    }

    /// One has reported something, or has ended and is finished.
    pub(super) fn read(
        &mut self,
        io: &mut Io,
        helpers: &mut Helpers,
        token: Token,
    ) -> Option<Finished> {
        let running = self.0.get_mut(&token)?;
        let mut buffer = [0u8; 16 * 1024];
        match running.worker.read(&mut buffer)? {
            0 => self.finish(io, helpers, token),
            read => {
                running.bytes.extend_from_slice(&buffer[..read]);
                None
            }
        }
    }

    /// Those that take too long.
    pub(super) fn late(&self, now: Instant) -> Vec<Token> {
        let late = self.0.iter().filter(|(_, running)| running.deadline <= now);
        late.map(|(token, _)| *token).collect()
    }

    /// Ends a job with what was reported so far.
    pub(super) fn finish(
        &mut self,
        io: &mut Io,
        helpers: &mut Helpers,
        token: Token,
    ) -> Option<Finished> {
        let Running { job, worker, bytes, .. } = self.0.remove(&token)?;
        helpers.end(io, &worker);
        Some(Finished { job, bytes })
    }
}
