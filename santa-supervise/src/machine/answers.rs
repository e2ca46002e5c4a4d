//! When a command is done, and what the client is told.

use super::life::Dependencies;
use super::state::{Goal, Pending};
use super::{Action, Generation, Phase, Slot, SlotId, Turn};

/// Nothing while it is under way.
type Outcome = Option<Result<String, String>>;

impl Turn<'_> {
    /// Answers every command whose slots have settled.
    pub(super) fn answer(&mut self) {
        let mut waiting = Vec::new();
        for mut pending in std::mem::take(&mut self.state.pending) {
            let mut outcome = self.outcome(&pending);
            while matches!(outcome, Some(Ok(_))) && self.roll_next(&mut pending) {
                outcome = self.outcome(&pending);
            }
            match outcome {
                Some(outcome) => self.actions.push(Action::Reply(pending.id, outcome)),
                None => waiting.push(pending),
            }
        }
        self.state.pending = waiting;
    }

    /// Rolls the next instance of a rolling restart, if one is left.
    fn roll_next(&mut self, pending: &mut Pending) -> bool {
        let Goal::Rolled { left, .. } = &mut pending.goal else { return false };
        let slots = &self.state.slots;
        left.retain(|id| slots.get(id).is_some_and(|slot| !slot.removed));
        let Some(next) = left.pop_front() else { return false };
        let generation = self.roll(next);
        pending.slots.push(next);
        if let Goal::Rolled { target, .. } = &mut pending.goal {
            *target = (next, generation);
        }
        true
    }

    fn outcome(&self, pending: &Pending) -> Outcome {
        let mut settled = Vec::new();
        for id in &pending.slots {
            match self.standing(*id, &pending.goal)? {
                Ok(text) => settled.push(text),
                Err(problem) => return Some(Err(problem)),
            }
        }
        Some(Ok(settled.join("\n")))
    }

    fn standing(&self, id: SlotId, goal: &Goal) -> Outcome {
        let Some(slot) = self.state.slots.get(&id) else {
            return Some(Err("the service is no longer configured".to_owned()));
        };
        match goal {
            Goal::Up | Goal::SeenUp | Goal::Rolled { .. } if slot.removed => {
                Some(Err(format!("{} is no longer configured", slot.spec.label())))
            }
            Goal::Down => is_down(slot),
            Goal::Up => self.is_up(id, slot),
            Goal::SeenUp if self.state.shutdown.is_some() => {
                Some(Err("santa-supervise is shutting down".to_owned()))
            }
            Goal::SeenUp => seen_up(slot),
            Goal::SeenDown => (!slot.is_live()).then(|| Ok(describe(slot))),
            Goal::Rolled { target: (newest, generation), .. } if *newest == id => {
                self.is_rolled(id, slot, *generation)
            }
            Goal::Rolled { .. } => self.is_up(id, slot),
        }
    }

    fn is_rolled(&self, id: SlotId, slot: &Slot, target: Generation) -> Outcome {
        if !slot.wanted {
            return self.is_up(id, slot);
        }
        if slot.successor().is_some() {
            return None;
        }
        let old_serves = slot.phase == Phase::Ready && slot.generation() < Some(target);
        match old_serves {
            true => Some(Err(format!(
                "{}: {}; the old process keeps serving",
                slot.spec.label(),
                slot.roll_problem
            ))),
            false => self.is_up(id, slot),
        }
    }

    fn is_up(&self, id: SlotId, slot: &Slot) -> Outcome {
        if !slot.wanted {
            return Some(Err(format!("{} was stopped in the meantime", slot.spec.label())));
        }
        match slot.phase {
            Phase::Ready | Phase::Completed => Some(Ok(describe(slot))),
            Phase::Backoff => {
                Some(Err(format!("{} failed to start: {}", slot.spec.label(), slot.why)))
            }
            Phase::Failed | Phase::Skipped | Phase::Stopped => Some(Err(describe(slot))),
            Phase::Waiting => self.idle_dependency(id).map(|blocker| {
                Err(format!(
                    "{} waits for {blocker}, which is stopped: start that first",
                    slot.spec.label()
                ))
            }),
            Phase::Starting | Phase::Stopping => None,
        }
    }

    /// A dependency that nobody is going to start.
    fn idle_dependency(&self, id: SlotId) -> Option<String> {
        match self.dependencies(id) {
            Dependencies::Pending(name) => {
                let idle = |slot: &&Slot| slot.spec.label() == name && !slot.wanted;
                self.state.slots.values().find(idle).map(|slot| slot.spec.label())
            }
            Dependencies::Met | Dependencies::Broken(..) => None,
        }
    }
}

fn describe(slot: &Slot) -> String {
    format!("{} is {}: {}", slot.spec.label(), slot.phase, slot.why)
}

fn is_down(slot: &Slot) -> Outcome {
    if slot.wanted {
        return Some(Err(format!("{} was started in the meantime", slot.spec.label())));
    }
    (!slot.is_live()).then(|| Ok(describe(slot)))
}

/// A mere wait goes on as long as the state can still be reached.
fn seen_up(slot: &Slot) -> Outcome {
    match slot.phase {
        Phase::Ready | Phase::Completed => Some(Ok(describe(slot))),
        Phase::Failed | Phase::Skipped => Some(Err(describe(slot))),
        _ => None,
    }
}
