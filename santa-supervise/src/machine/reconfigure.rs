//! A changed configuration: new services start, those that are gone stop and
//! are forgotten, and of the rest only what takes a new process gets one. What
//! has changed is found out in [`crate::reload`].

use std::collections::BTreeSet;

use super::{Changes, Phase, Slot, SlotId, Spec, Turn};

impl Turn<'_> {
    /// Applies the difference; a shutdown that is under way needs none.
    pub(super) fn reconfigure(&mut self, changes: Changes) {
        if self.state.shutdown.is_some() {
            return;
        }
        if let Some(timeout) = changes.shutdown_timeout {
            self.state.shutdown_timeout = timeout;
        }
        // They were compared with what was known then, which may be less by now.
        for id in changes.removed.into_iter().filter(|id| self.is_known(*id)).collect::<Vec<_>>() {
            self.slot(id).removed = true;
            self.stop(id);
        }
        let mut renewed = Vec::new();
        for (id, spec, new_process) in changes.changed {
            if !self.is_known(id) {
                continue;
            }
            if self.adapt(id, spec) || new_process {
                renewed.push(id);
            }
        }
        for (id, spec) in changes.added {
            self.state.slots.insert(id, Slot { wanted: true, ..Slot::new(spec, self.now) });
            renewed.push(id);
        }
        // Only now: what they depend on may have changed, too.
        for id in renewed {
            self.renew(id);
        }
    }

    /// Gives a slot another spec. One that was on its way out is wanted again,
    /// and needs a new process.
    fn adapt(&mut self, id: SlotId, spec: Spec) -> bool {
        let slot = self.slot(id);
        slot.spec = spec;
        slot.wanted |= slot.removed;
        std::mem::take(&mut slot.removed)
    }

    /// Lets a slot run what is configured now, without a gap where it can.
    fn renew(&mut self, id: SlotId) {
        let slot = self.slot(id);
        if !slot.wanted {
            return; // an operator has stopped it
        }
        match slot.phase {
            Phase::Ready if slot.spec.rolls => drop(self.roll(id)),
            Phase::Starting | Phase::Ready | Phase::Stopping => self.restart(id),
            // Follows what it depends on.
            Phase::Waiting | Phase::Skipped => {}
            Phase::Stopped | Phase::Backoff | Phase::Failed | Phase::Completed => self.start(id),
        }
    }

    /// Forgets slots that are no longer configured and of which nothing is left.
    pub(super) fn forget_removed(&mut self) {
        if !self.state.slots.values().any(|slot| slot.removed) {
            return;
        }
        let asked: BTreeSet<SlotId> =
            self.state.pending.iter().flat_map(|pending| pending.slots.iter().copied()).collect();
        self.state.slots.retain(|id, slot| !slot.removed || slot.is_live() || asked.contains(id));
    }
}
