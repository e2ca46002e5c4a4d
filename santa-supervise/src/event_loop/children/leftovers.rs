//! What a helper that has ended has left behind.

use std::collections::BTreeSet;

use crate::os::{Orphans, Os, Pid, Tag, Tree};

/// The processes of one helper without its main process.
#[derive(Debug)]
pub(in super::super) struct Leftovers {
    main: Pid,
    tag: Tag,
    killed: BTreeSet<Pid>,
}

impl Leftovers {
    pub(in super::super) fn new(main: Pid, tag: Tag) -> Self {
        Self { main, tag, killed: BTreeSet::new() }
    }

    pub(in super::super) fn tree(&self) -> Tree<'_> {
        Tree { main: self.main, main_alive: false, tag: &self.tag }
    }

    pub(super) fn kill(&mut self, os: &dyn Os, orphans: &Orphans) {
        let tree = Tree { main: self.main, main_alive: false, tag: &self.tag };
        os.kill_tree(tree, orphans, &mut self.killed);
    }
}
