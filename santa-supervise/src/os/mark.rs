//! A mark on every process of a tree that no program loses by accident: the soft
//! limit on file locks, which has meant nothing since Linux 2.4.24, but which
//! fork, exec, a new session, another user and an empty environment leave as it
//! is. /proc/PID/limits shows it without waiting for anything. Where it cannot be
//! set (gVisor), the variable [`TAG`] has to do.

#[cfg(target_os = "linux")]
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::Pid;

/// Variable that marks every process with the spawn it belongs to.
pub const TAG: &str = "SANTA_SUPERVISE_ID";

/// What marks every process of a tree.
#[derive(Debug, Clone)]
pub struct Tag {
    /// Value of the variable [`TAG`].
    pub variable: String,
    /// See [`Mark`].
    pub mark: Mark,
}

impl Default for Tag {
    /// Marks nothing.
    fn default() -> Self {
        Self { variable: String::new(), mark: Mark::NONE }
    }
}

/// The marks of one run of santa-supervise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Family(u64);

/// Bits of a mark for the number of the tree; the rest but one is the family's.
const NUMBER_BITS: u32 = 24;

/// The mark of one tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark(u64);

impl Family {
    /// One that no other run has: `random` must be random.
    #[must_use]
    pub fn new(random: u64) -> Self {
        // The highest bit stays free: all ones would be no limit at all.
        Self((random >> (NUMBER_BITS + 1)).max(1))
    }

    /// The mark of tree number `number`.
    #[must_use]
    pub fn mark(self, number: u32) -> Mark {
        let number = u64::from(number) & ((1 << NUMBER_BITS) - 1);
        Mark(self.0 << NUMBER_BITS | number)
    }
}

impl Mark {
    /// No process has it.
    pub const NONE: Self = Self(0);

    /// Whether a process of this run has it.
    #[must_use]
    pub fn is_of(self, family: Family) -> bool {
        self.0 >> NUMBER_BITS == family.0
    }
}

/// Marks this process and all that will come from it.
#[cfg(target_os = "linux")]
pub(super) fn put_on(mark: Mark) {
    // Refused where someone has lowered the hard limit.
    set_soft_limit(Some(mark.0));
}

/// Sets the limit, or none; returns what it was.
#[cfg(target_os = "linux")]
fn set_soft_limit(value: Option<u64>) -> Option<Option<u64>> {
    let before = getrlimit(Resource::Locks);
    setrlimit(Resource::Locks, Rlimit { current: value, ..before }).ok()?;
    Some(before.current)
}

/// Whether processes can be marked here: tried once, on this one.
#[cfg(target_os = "linux")]
pub(super) fn works() -> bool {
    static WORKS: std::sync::OnceLock<bool> = std::sync::OnceLock::new();
    *WORKS.get_or_init(|| {
        let own = std::process::id().cast_signed();
        let tried = Mark(u64::MAX >> 1);
        let Some(before) = set_soft_limit(Some(tried.0)) else { return false };
        let seen = of(own);
        set_soft_limit(before);
        seen == Some(tried)
    })
}

#[cfg(not(target_os = "linux"))]
pub(super) fn put_on(_mark: Mark) {}

/// The mark of a process, if it has one.
#[cfg(target_os = "linux")]
pub(super) fn of(pid: Pid) -> Option<Mark> {
    let limits = std::fs::read_to_string(format!("/proc/{pid}/limits")).ok()?;
    let line = limits.lines().find_map(|line| line.strip_prefix("Max file locks"))?;
    // Without a mark it says "unlimited".
    line.split_whitespace().next()?.parse().ok().map(Mark)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_differ_from_tree_to_tree_and_from_run_to_run() {
        let (one, other) = (Family::new(7 << 40), Family::new(u64::MAX));
        assert_ne!(one.mark(1), one.mark(2));
        assert_ne!(one.mark(1), other.mark(1));
        assert!(one.mark(u32::MAX).is_of(one) && !one.mark(1).is_of(other));
        assert!(!Mark::NONE.is_of(one));
        assert_ne!(other.mark(u32::MAX).0, u64::MAX, "that is no limit");
    }
}
