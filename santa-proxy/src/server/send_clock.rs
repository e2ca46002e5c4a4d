//! How slowly a client may take an answer: the same rules as for a request's
//! body, but for the total. The clock is only read once a client makes us wait.

use std::cell::{Cell, RefCell};
use std::time::Duration;

use santa_config::{ProxyLimits, ProxyTimeouts};
use tokio::time::Instant;

use super::body_clock::BodyClock;
use crate::io::deadline::{Deadline, Phase};

/// The clock of one answer.
#[derive(Debug)]
pub(crate) struct SendClock<'d> {
    clock: RefCell<BodyClock>,
    /// When the client last took a part of what is being written.
    since: Cell<Option<Instant>>,
    deadline: &'d Deadline,
}

impl<'d> SendClock<'d> {
    /// Nothing has been taken.
    pub(crate) fn new(
        limits: &ProxyLimits,
        timeouts: &ProxyTimeouts,
        deadline: &'d Deadline,
    ) -> Self {
        let clock = RefCell::new(BodyClock::of_answer(limits, timeouts));
        Self { clock, since: Cell::new(None), deadline }
    }

    /// Something is about to be written.
    pub(crate) fn begin(&self) {
        self.since.set(None);
        self.deadline.set(Phase::Send, self.clock.borrow().patience());
    }

    /// The client has taken some of it.
    pub(crate) fn progress(&self, bytes: usize) {
        let now = Instant::now();
        let waited = self.since.replace(Some(now)).map_or(Duration::ZERO, |since| now - since);
        let mut clock = self.clock.borrow_mut();
        clock.arrived(bytes, waited);
        self.deadline.set(Phase::Send, clock.patience());
    }
}
