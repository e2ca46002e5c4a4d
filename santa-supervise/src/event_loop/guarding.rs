//! The process that kills what is left when we are killed: started again when
//! somebody kills it.

use std::time::{Duration, Instant};

use crate::machine::Exit;
use crate::os::{self, Guard, Pid};

use super::EventLoop;

/// How long a guard that has ended is not replaced: what kills it may do so again.
const PAUSE: Duration = Duration::from_millis(100);

/// When one that could not be started is tried again.
const AGAIN_AFTER: Duration = Duration::from_secs(5);

/// The guard, and when it is to be replaced.
#[derive(Debug)]
pub(super) struct Guarding {
    guard: Option<Guard>,
    began: Instant,
    again_at: Option<Instant>,
}

impl Guarding {
    /// Without a guard at the beginning there will be none.
    pub(super) fn new(guard: Option<Guard>) -> Self {
        Self { guard, began: Instant::now(), again_at: None }
    }

    pub(super) fn pid(&self) -> Option<Pid> {
        self.guard.as_ref().map(|guard| guard.pid)
    }

    pub(super) fn next_start(&self) -> Option<Instant> {
        self.again_at
    }
}

impl EventLoop {
    /// Whether the process that ended was the guard.
    pub(super) fn guard_ended(&mut self, pid: Pid, exit: Exit) -> bool {
        let guarding = &mut self.processes.guarding;
        if guarding.guard.take_if(|guard| guard.pid == pid).is_none() {
            return false;
        }
        // At once, unless it has lived too short a time.
        guarding.again_at = Some(Instant::now().max(guarding.began + PAUSE));
        self.warn(&format!("the guard process has ended ({exit}) and is restarted"));
        true
    }

    /// Starts the guard again when it is time to.
    pub(super) fn guard_again(&mut self, now: Instant) {
        if self.processes.guarding.again_at.is_none_or(|due| due > now) {
            return;
        }
        match os::start_guard(self.processes.spawner.family()) {
            Ok(guard) => self.processes.guarding = Guarding::new(guard),
            Err(error) => {
                self.processes.guarding.again_at = Some(now + AGAIN_AFTER);
                self.warn(&format!("cannot start the guard process: {error}; if santa-supervise is killed now, what services have started keeps running"));
            }
        }
    }
}
