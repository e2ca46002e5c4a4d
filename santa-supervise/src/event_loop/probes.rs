//! Probes of services: of starting ones until they are ready, of ready ones to
//! see that they still work. How a connection is probed is in
//! [`crate::readiness`]; what follows from the events is for the core.

mod begin;
mod watch;

use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::{Duration, Instant};

use crate::machine::{Event, Generation, Phase, SlotId, State};
use crate::os::Token;
use crate::plan::{Blueprint, ProbeKind};
use crate::sockets::Sockets;
use crate::spawning::{Problem, Spawner};

use super::children::Children;
use super::helpers::Helpers;
use super::io::Io;
use watch::{Finding, Target, Watch};

/// How long probes are begun in one turn: each may start a program.
const BEGIN_FOR: Duration = Duration::from_millis(5);

/// What probes are made with.
pub(super) struct Context<'a> {
    pub(super) io: &'a mut Io,
    pub(super) helpers: &'a mut Helpers,
    pub(super) spawner: &'a mut Spawner,
    pub(super) children: &'a Children,
    pub(super) sockets: &'a Sockets,
    pub(super) state: &'a State,
}

/// All services that have to be probed, by generation.
#[derive(Debug, Default)]
pub(super) struct Probes(BTreeMap<Generation, Watch>);

impl Probes {
    pub(super) fn next_check(&self) -> Option<Instant> {
        self.0.values().map(Watch::due).min()
    }

    /// What the last probe of a slot found wrong, if anything.
    pub(super) fn problem(&self, slot: SlotId) -> Option<&str> {
        self.0.values().find(|watch| watch.slot() == slot)?.problem()
    }

    /// Begins to probe a starting service, where that is how it becomes ready.
    pub(super) fn begin(
        &mut self,
        slot: SlotId,
        generation: Generation,
        blueprint: &Rc<Blueprint>,
    ) {
        if !matches!(blueprint.probe, None | Some(ProbeKind::Log(_) | ProbeKind::Notify)) {
            let watch = Watch::new(slot, blueprint, Target::Readiness, Instant::now());
            self.0.insert(generation, watch);
        }
    }

    /// Begins probes that are due, ends those that take too long.
    pub(super) fn run(&mut self, context: &mut Context<'_>, now: Instant) -> Vec<Event> {
        let due = self.0.iter().filter(|(_, watch)| watch.due() <= now);
        let due: Vec<Generation> = due.map(|(generation, _)| *generation).collect();
        let end = Instant::now() + BEGIN_FOR;
        let mut events = Vec::new();
        for generation in due {
            events.extend(self.run_one(context, generation));
            if end <= Instant::now() {
                // The others are still due in the next turn.
                break;
            }
        }
        events
    }

    fn run_one(&mut self, context: &mut Context<'_>, generation: Generation) -> Option<Event> {
        let watch = self.0.get_mut(&generation)?;
        let finding = match watch.timeout() {
            Some(why) => Finding::Failed(why),
            None => watch.begin(context, generation)?,
        };
        self.conclude(context, generation, finding)
    }

    /// The answer of a program that probed.
    pub(super) fn program_ended(
        &mut self,
        context: &mut Context<'_>,
        generation: Generation,
        outcome: Result<(), Problem>,
    ) -> Option<Event> {
        self.conclude(context, generation, Finding::of_program(outcome))
    }

    /// Something moved on a probe's connection, or on the way to it.
    pub(super) fn advance(&mut self, context: &mut Context<'_>, token: Token) -> Option<Event> {
        let (generation, watch) =
            self.0.iter_mut().find(|(_, watch)| watch.is_waiting_for(token))?;
        let generation = *generation;
        let finding = watch.advance(context)?;
        self.conclude(context, generation, finding)
    }

    /// Ends a probe with what it has found.
    fn conclude(
        &mut self,
        context: &mut Context<'_>,
        generation: Generation,
        finding: Finding,
    ) -> Option<Event> {
        let watch = self.0.get_mut(&generation)?;
        watch.cancel(context);
        context.children.get(generation)?;
        let event = watch.conclude(generation, finding, Instant::now())?;
        self.0.remove(&generation);
        Some(event)
    }

    /// `WATCHDOG=1`: it works for another while.
    pub(super) fn watchdog_ping(&mut self, generation: Generation) {
        if let Some(watch) = self.0.get_mut(&generation) {
            watch.ping(Instant::now());
        }
    }

    /// Ends probes of what has moved on, begins those of what has become ready.
    pub(super) fn sync(&mut self, context: &mut Context<'_>) {
        let state = context.state;
        self.0.retain(|generation, watch| {
            let stays = watch.is_wanted(*generation, state);
            if !stays {
                watch.cancel(context);
            }
            stays
        });
        for (slot, one) in state.slots().filter(|(_, slot)| slot.phase() == Phase::Ready) {
            let Some(generation) = one.generation() else { continue };
            let Some(child) = context.children.get(generation) else { continue };
            let blueprint = child.blueprint();
            if blueprint.liveness.is_some() && !self.0.contains_key(&generation) {
                let watch = Watch::of_living(slot, blueprint, Instant::now());
                self.0.insert(generation, watch);
            }
        }
    }
}
