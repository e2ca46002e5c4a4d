//! Why a service is in its state: its last exits with its last lines before them,
//! and what santa-supervise will do next.

use std::collections::{BTreeMap, VecDeque};

use crate::clock::{self, Millis};
use crate::machine::{Phase, Slot, SlotId};
use crate::protocol::{Answer, Explanation, PastExit};

use super::EventLoop;
use super::output::Output;

/// How many exits of a slot are remembered.
const EXITS: usize = 5;

/// How many of the last lines before an exit are kept, and how much of each.
const LINES: usize = 5;
const LINE: usize = 400;

/// The last exits, by slot.
#[derive(Debug, Default)]
pub(super) struct History(BTreeMap<SlotId, VecDeque<PastExit>>);

impl History {
    /// Drops what is known of services that are no longer configured.
    pub(super) fn forget(&mut self, gone: impl Fn(SlotId) -> bool) {
        self.0.retain(|slot, _| !gone(*slot));
    }

    /// Remembers an exit; its last words are in the output.
    pub(super) fn remember(
        &mut self,
        output: &Output,
        slot: SlotId,
        label: &str,
        ending: String,
        began: Millis,
    ) {
        let now = clock::now();
        let lines = output.last_lines(label, began, LINES, LINE);
        let exits = self.0.entry(slot).or_default();
        exits.push_back(PastExit {
            at: now / 1_000,
            lived_ms: now.saturating_sub(began),
            exit: ending,
            lines,
        });
        while exits.len() > EXITS {
            exits.pop_front();
        }
    }

    /// The exits of a slot, the last one first.
    fn of(&self, slot: SlotId) -> Vec<PastExit> {
        let exits = self.0.get(&slot);
        exits.map(|exits| exits.iter().rev().cloned().collect()).unwrap_or_default()
    }
}

impl EventLoop {
    /// What `NAME` or `NAME:INSTANCE` is doing and why.
    pub(super) fn explain(&self, name: &str) -> Result<Vec<Explanation>, Answer> {
        let meant = |slot: &Slot| slot.spec().label() == name || slot.spec().service == name;
        let slots = self.core.state().slots();
        let found: Vec<Explanation> = slots
            .filter(|(_, slot)| meant(slot))
            .map(|(id, slot)| self.explanation(id, slot))
            .collect();
        if found.is_empty() {
            let message =
                format!("there is no service \"{name}\"; `santa-supervise status` lists them");
            return Err(Answer { ok: false, message });
        }
        Ok(found)
    }

    fn explanation(&self, id: SlotId, slot: &Slot) -> Explanation {
        let status = self.service_status(id, slot);
        Explanation {
            next: self.next(slot),
            successor: slot.successor().map(|generation| generation.0),
            leaving: slot.retiring().map(|generation| generation.0).collect(),
            exits: self.history.of(id),
            wanted: slot.wanted(),
            status,
        }
    }

    /// What santa-supervise will do next, and when.
    fn next(&self, slot: &Slot) -> Option<String> {
        let seconds = |what: &str| {
            let left = slot.deadline()?.saturating_sub(self.core.now());
            Some(format!("{what} in {:.1} s", left.as_secs_f64()))
        };
        let spec = slot.spec();
        match slot.phase() {
            Phase::Waiting => {
                let needs = spec.depends_on.iter();
                let needs: Vec<String> = needs
                    .map(|need| format!("{} is {}", need.service, need.condition.word()))
                    .collect();
                Some(format!("starts when {}", needs.join(" and ")))
            }
            Phase::Starting if spec.task => seconds("is stopped unless it has completed"),
            Phase::Starting => seconds("is stopped unless it is ready"),
            Phase::Stopping => seconds("is killed unless it has ended"),
            Phase::Backoff => seconds("starts again"),
            Phase::Failed => Some(format!("nothing; `santa-supervise start {}`", spec.service)),
            Phase::Ready | Phase::Stopped | Phase::Completed | Phase::Skipped => None,
        }
    }
}
