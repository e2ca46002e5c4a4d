//! Children on their way from fork to their program. It may be long: files and
//! programs on a network mount, a directory service that does not answer. The
//! loop goes on meanwhile, and the start timeout counts.

use std::collections::BTreeMap;
use std::io;

use crate::machine::{Generation, SpawnFailure};
use crate::os::{Interest, Progress, Report, Token};
use crate::plan::Blueprint;
use crate::spawning;

use super::io::{Io, Source};

#[derive(Debug)]
struct Starting {
    /// None once it is no longer waited for.
    token: Option<Token>,
    progress: Progress,
}

/// All of them, by generation.
#[derive(Debug, Default)]
pub(super) struct Starts(BTreeMap<Generation, Starting>);

impl Starts {
    /// Waits until the program of a child runs.
    ///
    /// # Errors
    /// The system's refusal to wait for it. Its exit is seen nevertheless.
    pub(super) fn add(
        &mut self,
        io: &mut Io,
        generation: Generation,
        progress: Progress,
    ) -> io::Result<()> {
        let token = io.watch(progress.fd(), Interest::HangUp, Source::Start);
        let (token, watched) = match token {
            Ok(token) => (Some(token), Ok(())),
            Err(error) => (None, Err(error)),
        };
        self.0.insert(generation, Starting { token, progress });
        watched
    }

    /// Whether a child does not run its program yet.
    pub(super) fn is_on_its_way(&mut self, generation: Generation) -> bool {
        let starting = self.0.get_mut(&generation);
        starting.is_some_and(|one| !matches!(one.progress.look(), Report::Running))
    }

    /// What takes a child so long that it does not run its program yet.
    pub(super) fn delay_of(&mut self, generation: Generation) -> Option<String> {
        match self.0.get_mut(&generation)?.progress.look() {
            Report::At(step) => {
                Some(format!("still trying to {}; is a mount hanging?", step.attempt()))
            }
            _ => None,
        }
    }

    /// A child has reported; returns which if its program runs. If it ends without,
    /// its exit is seen.
    pub(super) fn reported(&mut self, io: &mut Io, token: Token) -> Option<Generation> {
        let (generation, starting) = self.0.iter_mut().find(|(_, one)| one.token == Some(token))?;
        let (generation, report) = (*generation, starting.progress.look());
        starting.stop_waiting(io);
        if let Report::Running = report {
            self.0.remove(&generation);
            return Some(generation);
        }
        None
    }

    /// Why a child that has ended never ran its program, if that is so.
    pub(super) fn failure(
        &mut self,
        io: &mut Io,
        generation: Generation,
        blueprint: Option<&Blueprint>,
    ) -> Option<SpawnFailure> {
        let mut starting = self.0.remove(&generation)?;
        starting.stop_waiting(io);
        let blueprint = blueprint?;
        match starting.progress.look() {
            Report::Failed(found) => Some(spawning::explain(blueprint, found)),
            Report::Refused(refusal) => Some(refusal),
            Report::At(_) | Report::Running => None,
        }
    }
}

impl Starting {
    fn stop_waiting(&mut self, io: &mut Io) {
        if let Some(token) = self.token.take() {
            io.forget(self.progress.fd(), token);
        }
    }
}
