//! What a passed deadline means in each phase. A deadline belongs to the phase
//! that set it and is cleared with it, so none ever fires for an older
//! generation.

use super::kill::Kill;
use super::state::Cause;
use super::{Action, KILL_TIMEOUT, Note, Phase, Readiness, SlotId, Turn};

impl Turn<'_> {
    pub(super) fn run_deadlines(&mut self) {
        for id in self.ids() {
            self.expedite(id, false);
            self.successor_deadline(id);
            if self.slot(id).deadline.is_some_and(|deadline| deadline <= self.now) {
                self.slot(id).deadline = None;
                self.deadline_passed(id);
            }
        }
        self.shutdown_deadline();
    }

    fn deadline_passed(&mut self, id: SlotId) {
        match self.slot(id).phase {
            Phase::Starting => self.start_time_is_over(id),
            Phase::Ready => {
                let slot = self.slot(id);
                slot.failures = 0;
                slot.failed_starts = 0;
            }
            Phase::Stopping => self.stop_time_is_over(id),
            Phase::Backoff => self.try_start(id, "backoff elapsed"),
            Phase::Waiting | Phase::Stopped | Phase::Failed | Phase::Completed | Phase::Skipped => {
            }
        }
    }

    fn start_time_is_over(&mut self, id: SlotId) {
        let slot = self.slot(id);
        // One whose program does not even run is late, whatever it waits for then.
        let runs = slot.run.as_ref().is_some_and(|run| run.runs);
        let delayed = runs && matches!(slot.spec.readiness, Readiness::After(_)) && !slot.spec.task;
        match slot.generation() {
            Some(generation) if delayed => {
                self.ready(id, generation, "has been running long enough")
            }
            _ => {
                let why =
                    format!("not {} in time", if slot.spec.task { "completed" } else { "ready" });
                self.begin_stop(id, Cause::StartTimeout, &why);
            }
        }
    }

    fn stop_time_is_over(&mut self, id: SlotId) {
        if self.ask_again(id) || self.goes_on_dying(id) {
            return;
        }
        let stuck = self.slot(id).run.take_if(|run| run.kill.is_some());
        if let Some(run) = stuck {
            self.actions.push(Action::Note(Note::Stuck(id, run.generation)));
            self.fail(id, "survives SIGKILL; look for a hanging disk or network mount".to_owned());
        } else {
            self.kill(id);
        }
    }

    /// Sends the next signal of the stop sequence, if there is one.
    fn ask_again(&mut self, id: SlotId) -> bool {
        let now = self.now;
        let slot = self.slot(id);
        let Some(run) = slot.run.as_mut().filter(|run| run.main_alive && run.kill.is_none()) else {
            return false;
        };
        let Some(wait) = slot.spec.stop.get(run.stop_step + 1) else { return false };
        run.stop_step += 1;
        slot.deadline = Some(now + *wait);
        let action = Action::AskToStop(id, run.generation, run.stop_step);
        self.actions.push(action);
        true
    }

    /// Kills the whole tree of a slot that is stopping.
    pub(super) fn kill(&mut self, id: SlotId) {
        let now = self.now;
        let slot = self.slot(id);
        let Some(run) = slot.run.as_mut().filter(|run| run.kill.is_none()) else { return };
        run.kill = Some(Kill::default());
        let generation = run.generation;
        slot.deadline = Some(now + KILL_TIMEOUT);
        self.actions.push(Action::KillTree(id, generation));
    }
}
