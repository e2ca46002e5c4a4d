//! What trees have left behind: looked for again and again, a portion at a time,
//! until it is gone. There may be thousands; others get their turn between.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::machine::{Event, Generation};
use crate::os::{Allowance, Orphans, Os};

use super::{Children, Leftovers};

/// How often leftovers are looked for; often their exit makes a sweep come sooner.
const SWEEP_EVERY: Duration = Duration::from_millis(20);

/// How many times as long as a sweep took nobody sweeps again.
const REST: u32 = 2;

/// When to sweep, and where to go on.
#[derive(Debug, Default)]
pub(super) struct Sweeps {
    next: Option<Instant>,
    /// Until when the loop is for others, after a sweep that took its time.
    rest_until: Option<Instant>,
    /// The last tree that had its turn.
    last: Option<Generation>,
    /// What helpers have left behind.
    of_helpers: VecDeque<Leftovers>,
}

impl Children {
    /// When to sweep next.
    pub(in super::super) fn next_sweep(&self) -> Option<Instant> {
        self.sweeps.next
    }

    /// Lets a sweep come as soon as there is time for it.
    pub(in super::super) fn sweep_soon(&mut self) {
        self.sweeps.next = Some(Instant::now());
    }

    /// Lets what a helper has left behind be killed.
    pub(in super::super) fn add_leftovers(&mut self, leftovers: Leftovers) {
        self.sweeps.of_helpers.push_back(leftovers);
    }

    /// Whether to sweep now, because of exits that the core does not know or because
    /// it is time to; if not, the next time is set.
    pub(in super::super) fn is_time_to_sweep(&mut self, now: Instant) -> bool {
        if self.has_ended() {
            return true;
        }
        if !self.has_to_sweep() {
            self.sweeps.next = None;
            return false;
        }
        let rest_until = self.sweeps.rest_until.filter(|until| *until > now);
        if rest_until.is_some() {
            self.sweeps.next = rest_until;
        }
        rest_until.is_none()
    }

    /// A sweep has taken so much processor time: lets others have theirs.
    pub(in super::super) fn rest_after(&mut self, worked: Duration) {
        let (now, rest) = (Instant::now(), worked * REST);
        self.sweeps.rest_until = Some(now + rest);
        self.sweeps.next = self.has_to_sweep().then(|| now + SWEEP_EVERY.max(rest));
    }

    fn has_to_sweep(&self) -> bool {
        !self.sweeps.of_helpers.is_empty() || self.to_be_swept().next().is_some()
    }

    fn to_be_swept(&self) -> impl Iterator<Item = Generation> {
        let due = self.trees.iter().filter(|(_, child)| child.is_to_be_swept());
        due.map(|(generation, _)| *generation)
    }

    /// Looks what is left of trees and helpers; trees that are gone are forgotten.
    pub(in super::super) fn sweep(
        &mut self,
        os: &dyn Os,
        orphans: &Orphans,
        allowance: Allowance,
    ) -> Vec<Event> {
        let events = self.sweep_trees(os, orphans, allowance);
        self.sweep_helpers(os, orphans, allowance);
        events
    }

    /// Goes on behind the last tree that had its turn; at least one gets it.
    fn sweep_trees(&mut self, os: &dyn Os, orphans: &Orphans, allowance: Allowance) -> Vec<Event> {
        let mut due: Vec<Generation> = self.to_be_swept().collect();
        let next = due.partition_point(|generation| Some(*generation) <= self.sweeps.last);
        due.rotate_left(next);
        let mut events = Vec::new();
        for generation in due {
            let Some(child) = self.trees.get_mut(&generation) else { continue };
            let event = child.sweep(os, orphans, generation);
            if let Some(Event::Gone(..)) = event {
                self.trees.remove(&generation);
            }
            events.extend(event);
            self.sweeps.last = Some(generation);
            if allowance.is_spent() {
                break;
            }
        }
        events
    }

    fn sweep_helpers(&mut self, os: &dyn Os, orphans: &Orphans, allowance: Allowance) {
        for _ in 0..self.sweeps.of_helpers.len() {
            let Some(mut leftovers) = self.sweeps.of_helpers.pop_front() else { return };
            if os.has_leftovers(leftovers.tree(), orphans) {
                leftovers.kill(os, orphans);
                self.add_leftovers(leftovers);
            }
            if allowance.is_spent() {
                return;
            }
        }
    }
}
