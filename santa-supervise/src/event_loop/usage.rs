//! What services use, for `top` and for metrics. Read on request only: an idle
//! supervisor stays idle.

use std::collections::VecDeque;

use crate::machine::SlotId;
use crate::os::Token;
use crate::protocol::ServiceUsage;

/// What a client wants to know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Question {
    Usage,
    Metrics,
}

/// The reading of all services under way, a portion each turn, because /proc is slow.
/// Requests that come meanwhile get the next one.
#[derive(Debug, Default)]
pub(super) struct Usages {
    askers: Vec<(Token, Question)>,
    next_askers: Vec<(Token, Question)>,
    left: VecDeque<SlotId>,
    found: Vec<ServiceUsage>,
}

/// What all services use, and who has asked.
#[derive(Debug)]
pub(super) struct Finished {
    pub(super) usage: Vec<ServiceUsage>,
    pub(super) askers: Vec<(Token, Question)>,
}

impl Usages {
    /// Whether a turn has something to do.
    pub(super) fn is_under_way(&self) -> bool {
        !self.askers.is_empty()
    }

    /// Whether a client still waits for an answer.
    pub(super) fn is_waited_for(&self, token: Token) -> bool {
        self.askers.iter().chain(&self.next_askers).any(|(asker, _)| *asker == token)
    }

    /// Notes a request; returns whether a reading of `services` begins now.
    pub(super) fn ask(
        &mut self,
        asker: Token,
        question: Question,
        services: impl Iterator<Item = SlotId>,
    ) -> bool {
        if self.is_under_way() {
            self.next_askers.push((asker, question));
            return false;
        }
        self.askers.push((asker, question));
        self.left = services.collect();
        true
    }

    /// Whether there are services left to read.
    pub(super) fn has_left(&self) -> bool {
        !self.left.is_empty()
    }

    /// The next service to read.
    pub(super) fn next(&mut self) -> Option<SlotId> {
        self.left.pop_front()
    }

    pub(super) fn add(&mut self, found: Option<ServiceUsage>) {
        self.found.extend(found);
    }

    /// Ends a reading of all services; one of `services` begins for requests that came
    /// meanwhile.
    pub(super) fn finish(&mut self, services: impl Iterator<Item = SlotId>) -> Finished {
        let usage = std::mem::take(&mut self.found);
        let next = std::mem::take(&mut self.next_askers);
        if !next.is_empty() {
            self.left = services.collect();
        }
        let askers = std::mem::replace(&mut self.askers, next);
        Finished { usage, askers }
    }
}
