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
    limits: &'d ProxyLimits,
    timeouts: &'d ProxyTimeouts,
    /// Runs once the client makes us wait, which most never do.
    clock: RefCell<Option<BodyClock>>,
    /// When the client last took a part of what is being written.
    since: Cell<Option<Instant>>,
    deadline: &'d Deadline,
}

impl<'d> SendClock<'d> {
    /// Nothing has been taken.
    pub(crate) fn new(
        limits: &'d ProxyLimits,
        timeouts: &'d ProxyTimeouts,
        deadline: &'d Deadline,
    ) -> Self {
        let (clock, since) = (RefCell::default(), Cell::new(None));
        Self { limits, timeouts, clock, since, deadline }
    }

    /// Something is about to be written.
    pub(crate) fn begin(&self) {
        self.since.set(None);
        let patience = match &*self.clock.borrow() {
            Some(clock) => clock.patience(),
            None => BodyClock::first_patience(self.limits, self.timeouts),
        };
        self.deadline.set(Phase::Send, patience);
    }

    /// The client has taken some of it.
    pub(crate) fn progress(&self, bytes: usize) {
        let now = Instant::now();
        let waited = self.since.replace(Some(now)).map_or(Duration::ZERO, |since| now - since);
        let mut clock = self.clock.borrow_mut();
        let clock = clock.get_or_insert_with(|| BodyClock::of_answer(self.limits, self.timeouts));
        clock.arrived(bytes, waited);
        self.deadline.set(Phase::Send, clock.patience());
    }
}
