//! Short programs beside the services: probes by a program, and hooks. Each has
//! a deadline, and whatever it leaves behind ends with it.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::machine::{Exit, Generation};
use crate::os::{Pid, Tree};
use crate::plan::Blueprint;
use crate::spawning::{Helper, HelperSpec};

use super::EventLoop;

/// What a helper is for.
#[derive(Debug, Clone)]
pub(super) enum Purpose {
    /// To look at this generation.
    Look(Generation),
    /// To tell of an event; the name of the hook.
    Hook(String),
}

#[derive(Debug)]
struct Running {
    purpose: Purpose,
    helper: Helper,
    deadline: Instant,
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
        self.0.values().filter(|running| !running.timed_out).map(|running| running.deadline).min()
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
        like: Option<&Blueprint>,
        environment: Vec<(&'static str, String)>,
        input: &str,
        timeout: Duration,
    ) -> Result<Pid, String> {
        let name = match &purpose {
            Purpose::Look(_) => "look",
            Purpose::Hook(name) => name,
        };
        let spec = HelperSpec { purpose: name, command, like, environment, input };
        let helper = self.spawner.help(&spec)?;
        let pid = helper.pid;
        self.os.adopt(pid);
        let deadline = Instant::now() + timeout;
        let (timed_out, forgotten) = (false, false);
        let running = Running { purpose, helper, deadline, timeout, timed_out, forgotten };
        self.helpers.0.insert(pid, running);
        Ok(pid)
    }

    /// Kills helpers whose time is over; their end is seen like any other.
    pub(super) fn end_slow_helpers(&mut self, now: Instant) {
        let mains = self.children.mains();
        for running in self.helpers.0.values_mut() {
            if running.deadline <= now && !running.timed_out {
                running.timed_out = true;
                self.os.signal_tree(tree(&running.helper, true), &mains, libc::SIGKILL);
            }
        }
    }

    /// Kills a helper whose answer is no longer of use.
    pub(super) fn end_helper(&mut self, pid: Pid) {
        let mains = self.children.mains();
        if let Some(running) = self.helpers.0.get_mut(&pid) {
            running.forgotten = true;
            self.os.signal_tree(tree(&running.helper, true), &mains, libc::SIGKILL);
        }
    }

    /// Kills all helpers: the end of everything.
    pub(super) fn end_all_helpers(&self) {
        let mains = self.children.mains();
        for running in self.helpers.0.values() {
            self.os.signal_tree(tree(&running.helper, true), &mains, libc::SIGKILL);
        }
    }

    /// Whether the process that ended was a helper; then its answer is taken.
    pub(super) fn helper_ended(&mut self, pid: Pid, exit: Exit) -> bool {
        let Some(running) = self.helpers.0.remove(&pid) else { return false };
        let mains = self.children.mains();
        self.os.signal_tree(tree(&running.helper, false), &mains, libc::SIGKILL);
        let outcome = match exit {
            Exit::Code(0) => Ok(()),
            _ if running.timed_out => Err(format!("it took longer than {:?}", running.timeout)),
            _ => Err(format!("the program ended with {exit}")),
        };
        match running.purpose {
            _ if running.forgotten => {}
            Purpose::Look(generation) => self.program_looked(generation, outcome),
            Purpose::Hook(name) => self.hook_done(&name, outcome),
        }
        true
    }
}

fn tree(helper: &Helper, main_alive: bool) -> Tree<'_> {
    Tree { main: helper.pid, main_alive, tag: &helper.tag }
}
