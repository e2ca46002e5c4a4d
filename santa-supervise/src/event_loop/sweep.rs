//! What trees have left behind: looked for again and again, a portion at a time,
//! until it is gone. There may be thousands; others get their turn between.

use std::time::{Duration, Instant};

use crate::machine::{Event, Exit, Generation};
use crate::os::{self, Allowance, Strays};

use super::EventLoop;
use super::children::Children;
use super::leftovers::Leftovers;

/// How often leftovers are looked for; their end often tells by itself.
const SWEEP_EVERY: Duration = Duration::from_millis(20);

/// After this time the next sweep goes on with the trees that are left.
const SWEEP_FOR: Duration = Duration::from_millis(5);

/// How many times as long as a sweep took nobody sweeps again.
const REST: u32 = 2;

impl Children {
    /// Lets a sweep come as soon as there is time for it.
    pub(super) fn sweep_soon(&mut self) {
        self.sweeps.next = Some(Instant::now());
    }

    /// Lets what a helper has left behind be killed.
    pub(super) fn add_leftovers(&mut self, leftovers: Leftovers) {
        self.sweeps.of_helpers.push_back(leftovers);
    }

    fn has_to_sweep(&self) -> bool {
        !self.sweeps.of_helpers.is_empty() || self.to_be_swept().next().is_some()
    }
}

impl EventLoop {
    /// Looks for leftovers when it is time to.
    pub(super) fn sweep(&mut self, now: Instant) {
        if self.processes.children.sweeps.next.is_some_and(|due| due <= now) && !self.io.turn.reaped
        {
            self.reap();
        }
    }

    /// Tells the core of main processes that have ended, and sweeps if there is
    /// something to.
    pub(super) fn sweep_after(&mut self) {
        let (begun, worked) = (Instant::now(), os::processor_time());
        let ended = self.processes.children.ended();
        let rest_until = self.processes.children.sweeps.rest_until.filter(|until| *until > begun);
        if ended.is_empty() && !self.processes.children.has_to_sweep() {
            self.processes.children.sweeps.next = None;
        } else if let (true, Some(rest_until)) = (ended.is_empty(), rest_until) {
            self.processes.children.sweeps.next = Some(rest_until);
        } else {
            // Only now: what died together with a main process is no leftover.
            let strays = self.strays();
            if self.report_exits(ended, &strays) {
                return self.processes.children.sweep_soon();
            }
            let allowance = Allowance::of(SWEEP_FOR);
            self.sweep_trees(&strays, allowance);
            self.sweep_helpers(&strays, allowance);
            let now = Instant::now();
            let rest = os::processor_time().saturating_sub(worked) * REST;
            self.processes.children.sweeps.rest_until = Some(now + rest);
            let again = self.processes.children.has_to_sweep();
            self.processes.children.sweeps.next = again.then(|| now + SWEEP_EVERY.max(rest));
        }
    }

    /// Tells the core of ends, the last words before each; whether some are left
    /// for the next turn.
    fn report_exits(&mut self, ended: Vec<(Generation, Exit)>, strays: &Strays) -> bool {
        let (allowance, mut left) = (Allowance::of(SWEEP_FOR), ended.len());
        for (generation, exit) in ended {
            self.main_ended(generation, exit, strays);
            left -= 1;
            if allowance.is_spent() {
                break;
            }
        }
        left > 0
    }

    /// Goes on behind the last tree that had its turn; at least one gets it.
    fn sweep_trees(&mut self, strays: &Strays, allowance: Allowance) {
        let mut due: Vec<Generation> = self.processes.children.to_be_swept().collect();
        let next = due
            .partition_point(|generation| Some(*generation) <= self.processes.children.sweeps.last);
        due.rotate_left(next);
        for generation in due {
            let Some(child) = self.processes.children.get_mut(generation) else { continue };
            if child.main_alive || self.io.os.has_leftovers(child.tree(), strays) {
                child.press(&*self.io.os, strays);
                let processes = self.io.os.count(child.tree(), strays);
                if child.killing && child.left.replace(processes) != Some(processes) {
                    let slot = child.slot;
                    self.core.events.push_back(Event::Left { slot, generation, processes });
                }
            } else {
                let slot = child.slot;
                self.forget_tree(generation);
                self.core.events.push_back(Event::Gone(slot, generation));
            }
            self.processes.children.sweeps.last = Some(generation);
            if allowance.is_spent() {
                break;
            }
        }
    }

    fn sweep_helpers(&mut self, strays: &Strays, allowance: Allowance) {
        for _ in 0..self.processes.children.sweeps.of_helpers.len() {
            let Some(mut leftovers) = self.processes.children.sweeps.of_helpers.pop_front() else {
                return;
            };
            if self.io.os.has_leftovers(leftovers.tree(), strays) {
                leftovers.kill(&*self.io.os, strays);
                self.processes.children.add_leftovers(leftovers);
            }
            if allowance.is_spent() {
                return;
            }
        }
    }
}
