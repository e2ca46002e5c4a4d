//! Commands of operators. When they are answered is in `answers.rs`.

use super::state::{Cause, Goal, Pending};
use super::{Action, CommandId, Phase, Signal, Slot, SlotId, Turn, Verb};

impl Turn<'_> {
    pub(super) fn command(&mut self, id: CommandId, verb: Verb, target: &str) {
        let slots = self.find(target);
        let refusal = if slots.is_empty() {
            Some(self.unknown(target))
        } else if self.state.shutdown.is_some() && !matches!(verb, Verb::Stop | Verb::AwaitDown) {
            Some("santa-supervise is shutting down".to_owned())
        } else {
            self.cannot_roll(verb, &slots)
        };
        if let Some(refusal) = refusal {
            self.actions.push(Action::Reply(id, Err(refusal)));
            return;
        }
        match verb {
            Verb::Start => self.each(id, &slots, Goal::Up, Self::start),
            Verb::Stop => self.each(id, &slots, Goal::Down, Self::stop),
            Verb::Restart => self.each(id, &slots, Goal::Up, Self::restart),
            Verb::Roll => self.begin_roll(id, &slots),
            Verb::AwaitUp => self.each(id, &slots, Goal::SeenUp, |_, _| {}),
            Verb::AwaitDown => self.each(id, &slots, Goal::SeenDown, |_, _| {}),
            Verb::Reload if self.all_reload(&slots) => self.signal(id, &slots, Signal::Reload),
            Verb::Reload => self.each(id, &slots, Goal::Up, Self::restart),
            Verb::Signal(number) => self.signal(id, &slots, Signal::Number(number)),
        }
    }

    fn each(&mut self, id: CommandId, slots: &[SlotId], goal: Goal, act: fn(&mut Self, SlotId)) {
        for slot in slots {
            act(self, *slot);
        }
        self.state.pending.push(Pending { id, goal, slots: slots.to_vec() });
    }

    /// One instance after the other; the next when the one before serves.
    fn begin_roll(&mut self, id: CommandId, slots: &[SlotId]) {
        let Some((first, left)) = slots.split_first() else { return };
        let target = (*first, self.roll(*first));
        let goal = Goal::Rolled { left: left.iter().copied().collect(), target };
        self.state.pending.push(Pending { id, goal, slots: vec![*first] });
    }

    fn cannot_roll(&self, verb: Verb, slots: &[SlotId]) -> Option<String> {
        let mut specs = slots.iter().filter_map(|id| Some(&self.state.slots.get(id)?.spec));
        let spec = specs.find(|spec| verb == Verb::Roll && !spec.rolls)?;
        Some(format!(
            "{0}: its readiness cannot tell the new process from the old one; use ready.kind \"listen\", \"notify\", \"log\" or \"delay\", or `restart {0}`",
            spec.service
        ))
    }

    pub(super) fn start(&mut self, id: SlotId) {
        let slot = self.slot(id);
        slot.wanted = true;
        match slot.phase {
            Phase::Waiting | Phase::Starting | Phase::Ready => {}
            Phase::Stopping => self.begin_stop(id, Cause::Request, "restart requested"),
            Phase::Skipped => self.go(id, Phase::Waiting, "start requested"),
            Phase::Stopped | Phase::Backoff | Phase::Failed | Phase::Completed => {
                slot.failures = 0;
                slot.failed_starts = 0;
                self.try_start(id, "start requested");
            }
        }
    }

    pub(super) fn stop(&mut self, id: SlotId) {
        self.leave_rolls(id);
        if self.state.shutdown.is_some() {
            return; // its turn comes, in order
        }
        let slot = self.slot(id);
        slot.wanted = false;
        if slot.phase.is_live() {
            self.begin_stop(id, Cause::Request, "stop requested");
        } else if matches!(slot.phase, Phase::Waiting | Phase::Backoff) {
            self.go(id, Phase::Stopped, "stop requested");
        }
    }

    /// A rolling restart that has not come to this slot must not bring it back.
    fn leave_rolls(&mut self, id: SlotId) {
        for pending in &mut self.state.pending {
            if let Goal::Rolled { left, .. } = &mut pending.goal {
                left.retain(|other| *other != id);
            }
        }
    }

    /// The client is gone. What its command has begun goes on: a rolling restart
    /// reaches its last instance.
    pub(super) fn withdraw(&mut self, id: CommandId) {
        let goes_on = |goal: &Goal| matches!(goal, Goal::Rolled { .. });
        self.state.pending.retain(|pending| pending.id != id || goes_on(&pending.goal));
    }

    pub(super) fn restart(&mut self, id: SlotId) {
        let slot = self.slot(id);
        if !slot.phase.is_live() {
            return self.start(id);
        }
        slot.wanted = true;
        slot.failures = 0;
        slot.failed_starts = 0;
        self.begin_stop(id, Cause::Request, "restart requested");
    }

    fn all_reload(&self, slots: &[SlotId]) -> bool {
        let reloads =
            |slot: &Slot| slot.spec.reloads && matches!(slot.phase, Phase::Starting | Phase::Ready);
        slots.iter().all(|id| self.state.slots.get(id).is_some_and(reloads))
    }

    fn signal(&mut self, id: CommandId, slots: &[SlotId], signal: Signal) {
        let mut sent = 0;
        for slot in slots {
            let run = self.slot(*slot).run.as_ref();
            if let Some(generation) = run.filter(|run| run.main_alive).map(|run| run.generation) {
                self.actions.push(Action::Signal(*slot, generation, signal));
                sent += 1;
            }
        }
        let outcome = match sent {
            0 => Err("no process is running".to_owned()),
            1 => Ok("signal sent".to_owned()),
            _ => Ok(format!("signal sent to {sent} processes")),
        };
        self.actions.push(Action::Reply(id, outcome));
    }

    /// The slots that `NAME` or `NAME:INSTANCE` means.
    fn find(&self, target: &str) -> Vec<SlotId> {
        let (name, instance) = match target.split_once(':') {
            Some((name, number)) => (name, Some(number)),
            None => (target, None),
        };
        let meant = |slot: &Slot| {
            slot.spec.service == name
                && !slot.removed
                && instance.is_none_or(|number| number == slot.spec.instance.to_string())
        };
        let slots = self.state.slots.iter();
        slots.filter(|(_, slot)| meant(slot)).map(|(id, _)| *id).collect()
    }

    fn unknown(&self, target: &str) -> String {
        let mut names: Vec<String> = self
            .state
            .slots
            .values()
            .filter(|slot| !slot.removed)
            .map(|slot| slot.spec.label())
            .collect();
        names.dedup();
        format!("there is no service \"{target}\"; there are: {}", names.join(", "))
    }
}
