//! Pure: what santa-supervise decides. [`step`] takes the state, the time and
//! one event, and returns what must be done; it starts no process, reads no
//! clock and opens no file. [`crate::event_loop`] feeds it and carries out the
//! actions. Read [`table`] for the phases, `life.rs` for one service from spawn
//! to end, `rolling.rs` for two generations side by side, `reconfigure.rs` for a changed
//! configuration, `shutdown.rs` for the end of everything.

mod answers;
mod commands;
mod deadlines;
mod kill;
mod life;
mod model;
mod reconfigure;
mod rolling;
mod shutdown;
mod state;
pub mod table;

use std::time::Duration;

pub use model::{
    Action, Changes, CommandId, Event, Exit, Generation, Note, Readiness, Retry, Signal, SlotId,
    SpawnFailure, Spec, Time, Verb,
};
pub use state::{Slot, State};
pub use table::Phase;

/// How long what a main process left behind may take to follow it.
pub const LEFTOVER_GRACE: Duration = Duration::from_secs(1);

/// How long a tree may take after SIGKILL until none of it, or less of it, is left.
/// One that does not (a process in an uninterruptible system call) is reported as
/// stuck and no longer waited for.
pub const KILL_TIMEOUT: Duration = Duration::from_secs(5);

/// Requests to stop everything that come within this time are one: programs
/// such as `timeout` signal the process and its group, a terminal the whole group.
pub const SAME_REQUEST: Duration = Duration::from_secs(1);

/// The longest wait between two starts while the machine has no descriptors,
/// processes or memory to give.
pub const SHORTAGE_WAIT: Duration = Duration::from_secs(5);

/// A service without a readiness probe that ends sooner than this counts as a
/// failed start.
pub const SETTLE_TIME: Duration = Duration::from_secs(1);

/// Takes one event at time `now` and returns what must be done about it, in
/// order. Events of generations that are no longer live change nothing.
#[must_use]
pub fn step(state: &mut State, now: Time, event: Event) -> Vec<Action> {
    let mut turn = Turn { state, now, actions: Vec::new() };
    turn.take(event);
    turn.promote();
    turn.continue_shutdown();
    turn.answer();
    turn.forget_removed();
    turn.actions
}

/// One call of [`step`]: the state, the time, and the actions so far.
struct Turn<'a> {
    state: &'a mut State,
    now: Time,
    actions: Vec<Action>,
}

impl Turn<'_> {
    fn take(&mut self, event: Event) {
        if event.slot().is_some_and(|id| !self.is_known(id)) {
            return; // late news of a service that is no longer configured
        }
        match event {
            Event::Start => self.start_everything(),
            Event::Tick => self.run_deadlines(),
            Event::Spawned(slot, generation) => self.spawned(slot, generation),
            Event::SpawnFailed(slot, generation, failure) => {
                self.spawn_failed(slot, generation, failure)
            }
            Event::Ready(slot, generation) => self.ready(slot, generation, "readiness seen"),
            Event::Unhealthy(slot, generation, why) => self.unhealthy(slot, generation, why),
            Event::Reconfigured(changes) => self.reconfigure(changes),
            Event::Exited { slot, generation, exit, alone } => {
                self.exited(slot, generation, exit, alone)
            }
            Event::Left { slot, generation, processes } => self.left(slot, generation, processes),
            Event::Gone(slot, generation) => self.gone(slot, generation),
            Event::Terminate { why } => self.terminate(why),
            Event::Withdrawn(id) => self.withdraw(id),
            Event::Command { id, verb, target } => self.command(id, verb, &target),
        }
    }

    fn start_everything(&mut self) {
        for id in self.ids() {
            self.slot(id).wanted = true;
        }
        for id in self.ids() {
            if self.slot(id).phase == Phase::Stopped {
                self.try_start(id, "start of santa-supervise");
            }
        }
    }

    fn ids(&self) -> Vec<SlotId> {
        self.state.slots.keys().copied().collect()
    }

    fn is_known(&self, id: SlotId) -> bool {
        self.state.slots.contains_key(&id)
    }

    /// The slot. Slots are removed at the end of a step only, so an id is good
    /// for the whole step once it was seen in it. Whatever comes from outside or
    /// was kept from an earlier step goes through [`Self::is_known`] first:
    /// events in [`Self::take`], changes in [`Self::reconfigure`], what a command
    /// still waits for in [`Self::answer`].
    fn slot(&mut self, id: SlotId) -> &mut Slot {
        self.state.slots.get_mut(&id).expect("slots are removed only at the end of a step")
    }

    /// Whether `generation` is what runs in slot `id` now.
    fn current(&self, id: SlotId, generation: Generation) -> bool {
        self.state.slots.get(&id).is_some_and(|slot| slot.generation() == Some(generation))
    }

    /// Moves a slot to another phase. The only place that writes `phase`.
    fn go(&mut self, id: SlotId, to: Phase, why: impl Into<String>) {
        let (now, why) = (self.now, why.into());
        let slot = self.slot(id);
        let from = slot.phase;
        debug_assert!(
            from.may_become(to),
            "{}: {from} must not become {to} ({why})",
            slot.spec.label()
        );
        slot.phase = to;
        slot.since = now;
        slot.deadline = None;
        slot.why.clone_from(&why);
        self.actions.push(Action::Note(Note::Changed { slot: id, from, to, why }));
    }
}
