//! Children on their way from fork to their program. It may be long: files and
//! programs on a network mount, a directory service that does not answer. The
//! loop goes on meanwhile, and the start timeout counts.

use std::collections::BTreeMap;

use crate::machine::{Event, Exit, Generation, SpawnFailure};
use crate::os::{Interest, Progress, Report, Token};
use crate::spawning;

use super::{EventLoop, Source};

#[derive(Debug)]
struct Starting {
    token: Token,
    progress: Progress,
}

/// All of them, by generation.
#[derive(Debug, Default)]
pub(super) struct Starts(BTreeMap<Generation, Starting>);

impl EventLoop {
    /// Waits in the loop until the program of a child runs.
    pub(super) fn await_program(&mut self, generation: Generation, progress: Progress) {
        let token = self.io.sources.add(Source::Start);
        let watched = self.io.os.watch(progress.fd(), token, Interest::HangUp);
        self.processes.starts.0.insert(generation, Starting { token, progress });
        if watched.is_err() {
            // Without memory for this, it will not get far; its end tells.
            self.io.sources.remove(token);
            self.signal_main(generation, libc::SIGKILL);
        }
    }

    /// Whether a child does not run its program yet.
    pub(super) fn is_on_its_way(&mut self, generation: Generation) -> bool {
        let starting = self.processes.starts.0.get_mut(&generation);
        starting.is_some_and(|one| !matches!(one.progress.look(), Report::Running))
    }

    /// Ends a child that does not run its program yet. It gets SIGKILL and will
    /// never run it, however long a mount holds it: nobody waits for its end.
    pub(super) fn abandon_start(&mut self, generation: Generation) {
        self.signal_main(generation, libc::SIGKILL);
        // It may have begun to run, and to start others, before it was killed; or
        // it has ended already. Then its end tells, as always.
        if !self.is_on_its_way(generation) {
            return;
        }
        let Some(slot) = self.processes.children.get(generation).map(|child| child.slot) else {
            return;
        };
        let exit = Exit::Signal(libc::SIGKILL);
        let event = match self.start_failure(generation) {
            Some(failure) => Event::SpawnFailed(slot, generation, failure),
            None => Event::Exited { slot, generation, exit, alone: true },
        };
        self.forget_tree(generation);
        self.core.events.push_back(event);
    }

    /// What takes a child so long that it does not run its program yet.
    pub(super) fn delay_of(&mut self, generation: Generation) -> Option<String> {
        match self.processes.starts.0.get_mut(&generation)?.progress.look() {
            Report::At(step) => {
                Some(format!("still trying to {}; is a mount hanging?", step.attempt()))
            }
            _ => None,
        }
    }

    /// The child runs its program, or ends without.
    pub(super) fn start_reported(&mut self, token: Token) {
        let mut starts = self.processes.starts.0.iter_mut();
        let Some((generation, starting)) = starts.find(|(_, one)| one.token == token) else {
            return;
        };
        let (generation, report) = (*generation, starting.progress.look());
        self.io.os.forget(starting.progress.fd(), token);
        self.io.sources.remove(token);
        // What ends without is told of when it has.
        if let Report::Running = report {
            self.processes.starts.0.remove(&generation);
            self.program_runs(generation);
        }
    }

    fn program_runs(&mut self, generation: Generation) {
        let Some(child) = self.processes.children.get(generation) else { return };
        let (slot, blueprint) = (child.slot, std::rc::Rc::clone(&child.blueprint));
        self.begin_probe(slot, generation, &blueprint);
        self.core.events.push_back(Event::Spawned(slot, generation));
    }

    /// Why a child that has ended never ran its program, if that is so.
    pub(super) fn start_failure(&mut self, generation: Generation) -> Option<SpawnFailure> {
        let mut starting = self.processes.starts.0.remove(&generation)?;
        if self.io.sources.known.contains_key(&starting.token) {
            self.io.os.forget(starting.progress.fd(), starting.token);
            self.io.sources.remove(starting.token);
        }
        let child = self.processes.children.get(generation)?;
        match starting.progress.look() {
            Report::Failed(found) => Some(spawning::explain(&child.blueprint, found)),
            Report::Refused(refusal) => Some(refusal),
            Report::At(_) | Report::Running => None,
        }
    }
}
