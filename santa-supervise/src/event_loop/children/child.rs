//! One spawned tree: its main process, and what it may have left behind.

use std::collections::BTreeSet;
use std::rc::Rc;

use crate::clock::{self, Millis};
use crate::machine::{Event, Exit, Generation, SlotId};
use crate::os::{Orphans, Os, Pid, Tag, Tree};
use crate::plan::Blueprint;

/// One spawned tree.
#[derive(Debug)]
pub(in super::super) struct Child {
    slot: SlotId,
    /// What it was started with, whatever is configured by now.
    blueprint: Rc<Blueprint>,
    pid: Pid,
    main_alive: bool,
    /// How its main process has ended, if the core does not know it yet.
    exit: Option<Exit>,
    /// Whether it is killed again as long as anything of it is found.
    killing: bool,
    killed: BTreeSet<Pid>,
    /// How many processes of it were last reported as left while it was killed.
    left: Option<usize>,
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
    pub(in super::super) fn new(
        slot: SlotId,
        blueprint: Rc<Blueprint>,
        pid: Pid,
        tag: Tag,
    ) -> Self {
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
            began: clock::now(),
        }
    }

    pub(in super::super) fn slot(&self) -> SlotId {
        self.slot
    }

    pub(in super::super) fn blueprint(&self) -> &Rc<Blueprint> {
        &self.blueprint
    }

    /// When it was started.
    pub(in super::super) fn began(&self) -> Millis {
        self.began
    }

    /// Its main process, whether it still lives or not.
    pub(in super::super) fn pid(&self) -> Pid {
        self.pid
    }

    /// Its main process, unless that has ended.
    pub(in super::super) fn living_pid(&self) -> Option<Pid> {
        self.main_alive.then_some(self.pid)
    }

    pub(in super::super) fn tree(&self) -> Tree<'_> {
        Tree { main: self.pid, main_alive: self.main_alive, tag: &self.tag }
    }

    /// Its signal for a step of the stop sequence that `now` is planned, which may
    /// have changed since it started; none while its stop is only announced.
    pub(in super::super) fn stop_signal(&self, step: usize, now: &Blueprint) -> Option<i32> {
        let announced = usize::from(now.stop_signals.first() == Some(&None));
        let step = step.checked_sub(announced)?;
        let signals = || self.blueprint.stop_signals.iter().copied().flatten();
        signals().nth(step).or(signals().last())
    }

    /// Whether we are killing it.
    pub(super) fn is_being_killed(&self) -> bool {
        self.killing
    }

    /// Lets it be killed again as long as anything of it is found.
    pub(super) fn kill(&mut self) {
        self.killing = true;
    }

    /// Lets what it left behind be asked to stop, by the first signal of its stop
    /// sequence.
    pub(super) fn ask_leftovers(&mut self) {
        let first = self.blueprint.stop_signals.iter().copied().find_map(|signal| signal);
        let nobody = BTreeSet::new;
        self.asking = first.map(|signal| Asking { signal, asked: nobody(), woken: nobody() });
    }

    /// Its main process has ended.
    pub(super) fn ended(&mut self, exit: Exit) {
        self.main_alive = false;
        self.exit = Some(exit);
    }

    /// How its main process has ended, if the core does not know it yet.
    pub(super) fn exit(&self) -> Option<Exit> {
        self.exit
    }

    /// The exit has been reported to the core.
    pub(super) fn forget_exit(&mut self) {
        self.exit = None;
    }

    /// Whether something of it may have to be killed or asked to stop, or its end
    /// to be noticed; not before the core knows that its main process has ended.
    pub(super) fn is_to_be_swept(&self) -> bool {
        self.exit.is_none() && (!self.main_alive || self.killing)
    }

    /// Looks what is left of it: goes on ending that, or notices that nothing is.
    pub(super) fn sweep(
        &mut self,
        os: &dyn Os,
        orphans: &Orphans,
        generation: Generation,
    ) -> Option<Event> {
        let slot = self.slot;
        if !self.main_alive && !os.has_leftovers(self.tree(), orphans) {
            return Some(Event::Gone(slot, generation));
        }
        self.press(os, orphans);
        let processes = os.count(self.tree(), orphans);
        let is_news = self.killing && self.left.replace(processes) != Some(processes);
        is_news.then_some(Event::Left { slot, generation, processes })
    }

    /// Goes on killing what is found of it, or asking what it has left behind.
    fn press(&mut self, os: &dyn Os, orphans: &Orphans) {
        let tree = Tree { main: self.pid, main_alive: self.main_alive, tag: &self.tag };
        if self.killing {
            os.kill_tree(tree, orphans, &mut self.killed);
        } else if let Some(asking) = &mut self.asking {
            os.signal_tree(tree, orphans, asking.signal, &mut asking.asked);
            // What was stopped (SIGSTOP) could not react.
            os.signal_tree(tree, orphans, libc::SIGCONT, &mut asking.woken);
        }
    }
}
