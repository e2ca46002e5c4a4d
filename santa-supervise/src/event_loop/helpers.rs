//! Short programs beside the services: probes by a program, and hooks. Each has
//! a deadline, and whatever it leaves behind ends with it.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd, RawFd};
use std::time::{Duration, Instant};

use crate::machine::{Exit, Generation};
use crate::os::{self, Interest, Pid, Token, Tree, Worker};
use crate::spawning::{Helper, HelperSpec, Like, Problem, Spawner};

use super::children::Leftovers;
use super::io::{Io, Source};

/// Most workers that a mount may hold.
const MOST_HUNG: usize = 32;

/// What a helper is for.
#[derive(Debug, Clone)]
pub(super) enum Purpose {
    /// To probe this generation.
    Probe(Generation),
    /// To tell of an event; the name of the hook.
    Hook(String),
    /// To watch files for as long as a service wants it.
    Watch,
    /// To read the configuration again.
    ReadConfig,
    /// To do something with a path: connect a socket of ours to it, bind one, look.
    Path,
}

/// What to run, and how long it may take.
#[derive(Debug)]
pub(super) struct Command<'a> {
    pub(super) purpose: Purpose,
    pub(super) command: &'a [String],
    pub(super) like: Like<'a>,
    pub(super) environment: Vec<(&'static str, String)>,
    pub(super) input: &'a str,
    pub(super) timeout: Duration,
}

/// How a helper has ended.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) leftovers: Leftovers,
    /// What it was for and its answer, if someone still waits for it.
    pub(super) answer: Option<(Purpose, Result<(), Problem>)>,
}

#[derive(Debug)]
struct Running {
    purpose: Purpose,
    helper: Helper,
    deadline: Option<Instant>,
    timeout: Duration,
    timed_out: bool,
    /// Nobody waits for its answer any more.
    forgotten: bool,
}

impl Running {
    fn kill(&self, io: &Io) {
        // It may not lead its group yet. What else it has started is killed when it
        // has ended.
        let pid = self.helper.pid;
        let _ = io.os().signal_child(pid, libc::SIGKILL);
        let tree = Tree { main: pid, main_alive: true, tag: &self.helper.tag };
        io.os().signal_group(tree, libc::SIGKILL);
    }

    fn outcome(&mut self, exit: Exit) -> Result<(), Problem> {
        match exit {
            Exit::Code(0) => Ok(()),
            _ if self.timed_out => {
                Err(Problem::lasting(format!("it took longer than {:?}", self.timeout)))
            }
            _ => Err(self
                .helper
                .start_problem()
                .unwrap_or_else(|| Problem::lasting(format!("the program ended with {exit}")))),
        }
    }
}

/// All helpers that run.
#[derive(Debug, Default)]
pub(super) struct Helpers(BTreeMap<Pid, Running>);

impl Helpers {
    pub(super) fn next_end(&self) -> Option<Instant> {
        self.0.values().filter(|running| !running.timed_out).filter_map(|one| one.deadline).min()
    }

    pub(super) fn pids(&self) -> impl Iterator<Item = Pid> {
        self.0.keys().copied()
    }

    /// How many workers on paths were killed and are still there.
    fn hung(&self) -> usize {
        let hangs = |one: &&Running| one.forgotten && matches!(one.purpose, Purpose::Path);
        self.0.values().filter(hangs).count()
    }

    /// How many of them are hooks.
    pub(super) fn hooks(&self) -> usize {
        self.0.values().filter(|running| matches!(running.purpose, Purpose::Hook(_))).count()
    }

    /// Starts a program.
    pub(super) fn run(
        &mut self,
        io: &mut Io,
        spawner: &mut Spawner,
        wanted: Command<'_>,
    ) -> Result<Pid, Problem> {
        let Command { purpose, command, like, environment, input, timeout } = wanted;
        let name = match &purpose {
            Purpose::Probe(_) => "probe",
            Purpose::Hook(name) => name,
            Purpose::Watch | Purpose::ReadConfig | Purpose::Path => "own",
        };
        let spec = HelperSpec { purpose: name, command, like, environment, input };
        let helper = spawner.help(&spec)?;
        let pid = helper.pid;
        self.adopt(io, purpose, helper, Some(Instant::now() + timeout), timeout);
        Ok(pid)
    }

    /// Forks a worker, a process of our own code that does `work` on `fds`, and waits
    /// for what it writes. It lives until it is [ended](Self::end).
    ///
    /// # Errors
    /// There is no room for another process; or too many that worked on paths are
    /// still there although they were killed: a mount holds them.
    pub(super) fn start_worker(
        &mut self,
        io: &mut Io,
        purpose: Purpose,
        source: Source,
        fds: &[RawFd],
        work: &dyn Fn(&mut File, &[RawFd]),
    ) -> io::Result<OwnWorker> {
        if matches!(purpose, Purpose::Path) && self.hung() >= MOST_HUNG {
            return Err(io::Error::other("too many earlier attempts still hang"));
        }
        let Worker { pid, output } = os::fork_worker(fds, work)?;
        self.adopt(io, purpose, Helper::of_our_own(pid), None, Duration::ZERO);
        match io.watch(output.as_fd(), Interest::Read, source) {
            Ok(token) => Ok(OwnWorker { pid, output, token }),
            Err(error) => {
                self.kill(io, pid);
                Err(error)
            }
        }
    }

    fn adopt(
        &mut self,
        io: &mut Io,
        purpose: Purpose,
        helper: Helper,
        deadline: Option<Instant>,
        timeout: Duration,
    ) {
        io.os_mut().adopt(helper.pid);
        let (timed_out, forgotten) = (false, false);
        let pid = helper.pid;
        self.0.insert(pid, Running { purpose, helper, deadline, timeout, timed_out, forgotten });
    }

    /// Kills helpers whose time is over; their end is seen like any other.
    pub(super) fn end_slow(&mut self, io: &Io, now: Instant) {
        for running in self.0.values_mut() {
            if running.deadline.is_some_and(|deadline| deadline <= now) && !running.timed_out {
                running.timed_out = true;
                running.kill(io);
            }
        }
    }

    /// Kills a helper whose answer is no longer of use.
    pub(super) fn kill(&mut self, io: &Io, pid: Pid) {
        if let Some(running) = self.0.get_mut(&pid) {
            running.forgotten = true;
            running.kill(io);
        }
    }

    /// Ends a worker, whether it is done or not.
    pub(super) fn end(&mut self, io: &mut Io, worker: &OwnWorker) {
        io.forget(worker.output.as_fd(), worker.token);
        self.kill(io, worker.pid);
    }

    /// Kills all helpers: the end of everything.
    pub(super) fn kill_all(&self, io: &Io) {
        self.0.values().for_each(|running| running.kill(io));
    }

    /// Takes in that a process has ended, if it was a helper.
    pub(super) fn ended(&mut self, io: &Io, pid: Pid, exit: Exit) -> Option<Ended> {
        let mut running = self.0.remove(&pid)?;
        let leftovers = Leftovers::new(pid, running.helper.tag.clone());
        io.os().signal_group(leftovers.tree(), libc::SIGKILL);
        let outcome = running.outcome(exit);
        let answer = (!running.forgotten).then_some((running.purpose, outcome));
        Some(Ended { leftovers, answer })
    }
}

/// A worker under way.
#[derive(Debug)]
pub(super) struct OwnWorker {
    pid: Pid,
    output: OwnedFd,
    token: Token,
}

impl OwnWorker {
    pub(super) fn token(&self) -> Token {
        self.token
    }

    /// Reads what it has written: nothing new, some bytes, or its end (0).
    pub(super) fn read(&self, buffer: &mut [u8]) -> Option<usize> {
        match rustix::io::read(&self.output, buffer) {
            Ok(read) => Some(read),
            Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR) => None,
            Err(_) => Some(0),
        }
    }
}
