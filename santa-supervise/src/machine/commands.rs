//! What an operator asks of a service, and the one answer to each request.

use super::life::Dependencies;
use super::state::{Cause, Pending};
use super::{Action, CommandId, Phase, Signal, SlotId, Turn, Verb};

impl Turn<'_> {
    pub(super) fn command(&mut self, id: CommandId, verb: Verb, target: &str) {
        let slots = self.find(target);
        let refusal = if slots.is_empty() {
            Some(self.unknown(target))
        } else if self.state.shutdown.is_some() && verb != Verb::Stop {
            Some("santa-supervise is shutting down".to_owned())
        } else {
            None
        };
        if let Some(refusal) = refusal {
            self.actions.push(Action::Reply(id, Err(refusal)));
            return;
        }
        match verb {
            Verb::Start => self.each(id, &slots, true, Self::start),
            Verb::Stop => self.each(id, &slots, false, Self::stop),
            Verb::Restart => self.each(id, &slots, true, Self::restart),
            Verb::Reload if self.all_reload(&slots) => self.signal(id, &slots, Signal::Reload),
            Verb::Reload => self.each(id, &slots, true, Self::restart),
            Verb::Signal(number) => self.signal(id, &slots, Signal::Number(number)),
        }
    }

    fn each(&mut self, id: CommandId, slots: &[SlotId], up: bool, act: fn(&mut Self, SlotId)) {
        for slot in slots {
            act(self, *slot);
        }
        self.state.pending.push(Pending { id, up, slots: slots.to_vec() });
    }

    fn start(&mut self, id: SlotId) {
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

    fn stop(&mut self, id: SlotId) {
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

    fn restart(&mut self, id: SlotId) {
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
        slots.iter().all(|id| {
            let slot = &self.state.slots[id];
            slot.spec.reloads && matches!(slot.phase, Phase::Starting | Phase::Ready)
        })
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
        let meant = |id: &SlotId| {
            let spec = &self.state.slots[id].spec;
            spec.service == name
                && instance.is_none_or(|number| number == spec.instance.to_string())
        };
        self.state.slots.keys().copied().filter(meant).collect()
    }

    fn unknown(&self, target: &str) -> String {
        let mut names: Vec<String> =
            self.state.slots.values().map(|slot| slot.spec.label()).collect();
        names.dedup();
        format!("there is no service \"{target}\"; there are: {}", names.join(", "))
    }

    /// Answers every command whose slots have settled.
    pub(super) fn answer(&mut self) {
        let mut waiting = Vec::new();
        for pending in std::mem::take(&mut self.state.pending) {
            match self.outcome(&pending) {
                Some(outcome) => self.actions.push(Action::Reply(pending.id, outcome)),
                None => waiting.push(pending),
            }
        }
        self.state.pending = waiting;
    }

    /// What became of a command; nothing while it is under way.
    fn outcome(&self, pending: &Pending) -> Option<Result<String, String>> {
        let mut settled = Vec::new();
        for id in &pending.slots {
            let slot = &self.state.slots[id];
            let told = |what: &str| format!("{} {what}: {}", slot.spec.label(), slot.why);
            if slot.wanted != pending.up {
                let other = if pending.up { "stopped" } else { "started" };
                return Some(Err(format!("{} was {other} in the meantime", slot.spec.label())));
            }
            match (pending.up, slot.phase) {
                (true, Phase::Ready | Phase::Completed) => {
                    settled.push(told(&format!("is {}", slot.phase)))
                }
                (true, Phase::Backoff) => return Some(Err(told("failed to start"))),
                (true, Phase::Failed | Phase::Skipped | Phase::Stopped) => {
                    return Some(Err(told(&format!("is {}", slot.phase))));
                }
                (true, Phase::Waiting) => {
                    if let Some(blocker) = self.idle_dependency(*id) {
                        return Some(Err(format!(
                            "{} waits for {blocker}, which is stopped: start that first",
                            slot.spec.label()
                        )));
                    }
                    return None;
                }
                (false, phase) if !phase.is_live() => settled.push(told(&format!("is {phase}"))),
                _ => return None,
            }
        }
        Some(Ok(settled.join("\n")))
    }

    /// A dependency that nobody is going to start.
    fn idle_dependency(&self, id: SlotId) -> Option<String> {
        match self.dependencies(id) {
            Dependencies::Pending(name) => {
                let idle = |slot: &&super::Slot| slot.spec.label() == name && !slot.wanted;
                self.state.slots.values().find(idle).map(|slot| slot.spec.label())
            }
            Dependencies::Met | Dependencies::Broken(..) => None,
        }
    }
}
