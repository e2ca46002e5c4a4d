//! When is a burst of changes over? Editors write a file in several steps and
//! tools write many files; they are wanted together. The time is passed in.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// A burst is over when nothing has changed for this long.
const QUIET: Duration = Duration::from_millis(20);
/// A burst that does not end is cut here.
const LONGEST: Duration = Duration::from_millis(500);

/// Changed paths that wait for their burst to end.
#[derive(Default)]
pub(crate) struct Debounce {
    paths: BTreeSet<PathBuf>,
    first: Option<Instant>,
    last: Option<Instant>,
}

impl Debounce {
    /// Notes changed paths; a look that found none does not prolong the burst.
    pub(crate) fn add(&mut self, now: Instant, paths: Vec<PathBuf>) {
        if !paths.is_empty() {
            self.paths.extend(paths);
            self.first.get_or_insert(now);
            self.last = Some(now);
        }
    }

    /// How long until [`take`](Self::take) may have something, if anything waits.
    pub(crate) fn wait(&self, now: Instant) -> Option<Duration> {
        let due = (self.last? + QUIET).min(self.first? + LONGEST);
        Some(due.saturating_duration_since(now))
    }

    /// The changes of a burst that is over.
    pub(crate) fn take(&mut self, now: Instant) -> Option<BTreeSet<PathBuf>> {
        if self.wait(now)? > Duration::ZERO {
            return None;
        }
        (self.first, self.last) = (None, None);
        Some(std::mem::take(&mut self.paths))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_is_taken_once_and_together() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut debounce = Debounce::default();
        assert_eq!(debounce.wait(start), None);
        debounce.add(at(0), vec!["a".into()]);
        debounce.add(at(15), vec!["b".into(), "a".into()]);
        assert_eq!(debounce.take(at(30)), None);
        debounce.add(at(34), Vec::new());
        assert_eq!(debounce.take(at(35)).map(|paths| paths.len()), Some(2));
        assert_eq!(debounce.take(at(500)), None);
    }

    #[test]
    fn endless_changes_do_not_starve_the_loop() {
        let start = Instant::now();
        let mut debounce = Debounce::default();
        for ms in (0..600).step_by(10) {
            debounce.add(start + Duration::from_millis(ms), vec!["a".into()]);
        }
        assert!(debounce.take(start + Duration::from_millis(600)).is_some());
    }
}
