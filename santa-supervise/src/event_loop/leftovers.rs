//! What is known between two looks for processes that trees have left behind.

use std::collections::{BTreeSet, VecDeque};
use std::time::Instant;

use crate::machine::Generation;
use crate::os::{Os, Pid, Strays, Tag, Tree};

/// When to sweep, and where to go on.
#[derive(Debug, Default)]
pub(super) struct Sweeps {
    pub(super) next: Option<Instant>,
    /// Until when the loop is for others, after a sweep that took its time.
    pub(super) rest_until: Option<Instant>,
    /// The last tree that had its turn.
    pub(super) last: Option<Generation>,
    /// What helpers have left behind.
    pub(super) of_helpers: VecDeque<Leftovers>,
}

/// What a helper that has ended has left behind.
#[derive(Debug)]
pub(super) struct Leftovers {
    main: Pid,
    tag: Tag,
    killed: BTreeSet<Pid>,
}

impl Leftovers {
    pub(super) fn new(main: Pid, tag: Tag) -> Self {
        Self { main, tag, killed: BTreeSet::new() }
    }

    pub(super) fn tree(&self) -> Tree<'_> {
        Tree { main: self.main, main_alive: false, tag: &self.tag }
    }

    pub(super) fn kill(&mut self, os: &dyn Os, strays: &Strays) {
        let tree = Tree { main: self.main, main_alive: false, tag: &self.tag };
        os.kill_tree(tree, strays, &mut self.killed);
    }
}
