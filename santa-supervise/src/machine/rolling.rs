//! Two generations of one slot side by side: a successor that starts while the
//! old one serves, and leavers that finish what they have accepted while their
//! slot goes on without them. Nothing here knows how readiness is seen.

use super::kill::Kill;
use super::state::{Cause, Leaver, Run, Slot, Successor};
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
        self.tell_roll(id, true, format!("generation {} starts beside the old one", generation.0));
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
        self.tell_roll(id, true, format!("generation {} has taken over", generation.0));
        if let Some(old) = old {
            self.see_off(id, old.generation);
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
            slot.leavers.push(Leaver { main_alive: false, ..Leaver::new(generation, deadline) });
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
            self.kill_leaver(id, successor.run.generation, false);
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
        self.kill_leaver(id, generation, true);
        self.roll_failed(id, why);
    }

    /// Stops a successor that is not wanted any more.
    pub(super) fn dismiss_successor(&mut self, id: SlotId) {
        if let Some(successor) = self.slot(id).successor.take() {
            self.see_off(id, successor.run.generation);
        }
    }

    fn roll_failed(&mut self, id: SlotId, why: String) {
        self.tell_roll(id, false, format!("{why}; the old process keeps serving"));
        self.slot(id).roll_problem = why;
    }

    fn tell_roll(&mut self, slot: SlotId, well: bool, text: String) {
        self.actions.push(Action::Note(Note::Roll { slot, well, text }));
    }

    /// Asks a living generation to leave; its slot goes on without it.
    fn see_off(&mut self, id: SlotId, generation: Generation) {
        let now = self.now;
        let slot = self.slot(id);
        let deadline = now + slot.spec.first_wait();
        slot.leavers.push(Leaver::new(generation, deadline));
        self.actions.push(Action::AskToStop(id, generation, 0));
    }

    fn kill_leaver(&mut self, id: SlotId, generation: Generation, main_alive: bool) {
        let deadline = self.now + KILL_TIMEOUT;
        let leaver =
            Leaver { main_alive, kill: Some(Kill::default()), ..Leaver::new(generation, deadline) };
        self.slot(id).leavers.push(leaver);
        self.actions.push(Action::KillTree(id, generation));
    }

    pub(super) fn leaver_exited(&mut self, id: SlotId, generation: Generation, alone: bool) {
        let now = self.now;
        if alone {
            return self.leaver_gone(id, generation);
        }
        let slot = self.slot(id);
        let grace = now + slot.spec.leftover_grace();
        if let Some(leaver) = slot.leavers.iter_mut().find(|one| one.generation == generation) {
            leaver.main_alive = false;
            if leaver.kill.is_some() {
                return; // what it leaves behind is being killed
            }
            leaver.deadline = leaver.deadline.min(grace);
            self.actions.push(Action::AskLeftovers(id, generation));
        }
    }

    pub(super) fn leaver_gone(&mut self, id: SlotId, generation: Generation) {
        self.slot(id).leavers.retain(|leaver| leaver.generation != generation);
    }

    /// Asks again or kills leavers whose time is over; kills `all` of them at
    /// the end of a shutdown.
    pub(super) fn hurry_leavers(&mut self, id: SlotId, all: bool) {
        let now = self.now;
        let mut actions = Vec::new();
        let slot = self.slot(id);
        let stop = &slot.spec.stop;
        slot.leavers.retain_mut(|leaver| {
            let due = leaver.deadline <= now;
            if let Some(kill) = leaver.kill.as_mut().filter(|_| due) {
                if kill.has_progressed() {
                    leaver.deadline = now + KILL_TIMEOUT;
                    return true;
                }
                actions.push(Action::Note(Note::Stuck(id, leaver.generation)));
                return false;
            }
            if leaver.kill.is_none()
                && due
                && !all
                && leaver.main_alive
                && let Some(wait) = stop.get(leaver.stop_step + 1)
            {
                leaver.stop_step += 1;
                leaver.deadline = now + *wait;
                actions.push(Action::AskToStop(id, leaver.generation, leaver.stop_step));
            } else if leaver.kill.is_none() && (due || all) {
                leaver.kill = Some(Kill::default());
                leaver.deadline = now + KILL_TIMEOUT;
                actions.push(Action::KillTree(id, leaver.generation));
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
    pub fn leavers(&self) -> impl Iterator<Item = Generation> {
        self.leavers.iter().map(|leaver| leaver.generation)
    }

    /// Whether any process of it may exist.
    #[must_use]
    pub fn is_live(&self) -> bool {
        self.phase.is_live() || !self.leavers.is_empty()
    }

    pub(super) fn has_leaver(&self, generation: Generation) -> bool {
        self.leavers.iter().any(|leaver| leaver.generation == generation)
    }

    /// The earliest deadline beside that of its phase.
    pub(super) fn overlap_deadline(&self) -> Option<Time> {
        let successor = self.successor.as_ref().and_then(|successor| successor.deadline);
        self.leavers.iter().map(|leaver| leaver.deadline).chain(successor).min()
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

impl Leaver {
    /// One whose main process lives and has just been asked to stop.
    fn new(generation: Generation, deadline: Time) -> Self {
        Self { generation, main_alive: true, stop_step: 0, kill: None, deadline }
    }
}
