//! One turn: signals, exits, then every source that has woken the loop. Each room
//! is asked what has happened; its events go to the core.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::machine::Event;
use crate::os::{Token, Wake};

use super::EventLoop;
use super::control::Accepted;
use super::hooks::Failed;
use super::io::Source;
use super::jobs::{Finished, Job};
use super::notify::Notification;
use super::output::Published;
use super::probes::{Context, Probes};
use super::turn::LONG_ENOUGH;

/// How long of a turn clients are taken.
const ENOUGH_FOR_CLIENTS: Duration = Duration::from_millis(5);

/// Most reads of one pipe before others get their turn.
const READS_A_TURN: usize = 4;

/// Most connections taken before others get their turn, and the time after which
/// they get it anyway: some ask what takes its time.
const ACCEPTS_A_TURN: usize = 16;
const ACCEPT_FOR: Duration = Duration::from_millis(3);

impl EventLoop {
    /// Takes what has happened.
    pub(super) fn take_turn(&mut self, wakes: &[Wake]) {
        self.io.turn_mut().begin();
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
        self.io.turn_mut().end();
    }

    /// Clients first, and of both kinds what the last turn has left: a system may
    /// name busy sources in the same order each time.
    fn take_sources(&mut self, wakes: &[Wake]) {
        let due: VecDeque<Token> = self.io.due(wakes);
        let is_client = |token: &Token| {
            matches!(self.io.source(*token), Some(Source::Control | Source::Client))
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
                self.io.turn_mut().leave(token);
            }
        }
    }

    fn take_source(&mut self, token: Token) {
        // None: closed meanwhile.
        let Some(source) = self.io.source(token) else { return };
        match source {
            Source::Output => self.read_output(token),
            Source::Probe => {
                let (probes, mut context) = self.probing();
                let event = probes.advance(&mut context, token);
                self.core.extend(event);
            }
            Source::Control => self.accept_clients(),
            Source::Client => self.serve_client(token),
            Source::Parent => self.look_at_parent(token),
            Source::Notify => self.read_notify_socket(token),
            Source::Hook => {
                let helpers = &mut self.processes.helpers;
                let failed = self.monitors.hooks.advance(&mut self.io, helpers, token);
                self.hooks_failed(failed);
            }
            Source::Start => self.start_reported(token),
            Source::Watcher => {
                let helpers = &mut self.processes.helpers;
                if let Some(slot) = self.monitors.watched.read(&mut self.io, helpers, token) {
                    self.files_changed(slot);
                }
            }
            Source::ConfigReader => {
                let helpers = &mut self.processes.helpers;
                if let Some(read) = self.configuration.reading.read(&mut self.io, helpers) {
                    self.reload_config(read);
                }
            }
            Source::Job => {
                let helpers = &mut self.processes.helpers;
                let finished = self.processes.jobs.read(&mut self.io, helpers, token);
                self.job_finished(finished);
            }
        }
    }

    fn read_output(&mut self, token: Token) {
        for _ in 0..READS_A_TURN {
            let (more, published) = self.output.read(&mut self.io, token, self.core.now());
            self.published(published);
            // What is left wakes the next turn.
            if !more || self.io.turn().is_over() {
                return;
            }
        }
    }

    /// Shows output to its followers, and reports to the core who became ready by it.
    pub(super) fn published(&mut self, published: Published) {
        for (slot, generation) in published.ready {
            let slot_state = self.core.state().slot(slot);
            if slot_state.is_some_and(|slot| slot.is_starting(generation)) {
                self.core.push(Event::Ready(slot, generation));
            }
        }
        published.chunks.iter().for_each(|chunk| self.control.show(&mut self.io, chunk));
    }

    fn read_notify_socket(&mut self, token: Token) {
        let Some(generation) = self.monitors.notify.owner(token) else { return };
        let Some(child) = self.processes.children.get(generation) else { return };
        let received = self.monitors.notify.read(&mut self.io, generation, child.tree());
        for notification in received {
            match notification {
                Notification::Ready if child.blueprint().is_ready_by_notify() => {
                    self.core.push(Event::Ready(child.slot(), generation));
                }
                Notification::Ready => {}
                Notification::Watchdog => self.monitors.probes.watchdog_ping(generation),
            }
        }
    }

    /// The probes, and what they are made with.
    pub(super) fn probing(&mut self) -> (&mut Probes, Context<'_>) {
        let context = Context {
            io: &mut self.io,
            helpers: &mut self.processes.helpers,
            spawner: &mut self.processes.spawner,
            children: &self.processes.children,
            sockets: &self.sockets,
            state: self.core.state(),
        };
        (&mut self.monitors.probes, context)
    }

    pub(super) fn hooks_failed(&mut self, failed: impl IntoIterator<Item = Failed>) {
        for Failed { hook, problem } in failed {
            self.warn(&format!("hook {hook} failed: {problem}"));
        }
    }

    pub(super) fn job_finished(&mut self, finished: Option<Finished>) {
        let Some(Finished { job, bytes }) = finished else { return };
        match job {
            Job::BindNew(config, blueprints, batch) => {
                self.sockets_bound(*config, blueprints, batch.listeners(&bytes));
            }
            Job::LookForLost(addresses) => self.looked_for_lost(addresses, &bytes),
            Job::BindLost(batch) => self.bound_again(batch.listeners(&bytes)),
            Job::ReadEnvironments(pids) => self.environments_read(&pids, &bytes),
            Job::FileTasks(_) => {}
        }
    }

    fn accept_clients(&mut self) {
        let end = Instant::now() + ACCEPT_FOR;
        for _ in 0..ACCEPTS_A_TURN {
            if end <= Instant::now() {
                // Those who still wait wake the next turn.
                return;
            }
            match self.control.accept(&mut self.io) {
                Accepted::Client(fd) => {
                    if let Some(silent) = self.control.client_to_evict() {
                        // What it has asked just now counts.
                        self.serve_client(silent);
                    }
                    if let Some(token) = self.control.add(&mut self.io, fd) {
                        // Most have asked already.
                        self.serve_client(token);
                    }
                }
                Accepted::Nobody => {}
                Accepted::Refused(why) => self.warn(&why),
                Accepted::Done(problem) => {
                    problem.iter().for_each(|problem| self.warn(problem));
                    return;
                }
            }
        }
    }

    /// A client sent something, takes something, or left. One request a turn,
    /// because some of them take their time.
    fn serve_client(&mut self, token: Token) {
        self.control.send_output(&mut self.io, token);
        if self.monitors.usages.is_waited_for(token) {
            // Answers come in the order of the requests.
            return;
        }
        if let Some(request) = self.control.next_request(&mut self.io, token) {
            self.obey(token, request);
        }
        if self.control.has_request(token) {
            self.io.turn_mut().leave(token);
        }
    }
}
