//! Work on paths, by processes of our own that do it, tell the outcome and end: a
//! mount that hangs holds up one of them and nobody else. Each has its time.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd, RawFd};
use std::rc::Rc;
use std::time::{Duration, Instant};

use santa_config::{Address, Config};

use crate::os::{self, Interest, Pid, Token, Worker};
use crate::plan::Blueprint;
use crate::sockets::{Batch, FileTask};

use super::helpers::Purpose;
use super::{EventLoop, Source};

/// How long one may take; less than a client waits.
const LONGEST: Duration = Duration::from_secs(8);

/// How long environments may take to be read: until then, every service that stops
/// may have left the strays behind.
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
    /// Read the environments of these strays.
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
    pid: Pid,
    output: OwnedFd,
    told: Vec<u8>,
    deadline: Instant,
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

    /// Whether environments are read.
    pub(super) fn read_environments(&self) -> bool {
        self.0.values().any(|running| matches!(running.job, Job::ReadEnvironments(_)))
    }

    /// Whether lost files are looked for, or sockets bound again.
    pub(super) fn look_for_lost(&self) -> bool {
        let looks = |job: &Job| matches!(job, Job::LookForLost(_) | Job::BindLost(_));
        self.0.values().any(|running| looks(&running.job))
    }
}

impl EventLoop {
    /// Lets a process do `work`, which may write, on `fds`.
    pub(super) fn start_job(
        &mut self,
        job: Job,
        fds: &[RawFd],
        work: &dyn Fn(&mut File, &[RawFd]),
    ) -> io::Result<()> {
        self.has_room_for_worker()?;
        let Worker { pid, output } = os::fork_worker(fds, work)?;
        self.adopt_worker(Purpose::Path, pid);
        let token = self.io.sources.add(Source::Job);
        if let Err(error) = self.io.os.watch(output.as_fd(), token, Interest::Read) {
            self.io.sources.remove(token);
            self.end_helper(pid);
            return Err(error);
        }
        let deadline = Instant::now() + job.longest();
        self.processes
            .jobs
            .0
            .insert(token, Running { job, pid, output, told: Vec::new(), deadline });
        Ok(())
    }

    /// One has told something, or has ended.
    pub(super) fn read_job(&mut self, token: Token) {
        let Some(running) = self.processes.jobs.0.get_mut(&token) else { return };
        let mut buffer = [0u8; 16 * 1024];
        match rustix::io::read(&running.output, &mut buffer) {
            Ok(read @ 1..) => running.told.extend_from_slice(&buffer[..read]),
            Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR) => {}
            Ok(0) | Err(_) => self.finish_job(token),
        }
    }

    /// Gives up those that take too long.
    pub(super) fn end_slow_jobs(&mut self, now: Instant) {
        let late = self.processes.jobs.0.iter().filter(|(_, running)| running.deadline <= now);
        for token in late.map(|(token, _)| *token).collect::<Vec<_>>() {
            self.finish_job(token);
        }
    }

    fn finish_job(&mut self, token: Token) {
        let Some(running) = self.processes.jobs.0.remove(&token) else { return };
        self.io.os.forget(running.output.as_fd(), token);
        self.io.sources.remove(token);
        self.end_helper(running.pid);
        match running.job {
            Job::BindNew(config, blueprints, batch) => {
                self.sockets_bound(*config, blueprints, batch.listeners(&running.told));
            }
            Job::LookForLost(addresses) => self.looked_for_lost(addresses, &running.told),
            Job::BindLost(batch) => self.bound_again(batch.listeners(&running.told)),
            Job::ReadEnvironments(pids) => self.environments_read(&pids, &running.told),
            Job::FileTasks(_) => {}
        }
    }
}
