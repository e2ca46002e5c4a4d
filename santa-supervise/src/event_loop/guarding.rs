//! The process that kills what is left when we are killed: started again when
//! someone kills it.

use std::io;
use std::time::{Duration, Instant};

use crate::os::{self, Family, Guard, Pid};

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

    /// Whether the process that ended was the guard; then it will be restarted.
    pub(super) fn ended(&mut self, pid: Pid) -> bool {
        if self.guard.take_if(|guard| guard.pid == pid).is_none() {
            return false;
        }
        // At once, unless it has lived too short a time.
        self.again_at = Some(Instant::now().max(self.began + PAUSE));
        true
    }

    /// Starts the guard again when it is time to.
    ///
    /// # Errors
    /// There is no room for another process now; it is tried again.
    pub(super) fn restart(&mut self, family: Family, now: Instant) -> io::Result<()> {
        if self.again_at.is_none_or(|due| due > now) {
            return Ok(());
        }
        self.again_at = Some(now + AGAIN_AFTER);
        *self = Self::new(os::start_guard(family)?);
        Ok(())
    }
}
