//! Processes that ended, what they left behind, and orphans that became ours.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::time::Duration;

use crate::clock::{self, Millis};
use crate::machine::{Event, Exit, Generation, SlotId};
use crate::os::{Allowance, Os, Pid, Strays, Tag, Tree};
use crate::plan::Blueprint;

use super::EventLoop;
use super::leftovers::Sweeps;

/// Most exits handled before other events get their turn, and the time after
/// which they get it anyway: among thousands of children each takes longer.
const EXITS_A_TURN: usize = 256;
const REAP_FOR: Duration = Duration::from_millis(5);

/// One spawned tree.
#[derive(Debug)]
pub(super) struct Child {
    pub(super) slot: SlotId,
    /// What it was started with, whatever is configured by now.
    pub(super) blueprint: Rc<Blueprint>,
    pub(super) pid: Pid,
    pub(super) main_alive: bool,
    /// How its main process has ended, if the core does not know it yet.
    pub(super) exit: Option<Exit>,
    /// Whether it is killed again as long as anything of it is found.
    pub(super) killing: bool,
    killed: BTreeSet<Pid>,
    /// How many processes of it were last told to be left while it was killed.
    pub(super) left: Option<usize>,
    /// What it left behind is asked to stop.
    asking: Option<Asking>,
    tag: Tag,
    began: Millis,
}

/// A signal for each process, and who has got it.
#[derive(Debug)]
struct Asking {
    signal: i32,
    asked: BTreeSet<Pid>,
    woken: BTreeSet<Pid>,
}

impl Child {
    pub(super) fn new(slot: SlotId, blueprint: Rc<Blueprint>, pid: Pid, tag: Tag) -> Self {
        let began = clock::now();
        Self {
            slot,
            blueprint,
            pid,
            main_alive: true,
            exit: None,
            killing: false,
            killed: BTreeSet::new(),
            left: None,
            asking: None,
            tag,
            began,
        }
    }

    /// Its signal for a step of the stop sequence that `now` is planned, which may
    /// have changed since it started; none while its stop is only announced.
    pub(super) fn stop_signal(&self, step: usize, now: &Blueprint) -> Option<i32> {
        let announced = usize::from(now.stop_signals.first() == Some(&None));
        let step = step.checked_sub(announced)?;
        let signals = || self.blueprint.stop_signals.iter().copied().flatten();
        signals().nth(step).or(signals().last())
    }

    /// Lets what it left behind be asked to stop, by the first signal of its stop
    /// sequence.
    pub(super) fn ask_leftovers(&mut self) {
        let first = self.blueprint.stop_signals.iter().copied().find_map(|signal| signal);
        let nobody = BTreeSet::new;
        self.asking = first.map(|signal| Asking { signal, asked: nobody(), woken: nobody() });
    }

    /// Goes on killing what is found of it, or asking what it has left behind.
    pub(super) fn press(&mut self, os: &dyn Os, strays: &Strays) {
        let tree = Tree { main: self.pid, main_alive: self.main_alive, tag: &self.tag };
        if self.killing {
            os.kill_tree(tree, strays, &mut self.killed);
        } else if let Some(asking) = &mut self.asking {
            os.signal_tree(tree, strays, asking.signal, &mut asking.asked);
            // What was stopped (SIGSTOP) could not react.
            os.signal_tree(tree, strays, libc::SIGCONT, &mut asking.woken);
        }
    }

    /// Whether something of it may have to be killed or asked to stop, or its end
    /// to be noticed; not before the core knows that its main process has ended.
    pub(super) fn is_to_be_swept(&self) -> bool {
        self.exit.is_none() && (!self.main_alive || self.killing)
    }

    pub(super) fn tree(&self) -> Tree<'_> {
        Tree { main: self.pid, main_alive: self.main_alive, tag: &self.tag }
    }
}

/// All trees that are not known to be gone.
#[derive(Debug, Default)]
pub(super) struct Children {
    trees: BTreeMap<Generation, Child>,
    pub(super) sweeps: Sweeps,
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

    /// The trees that are to be swept.
    pub(super) fn to_be_swept(&self) -> impl Iterator<Item = Generation> {
        let due = self.trees.iter().filter(|(_, child)| child.is_to_be_swept());
        due.map(|(generation, _)| *generation)
    }

    /// The trees whose main process has ended, which the core does not know yet.
    pub(super) fn ended(&self) -> Vec<(Generation, Exit)> {
        let ended = self.trees.iter().filter_map(|(id, child)| Some((*id, child.exit?)));
        ended.collect()
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
        self.io.turn.reaped = true;
        let allowance = Allowance::of(REAP_FOR);
        let mut taken = 0;
        let mut more = false;
        while let Some((pid, exit)) = self.io.os.next_exit() {
            taken += 1;
            match self.processes.children.generation_of(pid) {
                Some(generation) => {
                    if let Some(child) = self.processes.children.get_mut(generation) {
                        child.main_alive = false;
                        child.exit = Some(exit);
                    }
                }
                None if self.helper_ended(pid, exit) || self.guard_ended(pid, exit) => {}
                None => self.processes.children.orphans_reaped += 1,
            }
            if taken >= EXITS_A_TURN || allowance.is_spent() {
                more = true;
                break;
            }
        }
        self.sweep_after();
        if more {
            self.processes.children.sweep_soon();
        }
    }

    pub(super) fn main_ended(&mut self, generation: Generation, exit: Exit, strays: &Strays) {
        if let Some(child) = self.processes.children.get_mut(generation) {
            child.exit = None;
        }
        // Its last words come before the news of its end.
        self.drain_output(generation);
        if let Some(failure) = self.start_failure(generation) {
            let slot = self.processes.children.get(generation).map(|child| child.slot);
            self.forget_tree(generation);
            let event = slot.map(|slot| Event::SpawnFailed(slot, generation, failure));
            return self.core.events.extend(event);
        }
        let Some(child) = self.processes.children.get(generation) else { return };
        let (slot, began, label) = (child.slot, child.began, child.blueprint.spec.label());
        let alone = !self.io.os.has_leftovers(child.tree(), strays);
        if alone {
            self.forget_tree(generation);
        }
        let ending = self.ending(generation, &label, exit);
        self.remember_exit(slot, &label, ending, began);
        self.core.events.push_back(Event::Exited { slot, generation, exit, alone });
    }

    /// How a main process ended, in words. SIGKILL that is not ours and comes
    /// with another kill for want of memory is told as what it probably was.
    fn ending(&mut self, generation: Generation, label: &str, exit: Exit) -> String {
        let ours = self.processes.children.get(generation).is_some_and(|child| child.killing);
        if exit != Exit::Signal(libc::SIGKILL) || ours {
            return exit.to_string();
        }
        let known =
            std::mem::replace(&mut self.processes.children.oom_kills, self.io.os.oom_kills());
        if self.processes.children.oom_kills <= known {
            return exit.to_string();
        }
        self.warn(&format!("{label} was probably killed because memory ran out; raise the memory limit or find what uses it"));
        format!("{exit}, probably out of memory")
    }

    pub(super) fn forget_tree(&mut self, generation: Generation) {
        self.processes.children.trees.remove(&generation);
        self.close_notify_socket(generation);
        self.let_output_linger(generation);
    }

    pub(super) fn kill_all_trees(&mut self) {
        let strays = self.strays();
        for child in self.processes.children.trees.values() {
            if child.main_alive {
                // It may not lead its group yet.
                let _ = self.io.os.signal_child(child.pid, libc::SIGKILL);
            }
            self.io.os.kill_tree(child.tree(), &strays, &mut BTreeSet::new());
        }
    }
}
