//! Short programs beside the services: probes by a program, and hooks. Each has
//! a deadline, and whatever it leaves behind ends with it.

use std::collections::BTreeMap;
use std::io;
use std::time::{Duration, Instant};

use crate::machine::{Exit, Generation};
use crate::os::{Pid, Tree};
use crate::spawning::{Helper, HelperSpec, Like, Problem};

use super::EventLoop;
use super::leftovers::Leftovers;

/// Most processes of our own that a mount may hold.
const MOST_HUNG: usize = 32;

/// What a helper is for.
#[derive(Debug, Clone)]
pub(super) enum Purpose {
    /// To look at this generation.
    Probe(Generation),
    /// To tell of an event; the name of the hook.
    Hook(String),
    /// To look at files for as long as a service watches them.
    Watch,
    /// To read the configuration again.
    ReadConfig,
    /// To do something with a path: connect a socket of ours to it, bind one, look.
    Path,
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

    /// How many processes that worked on paths were killed and are still there.
    fn hung(&self) -> usize {
        let hangs = |one: &&Running| one.forgotten && matches!(one.purpose, Purpose::Path);
        self.0.values().filter(hangs).count()
    }

    /// How many of them are hooks.
    pub(super) fn hooks(&self) -> usize {
        self.0.values().filter(|running| matches!(running.purpose, Purpose::Hook(_))).count()
    }
}

impl EventLoop {
    /// Starts a helper that may take `timeout`.
    pub(super) fn run_helper(
        &mut self,
        purpose: Purpose,
        command: &[String],
        like: Like<'_>,
        environment: Vec<(&'static str, String)>,
        input: &str,
        timeout: Duration,
    ) -> Result<Pid, Problem> {
        let name = match &purpose {
            Purpose::Probe(_) => "look",
            Purpose::Hook(name) => name,
            Purpose::Watch | Purpose::ReadConfig | Purpose::Path => "own",
        };
        let spec = HelperSpec { purpose: name, command, like, environment, input };
        let helper = self.processes.spawner.help(&spec)?;
        let pid = helper.pid;
        let deadline = Instant::now() + timeout;
        self.adopt_helper(purpose, helper, Some(deadline), timeout);
        Ok(pid)
    }

    /// # Errors
    /// Too many processes that worked on paths are still there although they were
    /// killed: a mount holds them.
    pub(super) fn has_room_for_worker(&self) -> io::Result<()> {
        match self.processes.helpers.hung() < MOST_HUNG {
            true => Ok(()),
            false => Err(io::Error::other("too many earlier attempts still hang")),
        }
    }

    /// Takes in a process of our own code, which lives until it is ended.
    pub(super) fn adopt_worker(&mut self, purpose: Purpose, pid: Pid) {
        self.adopt_helper(purpose, Helper::of_our_own(pid), None, Duration::ZERO);
    }

    fn adopt_helper(
        &mut self,
        purpose: Purpose,
        helper: Helper,
        deadline: Option<Instant>,
        timeout: Duration,
    ) {
        self.io.os.adopt(helper.pid);
        let pid = helper.pid;
        let (timed_out, forgotten) = (false, false);
        let running = Running { purpose, helper, deadline, timeout, timed_out, forgotten };
        self.processes.helpers.0.insert(pid, running);
    }

    /// Kills helpers whose time is over; their end is seen like any other.
    pub(super) fn end_slow_helpers(&mut self, now: Instant) {
        let mut late = Vec::new();
        for running in self.processes.helpers.0.values_mut() {
            if running.deadline.is_some_and(|deadline| deadline <= now) && !running.timed_out {
                running.timed_out = true;
                late.push(running.helper.pid);
            }
        }
        late.into_iter().for_each(|pid| self.kill_helper(pid));
    }

    /// Kills a helper whose answer is no longer of use.
    pub(super) fn end_helper(&mut self, pid: Pid) {
        if let Some(running) = self.processes.helpers.0.get_mut(&pid) {
            running.forgotten = true;
            self.kill_helper(pid);
        }
    }

    fn kill_helper(&mut self, pid: Pid) {
        if let Some(running) = self.processes.helpers.0.get(&pid) {
            // It may not lead its group yet. What else it has started is killed
            // when it has ended.
            let _ = self.io.os.signal_child(pid, libc::SIGKILL);
            let tree = Tree { main: pid, main_alive: true, tag: &running.helper.tag };
            self.io.os.signal_group(tree, libc::SIGKILL);
        }
    }

    /// Kills all helpers: the end of everything.
    pub(super) fn end_all_helpers(&mut self) {
        let all: Vec<Pid> = self.processes.helpers.0.keys().copied().collect();
        all.into_iter().for_each(|pid| self.kill_helper(pid));
    }

    /// Whether the process that ended was a helper; then its answer is taken.
    pub(super) fn helper_ended(&mut self, pid: Pid, exit: Exit) -> bool {
        let Some(mut running) = self.processes.helpers.0.remove(&pid) else { return false };
        let leftovers = Leftovers::new(pid, running.helper.tag.clone());
        self.io.os.signal_group(leftovers.tree(), libc::SIGKILL);
        self.processes.children.add_leftovers(leftovers);
        let outcome = match exit {
            Exit::Code(0) => Ok(()),
            _ if running.timed_out => {
                Err(Problem::lasting(format!("it took longer than {:?}", running.timeout)))
            }
            _ => Err(running
                .helper
                .start_problem()
                .unwrap_or_else(|| Problem::lasting(format!("the program ended with {exit}")))),
        };
        match running.purpose {
            _ if running.forgotten => {}
            Purpose::Probe(generation) => self.command_probe_done(generation, outcome),
            Purpose::Hook(name) => self.hook_done(&name, outcome.map_err(Problem::into_message)),
            // Its pipe tells.
            Purpose::Watch | Purpose::ReadConfig | Purpose::Path => {}
        }
        true
    }
}
