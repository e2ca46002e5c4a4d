//! One turn of the loop: what has woken it is taken until the turn has lasted
//! long enough; the rest waits for the next one. So no source, however busy,
//! keeps signals, exits and clients waiting.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::os::{self, Token};

/// How long a turn takes sources.
pub(super) const LONG_ENOUGH: Duration = Duration::from_millis(10);

/// The turn under way, and what it leaves to the next.
#[derive(Debug)]
pub(super) struct Turn {
    begun: Instant,
    /// The processor time at its beginning.
    worked: Duration,
    left: VecDeque<Token>,
    longest: Duration,
    /// The most processor time that one has taken: what of it was our own doing.
    most_work: Duration,
    /// Whether exits were taken: once a turn is enough.
    reaped: bool,
}

impl Turn {
    pub(super) fn new() -> Self {
        Self {
            begun: Instant::now(),
            worked: Duration::ZERO,
            left: VecDeque::new(),
            longest: Duration::ZERO,
            most_work: Duration::ZERO,
            reaped: false,
        }
    }

    pub(super) fn begin(&mut self) {
        self.begun = Instant::now();
        self.worked = os::processor_time();
        self.reaped = false;
    }

    pub(super) fn end(&mut self) {
        self.longest = self.longest.max(self.begun.elapsed());
        let worked = os::processor_time().saturating_sub(self.worked);
        self.most_work = self.most_work.max(worked);
    }

    /// Whether the next turn has something to do in any case.
    pub(super) fn has_left(&self) -> bool {
        !self.left.is_empty()
    }

    /// Leaves a source to the next turn, which comes at once.
    pub(super) fn leave(&mut self, token: Token) {
        if !self.left.contains(&token) {
            self.left.push_back(token);
        }
    }

    /// What the last turn has left.
    pub(super) fn take_left(&mut self) -> VecDeque<Token> {
        std::mem::take(&mut self.left)
    }

    /// Whether further work should be left to the next turn.
    pub(super) fn is_over(&self) -> bool {
        self.begun.elapsed() >= LONG_ENOUGH
    }

    /// Whether exits were taken in this turn.
    pub(super) fn has_reaped(&self) -> bool {
        self.reaped
    }

    pub(super) fn set_reaped(&mut self) {
        self.reaped = true;
    }

    /// The longest turn so far: nobody has waited longer for the loop.
    pub(super) fn longest(&self) -> Duration {
        self.longest
    }

    /// The most processor time that a turn has taken so far.
    pub(super) fn most_work(&self) -> Duration {
        self.most_work
    }
}
