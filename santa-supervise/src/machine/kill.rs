//! A tree that was sent SIGKILL, and whether it is going: thousands of processes on a
//! busy machine take longer than [`super::KILL_TIMEOUT`], one in an uninterruptible
//! system call forever.

use super::{Generation, KILL_TIMEOUT, SlotId, Turn};

/// How the number of processes of a killed tree changes.
#[derive(Debug, Clone, Default)]
pub(super) struct Kill {
    /// How many were seen last.
    left: usize,
    /// By the deadline there have to be fewer than this.
    bound: usize,
    /// Whether the deadline was put off before.
    extended: bool,
}

impl Kill {
    /// Notes how many are left. Until the first deadline there may come to be more:
    /// those who die leave their children behind.
    fn seen(&mut self, left: usize) {
        self.left = left;
        if !self.extended {
            self.bound = self.bound.max(left);
        }
    }

    /// At the deadline: whether they have become fewer since the last one. That
    /// holds only a limited number of times, however many come after them.
    pub(super) fn has_progressed(&mut self) -> bool {
        let fewer = self.left < self.bound;
        self.bound = self.left;
        self.extended = true;
        fewer
    }
}

impl Turn<'_> {
    /// So many processes of a killed tree are left.
    pub(super) fn left(&mut self, id: SlotId, generation: Generation, processes: usize) {
        let slot = self.slot(id);
        let run = slot.run.as_mut().filter(|run| run.generation == generation);
        let retiring = slot.retiring.iter_mut().find(|retiring| retiring.generation == generation);
        let of_retiring = retiring.and_then(|retiring| retiring.kill.as_mut());
        for kill in run.and_then(|run| run.kill.as_mut()).into_iter().chain(of_retiring) {
            kill.seen(processes);
        }
    }

    /// At the deadline of a killed tree: puts it off if the tree is going.
    pub(super) fn goes_on_dying(&mut self, id: SlotId) -> bool {
        let now = self.now;
        let slot = self.slot(id);
        let kill = slot.run.as_mut().and_then(|run| run.kill.as_mut());
        let goes_on = kill.is_some_and(Kill::has_progressed);
        if goes_on {
            slot.deadline = Some(now + KILL_TIMEOUT);
        }
        goes_on
    }
}
