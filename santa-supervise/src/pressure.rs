//! Pure: whether services should be read no further for a moment because the
//! log is behind. A burst is passed on whole by slowing its writer a little;
//! a service that writes more than the log takes for longer loses lines, and a reader
//! of the log that is stuck slows nobody.

use std::time::{Duration, Instant};

/// The longest that one burst may slow a service.
const LONGEST: Duration = Duration::from_secs(1);

/// A log that took nothing for this long is stuck.
const STUCK: Duration = Duration::from_millis(100);

/// How full the queue before the log is, and how long it has been.
#[derive(Debug, Default)]
pub struct Pressure {
    crowded_since: Option<Instant>,
    taken_at: Option<Instant>,
}

impl Pressure {
    /// The queue holds `bytes` of at most `capacity` after something was added.
    pub fn added(&mut self, now: Instant, bytes: usize, capacity: usize) {
        if bytes > capacity / 4 * 3 {
            self.crowded_since.get_or_insert(now);
        }
    }

    /// The log asks for more, and leaves `bytes` of at most `capacity` behind.
    pub fn taken(&mut self, now: Instant, bytes: usize, capacity: usize) {
        self.taken_at = Some(now);
        if bytes < capacity / 2 {
            self.crowded_since = None;
        }
    }

    /// Whether to read no further now.
    #[must_use]
    pub fn holds(&self, now: Instant) -> bool {
        let within = |since: Option<Instant>, longest| {
            since.is_some_and(|since| now.saturating_duration_since(since) < longest)
        };
        within(self.crowded_since, LONGEST) && within(self.taken_at, STUCK)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn a_burst_waits_until_the_log_has_caught_up() {
        let (mut pressure, now) = (Pressure::default(), Instant::now());
        pressure.taken(now, 0, 100);
        pressure.added(now, 70, 100);
        assert!(!pressure.holds(now), "there is room");
        pressure.added(now, 80, 100);
        assert!(pressure.holds(now));
        pressure.taken(now + MS, 60, 100);
        assert!(pressure.holds(now + MS), "not yet");
        pressure.taken(now + 2 * MS, 40, 100);
        assert!(!pressure.holds(now + 2 * MS));
    }

    #[test]
    fn a_stuck_log_and_an_endless_burst_hold_nobody_for_long() {
        let (mut pressure, begun) = (Pressure::default(), Instant::now());
        pressure.taken(begun, 0, 100);
        pressure.added(begun, 90, 100);
        assert!(!pressure.holds(begun + STUCK), "it took nothing");
        for ms in 1..2_000 {
            let now = begun + ms * MS;
            pressure.taken(now, 90, 100);
            pressure.added(now, 95, 100);
            assert_eq!(pressure.holds(now), ms < 1_000, "after {ms} ms");
        }
    }
}
