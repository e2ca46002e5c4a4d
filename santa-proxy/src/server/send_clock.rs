//! The timeouts of a response: the same as for a request's body, except for the total. The
//! clock is read only once a client makes this proxy wait.

use std::cell::{Cell, RefCell};
use std::time::Duration;

use santa_config::{ProxyLimits, ProxyTimeouts};
use tokio::time::Instant;

use super::body_clock::BodyClock;
use crate::io::deadline::{Deadline, Phase};

/// The clock of one response.
#[derive(Debug)]
pub(crate) struct SendClock<'d> {
    limits: &'d ProxyLimits,
    timeouts: &'d ProxyTimeouts,
    /// Runs once the client causes a wait, which most never do.
    clock: RefCell<Option<BodyClock>>,
    /// When the client last received a part of what is being written.
    since: Cell<Option<Instant>>,
    deadline: &'d Deadline,
}

impl<'d> SendClock<'d> {
    /// Nothing has been sent.
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
        let timeout = match &*self.clock.borrow() {
            Some(clock) => clock.timeout(),
            None => BodyClock::first_byte_timeout(self.limits, self.timeouts),
        };
        self.deadline.set(Phase::Send, timeout);
    }

    /// The client has received some of it.
    pub(crate) fn progress(&self, bytes: usize) {
        let now = Instant::now();
        let waited = self.since.replace(Some(now)).map_or(Duration::ZERO, |since| now - since);
        let mut clock = self.clock.borrow_mut();
        let clock = clock.get_or_insert_with(|| BodyClock::of_response(self.limits, self.timeouts));
        clock.arrived(bytes, waited);
        self.deadline.set(Phase::Send, clock.timeout());
    }
}
