//! Processes that ended, what they left behind, and orphans that became ours.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::time::{Duration, Instant};

use crate::clock::{self, Millis};
use crate::machine::{Event, Exit, Generation, SlotId};
use crate::os::{Os, Pid, Strays, Tree};
use crate::plan::Blueprint;
use crate::spawning::Tag;

use super::EventLoop;

/// How often leftovers are looked for; their end often tells by itself.
const SWEEP_EVERY: Duration = Duration::from_millis(20);

/// Most exits handled before other events get their turn, and the time after
/// which they get it anyway: among thousands of children each takes longer.
const EXITS_A_TURN: usize = 256;
const REAP_TIME: Duration = Duration::from_millis(10);

/// How many times as long as a sweep took nobody sweeps again.
const REST: u32 = 2;

/// One spawned tree.
#[derive(Debug)]
pub(super) struct Child {
    pub(super) slot: SlotId,
    /// What it was started with, whatever is configured by now.
    pub(super) blueprint: Rc<Blueprint>,
    pub(super) pid: Pid,
    pub(super) main_alive: bool,
    /// Whether it is killed again as long as anything of it is found.
    pub(super) killing: bool,
    /// What it left behind gets this signal; the number of each that has got it.
    pub(super) asking: Option<(i32, BTreeSet<Pid>)>,
    tag: Tag,
    began: Millis,
}

impl Child {
    pub(super) fn new(slot: SlotId, blueprint: Rc<Blueprint>, pid: Pid, tag: Tag) -> Self {
        let began = clock::now();
        Self { slot, blueprint, pid, main_alive: true, killing: false, asking: None, tag, began }
    }

    /// Its signal for a step of the stop sequence that `now` is planned, which may
    /// have changed since it started; none while its stop is only announced.
    pub(super) fn stop_signal(&self, step: usize, now: &Blueprint) -> Option<i32> {
        let announced = usize::from(now.stop_signals.first() == Some(&None));
        let step = step.checked_sub(announced)?;
        let signals = || self.blueprint.stop_signals.iter().copied().flatten();
        signals().nth(step).or(signals().last())
    }

    /// The first signal of its stop sequence.
    pub(super) fn first_stop_signal(&self) -> Option<i32> {
        self.blueprint.stop_signals.iter().copied().find_map(|signal| signal)
    }

    /// Asks those left behind that were not asked yet; what was stopped (SIGSTOP)
    /// could not react.
    pub(super) fn ask(&mut self, os: &dyn Os, strays: &Strays) {
        let Some((signal, mut asked)) = self.asking.take() else { return };
        let mut woken = asked.clone();
        os.signal_tree(self.tree(), strays, signal, &mut asked);
        os.signal_tree(self.tree(), strays, libc::SIGCONT, &mut woken);
        self.asking = Some((signal, asked));
    }

    pub(super) fn tree(&self) -> Tree<'_> {
        Tree { main: self.pid, main_alive: self.main_alive, tag: &self.tag }
    }
}

/// All trees that are not known to be gone.
#[derive(Debug, Default)]
pub(super) struct Children {
    trees: BTreeMap<Generation, Child>,
    next_sweep: Option<Instant>,
    /// Until when the loop is for others, after a sweep that took its time.
    rests_until: Option<Instant>,
    pub(super) orphans_reaped: u64,
    /// Kills for want of memory that are known.
    oom_kills: Option<u64>,
}

impl Children {
    pub(super) fn new(oom_kills: Option<u64>) -> Self {
        Self { oom_kills, ..Self::default() }
    }

    pub(super) fn add(&mut self, generation: Generation, child: Child) {
        self.trees.insert(generation, child);
    }

    pub(super) fn get(&self, generation: Generation) -> Option<&Child> {
        self.trees.get(&generation)
    }

    pub(super) fn get_mut(&mut self, generation: Generation) -> Option<&mut Child> {
        self.trees.get_mut(&generation)
    }

    pub(super) fn next_sweep(&self) -> Option<Instant> {
        self.next_sweep
    }

    /// Every living main process.
    pub(super) fn mains(&self) -> BTreeSet<Pid> {
        self.trees.values().filter(|child| child.main_alive).map(|child| child.pid).collect()
    }

    fn generation_of(&self, pid: Pid) -> Option<Generation> {
        self.trees
            .iter()
            .find(|(_, child)| child.main_alive && child.pid == pid)
            .map(|(generation, _)| *generation)
    }
}

impl EventLoop {
    /// Takes ended processes off the process table.
    pub(super) fn reap(&mut self) {
        let begun = Instant::now();
        let mut ended = Vec::new();
        let mut taken = 0;
        let mut more = false;
        while let Some((pid, exit)) = self.os.next_exit() {
            taken += 1;
            match self.children.generation_of(pid) {
                Some(generation) => {
                    if let Some(child) = self.children.get_mut(generation) {
                        child.main_alive = false;
                    }
                    ended.push((generation, exit));
                }
                None if self.helper_ended(pid, exit) => {}
                None => self.children.orphans_reaped += 1,
            }
            if taken >= EXITS_A_TURN || begun.elapsed() >= REAP_TIME {
                more = true;
                break;
            }
        }
        let rests = self.children.rests_until.filter(|until| *until > begun);
        if self.children.trees.values().all(|child| child.main_alive) {
            self.children.next_sweep = None;
        } else if let (true, Some(rests_until)) = (ended.is_empty(), rests) {
            self.children.next_sweep = Some(rests_until);
        } else {
            let begun = Instant::now();
            // Only now: what died together with a main process is no leftover.
            let strays = self.strays();
            for (generation, exit) in ended {
                self.main_ended(generation, exit, &strays);
            }
            self.sweep_now(begun, &strays);
        }
        if more {
            self.children.next_sweep = Some(Instant::now());
        }
    }

    /// Processes that became ours when their parents ended.
    pub(super) fn strays(&mut self) -> Strays {
        self.os.strays(&self.children.mains())
    }

    fn main_ended(&mut self, generation: Generation, exit: Exit, strays: &Strays) {
        // Its last words come before the news of its end.
        self.drain_output(generation);
        if let Some(failure) = self.start_failure(generation) {
            let slot = self.children.get(generation).map(|child| child.slot);
            self.forget_tree(generation);
            let event = slot.map(|slot| Event::SpawnFailed(slot, generation, failure));
            return self.events.extend(event);
        }
        let Some(child) = self.children.get(generation) else { return };
        let (slot, began, label) = (child.slot, child.began, child.blueprint.spec.label());
        let alone = !self.os.has_leftovers(child.tree(), strays);
        if alone {
            self.forget_tree(generation);
        }
        let ending = self.ending(generation, &label, exit);
        self.remember_exit(slot, &label, ending, began);
        self.events.push_back(Event::Exited { slot, generation, exit, alone });
    }

    /// How a main process ended, in words. SIGKILL that is not ours and comes
    /// with another kill for want of memory is told as what it probably was.
    fn ending(&mut self, generation: Generation, label: &str, exit: Exit) -> String {
        let ours = self.children.get(generation).is_some_and(|child| child.killing);
        if exit != Exit::Signal(libc::SIGKILL) || ours {
            return exit.to_string();
        }
        let known = std::mem::replace(&mut self.children.oom_kills, self.os.oom_kills());
        if self.children.oom_kills <= known {
            return exit.to_string();
        }
        self.warn(&format!("{label} was probably killed because memory ran out; give it more, or look for what takes it"));
        format!("{exit}, probably for want of memory")
    }

    /// Looks for leftovers when it is time to.
    pub(super) fn sweep(&mut self, now: Instant) {
        if self.children.next_sweep.is_some_and(|due| due <= now) {
            self.reap();
        }
    }

    /// `begun` is when the look at the strays began.
    fn sweep_now(&mut self, begun: Instant, strays: &Strays) {
        let mut gone = Vec::new();
        let trees = self.children.trees.iter_mut();
        for (generation, child) in trees.filter(|(_, child)| !child.main_alive) {
            if !self.os.has_leftovers(child.tree(), strays) {
                gone.push((*generation, child.slot));
            } else if child.killing {
                self.os.kill_tree(child.tree(), strays);
            } else {
                child.ask(&*self.os, strays);
            }
        }
        for (generation, slot) in gone {
            self.forget_tree(generation);
            self.events.push_back(Event::Gone(slot, generation));
        }
        let sweeping = self.children.trees.values().any(|child| !child.main_alive);
        let now = Instant::now();
        let rest = (now - begun) * REST;
        self.children.rests_until = Some(now + rest);
        self.children.next_sweep = sweeping.then(|| now + SWEEP_EVERY.max(rest));
    }

    pub(super) fn forget_tree(&mut self, generation: Generation) {
        self.children.trees.remove(&generation);
        self.close_notices(generation);
        self.let_output_linger(generation);
    }

    pub(super) fn kill_all_trees(&mut self) {
        let strays = self.strays();
        for child in self.children.trees.values() {
            if child.main_alive {
                // It may not lead its group yet.
                let _ = self.os.signal_child(child.pid, libc::SIGKILL);
            }
            self.os.kill_tree(child.tree(), &strays);
        }
    }
}
