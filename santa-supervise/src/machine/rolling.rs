//! Two generations of one slot side by side: a successor that starts while the
//! old one serves, and retiring processes that finish what they have accepted while their
//! slot goes on without them. Nothing here knows how readiness is seen.

use super::kill::Kill;
use super::state::{Cause, RetiringProcess, Run, Slot, Successor};
use super::{
    Action, Exit, Generation, KILL_TIMEOUT, Note, Phase, Readiness, SlotId, SpawnFailure, Time,
    Turn,
};

impl Turn<'_> {
    /// Starts a successor beside what serves; gives its generation. Where
    /// nothing serves, it is a restart, and any next generation will do.
    pub(super) fn roll(&mut self, id: SlotId) -> Generation {
        if self.slot(id).phase != Phase::Ready {
            self.restart(id);
            return Generation(0);
        }
        self.dismiss_successor(id);
        let generation = self.next_generation();
        let now = self.now;
        let slot = self.slot(id);
        slot.roll_problem.clear();
        let deadline = Some(now + slot.spec.start_timeout);
        slot.successor = Some(Successor { run: Run::new(generation, now), deadline });
        self.note_roll(id, true, format!("generation {} starts beside the old one", generation.0));
        self.actions.push(Action::Spawn(id, generation));
        generation
    }

    pub(super) fn successor_spawned(&mut self, id: SlotId, generation: Generation) {
        let now = self.now;
        let slot = self.slot(id);
        let Some(successor) = &mut slot.successor else { return };
        successor.run.runs = true;
        match slot.spec.readiness {
            Readiness::After(wait) if wait.is_zero() => self.take_over(id, generation),
            Readiness::After(wait) => successor.deadline = Some(now + wait),
            Readiness::Probed => {}
        }
    }

    /// The successor serves from now on; the old one may finish and leave.
    pub(super) fn take_over(&mut self, id: SlotId, generation: Generation) {
        let now = self.now;
        let slot = self.slot(id);
        let Some(successor) = slot.successor.take() else { return };
        let run = Run { ready_at: Some(now), ..successor.run };
        let old = slot.run.replace(run);
        slot.spawns += 1;
        slot.failures = 0;
        slot.failed_starts = 0;
        slot.deadline = Some(now + slot.spec.backoff.reset_after);
        slot.why = format!("generation {} took over", generation.0);
        self.note_roll(id, true, format!("generation {} has taken over", generation.0));
        if let Some(old) = old {
            self.retire(id, old.generation);
        }
    }

    /// The old one ended by itself: the successor is all there is now.
    pub(super) fn succeed_early(&mut self, id: SlotId, exit: Exit, alone: bool) {
        let now = self.now;
        let slot = self.slot(id);
        let (Some(successor), Some(old)) = (slot.successor.take(), slot.run.take()) else { return };
        slot.spawns += 1;
        slot.run = Some(successor.run);
        if !alone {
            let deadline = now + slot.spec.leftover_grace();
            let generation = old.generation;
            slot.retiring.push(RetiringProcess {
                main_alive: false,
                ..RetiringProcess::new(generation, deadline)
            });
            self.actions.push(Action::AskLeftovers(id, generation));
        }
        self.go(id, Phase::Starting, format!("{exit} while its successor starts"));
        self.slot(id).deadline = successor.deadline;
    }

    pub(super) fn successor_spawn_failed(&mut self, id: SlotId, failure: SpawnFailure) {
        self.slot(id).successor = None;
        self.roll_failed(id, failure.message);
    }

    pub(super) fn successor_exited(&mut self, id: SlotId, exit: Exit, alone: bool) {
        if let Some(successor) = self.slot(id).successor.take()
            && !alone
        {
            self.kill_retiring(id, successor.run.generation, false);
        }
        self.roll_failed(id, format!("the new process was not ready: {exit}"));
    }

    /// A successor that is not ready in time never will be.
    pub(super) fn successor_deadline(&mut self, id: SlotId) {
        let now = self.now;
        let slot = self.slot(id);
        let Some(successor) = slot.successor.as_ref().filter(|one| is_due(one.deadline, now))
        else {
            return;
        };
        let generation = successor.run.generation;
        if let (Readiness::After(_), true) = (slot.spec.readiness, successor.run.runs) {
            return self.take_over(id, generation);
        }
        let why = format!("the new process was not ready within {:?}", slot.spec.start_timeout);
        slot.successor = None;
        self.kill_retiring(id, generation, true);
        self.roll_failed(id, why);
    }

    /// Stops a successor that is not wanted any more.
    pub(super) fn dismiss_successor(&mut self, id: SlotId) {
        if let Some(successor) = self.slot(id).successor.take() {
            self.retire(id, successor.run.generation);
        }
    }

    fn roll_failed(&mut self, id: SlotId, why: String) {
        self.note_roll(id, false, format!("{why}; the old process keeps serving"));
        self.slot(id).roll_problem = why;
    }

    fn note_roll(&mut self, slot: SlotId, well: bool, text: String) {
        self.actions.push(Action::Note(Note::Roll { slot, well, text }));
    }

    /// Asks a living generation to leave; its slot goes on without it.
    fn retire(&mut self, id: SlotId, generation: Generation) {
        let now = self.now;
        let slot = self.slot(id);
        let deadline = now + slot.spec.first_wait();
        slot.retiring.push(RetiringProcess::new(generation, deadline));
        self.actions.push(Action::AskToStop(id, generation, 0));
    }

    fn kill_retiring(&mut self, id: SlotId, generation: Generation, main_alive: bool) {
        let deadline = self.now + KILL_TIMEOUT;
        let retiring = RetiringProcess {
            main_alive,
            kill: Some(Kill::default()),
            ..RetiringProcess::new(generation, deadline)
        };
        self.slot(id).retiring.push(retiring);
        self.actions.push(Action::KillTree(id, generation));
    }

    pub(super) fn retiring_exited(&mut self, id: SlotId, generation: Generation, alone: bool) {
        let now = self.now;
        if alone {
            return self.forget_retiring(id, generation);
        }
        let slot = self.slot(id);
        let grace = now + slot.spec.leftover_grace();
        if let Some(retiring) = slot.retiring.iter_mut().find(|one| one.generation == generation) {
            retiring.main_alive = false;
            if retiring.kill.is_some() {
                return; // what it leaves behind is being killed
            }
            retiring.deadline = retiring.deadline.min(grace);
            self.actions.push(Action::AskLeftovers(id, generation));
        }
    }

    pub(super) fn forget_retiring(&mut self, id: SlotId, generation: Generation) {
        self.slot(id).retiring.retain(|retiring| retiring.generation != generation);
    }

    /// Asks again or kills retiring processes whose time is over; kills `all` of them at
    /// the end of a shutdown.
    pub(super) fn expedite(&mut self, id: SlotId, all: bool) {
        let now = self.now;
        let mut actions = Vec::new();
        let slot = self.slot(id);
        let stop = &slot.spec.stop;
        slot.retiring.retain_mut(|retiring| {
            let due = retiring.deadline <= now;
            if let Some(kill) = retiring.kill.as_mut().filter(|_| due) {
                if kill.has_progressed() {
                    retiring.deadline = now + KILL_TIMEOUT;
                    return true;
                }
                actions.push(Action::Note(Note::Stuck(id, retiring.generation)));
                return false;
            }
            if retiring.kill.is_none()
                && due
                && !all
                && retiring.main_alive
                && let Some(wait) = stop.get(retiring.stop_step + 1)
            {
                retiring.stop_step += 1;
                retiring.deadline = now + *wait;
                actions.push(Action::AskToStop(id, retiring.generation, retiring.stop_step));
            } else if retiring.kill.is_none() && (due || all) {
                retiring.kill = Some(Kill::default());
                retiring.deadline = now + KILL_TIMEOUT;
                actions.push(Action::KillTree(id, retiring.generation));
            }
            true
        });
        self.actions.extend(actions);
    }
}

fn is_due(deadline: Option<Time>, now: Time) -> bool {
    deadline.is_some_and(|deadline| deadline <= now)
}

impl Slot {
    /// Whether this generation starts and is not ready yet.
    #[must_use]
    pub fn is_starting(&self, generation: Generation) -> bool {
        let first = self.phase == Phase::Starting && self.generation() == Some(generation);
        first || self.successor() == Some(generation)
    }

    /// The generation that starts beside the one that serves.
    #[must_use]
    pub fn successor(&self) -> Option<Generation> {
        self.successor.as_ref().map(|successor| successor.run.generation)
    }

    /// Generations that finish while the slot goes on without them.
    pub fn retiring(&self) -> impl Iterator<Item = Generation> {
        self.retiring.iter().map(|retiring| retiring.generation)
    }

    /// Whether any process of it may exist.
    #[must_use]
    pub fn is_live(&self) -> bool {
        self.phase.is_live() || !self.retiring.is_empty()
    }

    pub(super) fn is_retiring(&self, generation: Generation) -> bool {
        self.retiring.iter().any(|retiring| retiring.generation == generation)
    }

    /// The earliest deadline beside that of its phase.
    pub(super) fn overlap_deadline(&self) -> Option<Time> {
        let successor = self.successor.as_ref().and_then(|successor| successor.deadline);
        self.retiring.iter().map(|retiring| retiring.deadline).chain(successor).min()
    }
}

impl Run {
    pub(super) fn new(generation: Generation, now: Time) -> Self {
        Self {
            generation,
            started_at: now,
            ready_at: None,
            runs: false,
            main_alive: true,
            exit: None,
            cause: Cause::OwnExit,
            stop_step: 0,
            kill: None,
        }
    }
}

impl RetiringProcess {
    /// One whose main process lives and has just been asked to stop.
    fn new(generation: Generation, deadline: Time) -> Self {
        Self { generation, main_alive: true, stop_step: 0, kill: None, deadline }
    }
}
