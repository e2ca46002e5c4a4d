//! One turn of the loop: what has woken it is taken until the turn has lasted
//! long enough; the rest waits for the next one. So no source, however busy,
//! keeps signals, exits and clients waiting.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::os::{self, Token, Wake};

use super::{EventLoop, Source};

/// How long a turn takes sources, and how long of that clients.
pub(super) const LONG_ENOUGH: Duration = Duration::from_millis(10);
const ENOUGH_FOR_CLIENTS: Duration = Duration::from_millis(5);

/// The turn under way, and what it leaves to the next.
#[derive(Debug)]
pub(super) struct Turn {
    begun: Instant,
    left: VecDeque<Token>,
    longest: Duration,
    /// The most processor time that one has taken: what of it was our own doing.
    most_work: Duration,
    /// Whether exits were taken: once a turn is enough.
    pub(super) reaped: bool,
}

impl Turn {
    pub(super) fn new() -> Self {
        Self {
            begun: Instant::now(),
            left: VecDeque::new(),
            longest: Duration::ZERO,
            most_work: Duration::ZERO,
            reaped: false,
        }
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

    /// Whether whoever has more to do should leave it.
    pub(super) fn is_over(&self) -> bool {
        self.begun.elapsed() >= LONG_ENOUGH
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

impl EventLoop {
    /// Takes what has happened.
    pub(super) fn take_turn(&mut self, wakes: &[Wake]) {
        self.io.turn.begun = Instant::now();
        let worked = os::processor_time();
        self.io.turn.reaped = false;
        let mut signals: Vec<i32> = wakes
            .iter()
            .filter_map(|wake| match wake {
                Wake::Signal(signal) => Some(*signal),
                Wake::Io(_) | Wake::Child => None,
            })
            .collect();
        // Once a turn is enough for each.
        signals.sort_unstable();
        signals.dedup();
        signals.into_iter().for_each(|signal| self.take_signal(signal));
        if wakes.contains(&Wake::Child) {
            self.reap();
        }
        self.take_sources(wakes);
        if self.monitors.usages.is_under_way() {
            self.look_at_usage();
        }
        self.run_timers();
        self.drain();
        self.io.turn.longest = self.io.turn.longest.max(self.io.turn.begun.elapsed());
        let worked = os::processor_time().saturating_sub(worked);
        self.io.turn.most_work = self.io.turn.most_work.max(worked);
    }

    /// Clients first, and of both kinds what the last turn has left: a system may
    /// name busy sources in the same order each time.
    fn take_sources(&mut self, wakes: &[Wake]) {
        let mut due = std::mem::take(&mut self.io.turn.left);
        let woken = wakes.iter().filter_map(|wake| match wake {
            Wake::Io(token) => Some(*token),
            Wake::Signal(_) | Wake::Child => None,
        });
        for token in woken {
            if !due.contains(&token) {
                due.push_back(token);
            }
        }
        let is_client = |token: &Token| {
            matches!(self.io.sources.known.get(token), Some(Source::Control | Source::Client))
        };
        let (clients, others): (Vec<_>, Vec<_>) = due.into_iter().partition(is_client);
        // Not from the turn's beginning: however long exits took, some get theirs.
        let begun = Instant::now();
        self.take_until(begun + ENOUGH_FOR_CLIENTS, clients);
        self.take_until(begun + LONG_ENOUGH, others);
    }

    fn take_until(&mut self, end: Instant, tokens: Vec<Token>) {
        for token in tokens {
            if Instant::now() < end {
                self.take_source(token);
            } else {
                self.io.turn.leave(token);
            }
        }
    }

    fn take_source(&mut self, token: Token) {
        match self.io.sources.known.get(&token) {
            Some(Source::Output) => self.read_output(token),
            Some(Source::Probe) => self.advance_probe(token),
            Some(Source::Control) => self.accept_clients(),
            Some(Source::Client) => self.serve_client(token),
            Some(Source::Parent) => self.look_at_parent(token),
            Some(Source::Notify) => self.read_notify_socket(token),
            Some(Source::Hook) => self.go_on_posting(token),
            Some(Source::Start) => self.start_reported(token),
            Some(Source::Watcher) => self.read_watcher(token),
            Some(Source::ConfigReader) => self.read_config_reader(),
            Some(Source::Job) => self.read_job(token),
            // Closed meanwhile.
            None => {}
        }
    }
}
