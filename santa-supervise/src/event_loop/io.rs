//! The interface to the operating system, and what is waited for there. Every
//! descriptor of the loop is registered and closed here, so a token never outlives
//! its registration.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::os::fd::BorrowedFd;
use std::time::Duration;

use crate::os::{Interest, Os, Token, Wake};

use super::turn::Turn;

/// What a token stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Source {
    Output,
    Probe,
    Control,
    Client,
    Parent,
    Notify,
    Hook,
    Start,
    Watcher,
    ConfigReader,
    Job,
}

/// The system interface, the registered descriptors, and the turn under way.
pub(super) struct Io {
    os: Box<dyn Os>,
    last: Token,
    sources: BTreeMap<Token, Source>,
    turn: Turn,
}

impl Io {
    pub(super) fn new(os: Box<dyn Os>) -> Self {
        Self { os, last: 0, sources: BTreeMap::new(), turn: Turn::new() }
    }

    pub(super) fn os(&self) -> &dyn Os {
        &*self.os
    }

    pub(super) fn os_mut(&mut self) -> &mut dyn Os {
        &mut *self.os
    }

    pub(super) fn turn(&self) -> &Turn {
        &self.turn
    }

    pub(super) fn turn_mut(&mut self) -> &mut Turn {
        &mut self.turn
    }

    /// Waits until something happens or `timeout` is over; adds to `wakes`.
    ///
    /// # Errors
    /// Waiting has become impossible.
    pub(super) fn wait(
        &mut self,
        timeout: Option<Duration>,
        wakes: &mut Vec<Wake>,
    ) -> io::Result<()> {
        self.os.wait(timeout, wakes)
    }

    /// Registers a descriptor.
    ///
    /// # Errors
    /// The system's refusal.
    pub(super) fn watch(
        &mut self,
        fd: BorrowedFd<'_>,
        interest: Interest,
        source: Source,
    ) -> io::Result<Token> {
        self.last += 1;
        let token = self.last;
        self.os.watch(fd, token, interest)?;
        self.sources.insert(token, source);
        Ok(token)
    }

    /// Waits for something else on a registered descriptor.
    ///
    /// # Errors
    /// The system's refusal.
    pub(super) fn rewatch(
        &mut self,
        fd: BorrowedFd<'_>,
        token: Token,
        interest: Interest,
    ) -> io::Result<()> {
        self.os.rewatch(fd, token, interest)
    }

    /// Leaves a descriptor alone until it is [resumed](Self::resume).
    pub(super) fn pause(&mut self, fd: BorrowedFd<'_>, token: Token) {
        self.os.forget(fd, token);
    }

    /// Waits again for input on a descriptor that was paused.
    ///
    /// # Errors
    /// The system's refusal.
    pub(super) fn resume(&mut self, fd: BorrowedFd<'_>, token: Token) -> io::Result<()> {
        self.os.watch(fd, token, Interest::Read)
    }

    /// Ends a registration; the descriptor can be closed now.
    pub(super) fn forget(&mut self, fd: BorrowedFd<'_>, token: Token) {
        self.os.forget(fd, token);
        self.sources.remove(&token);
    }

    /// What a token stands for; nothing once its descriptor is closed.
    pub(super) fn source(&self, token: Token) -> Option<Source> {
        self.sources.get(&token).copied()
    }

    /// What this turn has to take, in the order of its arrival: what the last one
    /// has left, then what has woken this one.
    pub(super) fn due(&mut self, wakes: &[Wake]) -> VecDeque<Token> {
        let mut due = self.turn.take_left();
        for wake in wakes {
            if let Wake::Io(token) = wake
                && !due.contains(token)
            {
                due.push_back(*token);
            }
        }
        due
    }
}
