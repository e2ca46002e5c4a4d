//! The process trees of the services: who has ended, what is signalled, what they
//! left behind.

mod child;
mod leftovers;
mod sweep;

use std::collections::{BTreeMap, BTreeSet};

use crate::machine::{Exit, Generation};
use crate::os::{Orphans, Os, Pid};

pub(super) use child::Child;
pub(super) use leftovers::Leftovers;
use sweep::Sweeps;

/// All trees that are not known to be gone.
#[derive(Debug, Default)]
pub(super) struct Children {
    trees: BTreeMap<Generation, Child>,
    sweeps: Sweeps,
    orphans_reaped: u64,
    /// Kills because memory ran out, as far as they are known.
    oom_kills: Option<u64>,
}

/// The main process of a tree has ended.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ended {
    pub(super) generation: Generation,
    pub(super) exit: Exit,
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

    /// Forgets a tree that is gone, or that nobody waits for.
    pub(super) fn remove(&mut self, generation: Generation) {
        self.trees.remove(&generation);
    }

    /// Every living main process.
    pub(super) fn mains(&self) -> BTreeSet<Pid> {
        self.trees.values().filter_map(Child::living_pid).collect()
    }

    /// Takes in that a process has ended; whether it was a main process.
    pub(super) fn main_ended(&mut self, pid: Pid, exit: Exit) -> bool {
        let child = self.trees.values_mut().find(|child| child.living_pid() == Some(pid));
        child.map(|child| child.ended(exit)).is_some()
    }

    /// Counts an orphan that has ended.
    pub(super) fn orphan_reaped(&mut self) {
        self.orphans_reaped += 1;
    }

    pub(super) fn orphans_reaped(&self) -> u64 {
        self.orphans_reaped
    }

    /// Exits that the core does not know yet.
    pub(super) fn ended(&self) -> Vec<Ended> {
        let ended = self.trees.iter();
        ended
            .filter_map(|(generation, child)| {
                Some(Ended { generation: *generation, exit: child.exit()? })
            })
            .collect()
    }

    fn has_ended(&self) -> bool {
        self.trees.values().any(|child| child.exit().is_some())
    }

    /// An exit has been reported to the core.
    pub(super) fn forget_exit(&mut self, generation: Generation) {
        if let Some(child) = self.trees.get_mut(&generation) {
            child.forget_exit();
        }
    }

    /// Whether a main process was probably killed because memory ran out: by a
    /// SIGKILL that is not ours, and with another kill of that kind.
    pub(super) fn was_out_of_memory(
        &mut self,
        os: &dyn Os,
        Ended { generation, exit }: Ended,
    ) -> bool {
        let ours = self.get(generation).is_some_and(Child::is_being_killed);
        if exit != Exit::Signal(libc::SIGKILL) || ours {
            return false;
        }
        let known = std::mem::replace(&mut self.oom_kills, os.oom_kills());
        self.oom_kills > known
    }

    /// Signals a main process; one that has just ended needs none.
    ///
    /// # Errors
    /// The system's refusal, in words.
    pub(super) fn signal_main(
        &self,
        os: &dyn Os,
        generation: Generation,
        signal: i32,
    ) -> Result<(), String> {
        let Some(child) = self.get(generation) else { return Ok(()) };
        let Some(pid) = child.living_pid() else { return Ok(()) };
        os.signal_child(pid, signal).map_err(|error| {
            let label = child.blueprint().spec.label();
            format!("cannot send {} to {label}: {error}", santa_config::signal::name(signal))
        })
    }

    /// Lets a stopped process (SIGSTOP) go on, which could not react otherwise.
    pub(super) fn wake(&self, os: &dyn Os, generation: Generation) {
        if let Some(child) = self.get(generation)
            && let Some(pid) = child.living_pid()
        {
            // Of one that has just ended nothing is left to wake.
            let _ = os.signal_child(pid, libc::SIGCONT);
            os.signal_group(child.tree(), libc::SIGCONT);
        }
    }

    /// Asks what a tree has left behind to stop.
    pub(super) fn ask_leftovers(&mut self, generation: Generation) {
        if let Some(child) = self.trees.get_mut(&generation) {
            child.ask_leftovers();
            self.sweep_soon();
        }
    }

    /// Kills a tree until nothing of it is left.
    pub(super) fn kill(&mut self, os: &dyn Os, generation: Generation) {
        if let Some(child) = self.trees.get_mut(&generation) {
            child.kill();
            os.signal_group(child.tree(), libc::SIGKILL);
            // What is outside its group.
            self.sweep_soon();
        }
    }

    /// Kills all trees at once.
    pub(super) fn kill_all(&self, os: &dyn Os, orphans: &Orphans) {
        for child in self.trees.values() {
            if let Some(pid) = child.living_pid() {
                // It may not lead its group yet.
                let _ = os.signal_child(pid, libc::SIGKILL);
            }
            os.kill_tree(child.tree(), orphans, &mut BTreeSet::new());
        }
    }
}
