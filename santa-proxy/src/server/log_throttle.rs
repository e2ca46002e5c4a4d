//! Keeps a problem that every request can meet from filling the log: each message is
//! logged at most once per interval. Pure.

use std::collections::HashMap;
use std::time::{Duration, Instant};

/// A message is logged at most once in this time by each worker.
const INTERVAL: Duration = Duration::from_secs(1);

/// What was logged when.
#[derive(Debug, Default)]
pub(crate) struct LogThrottle(HashMap<&'static str, Repeats>);

#[derive(Debug, Default)]
struct Repeats {
    last: Option<Instant>,
    suppressed: u64,
}

impl LogThrottle {
    /// Whether to log `message` now; if so, how many times it was suppressed since it was
    /// last logged.
    pub(crate) fn admit(&mut self, message: &'static str, now: Instant) -> Option<u64> {
        let repeats = self.0.entry(message).or_default();
        if repeats.last.is_some_and(|last| now < last + INTERVAL) {
            repeats.suppressed += 1;
            return None;
        }
        repeats.last = Some(now);
        Some(std::mem::take(&mut repeats.suppressed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_logged_once_per_interval_with_the_number_of_suppressed_ones() {
        let mut throttle = LogThrottle::default();
        let start = Instant::now();
        let mut admit =
            |message, millis| throttle.admit(message, start + Duration::from_millis(millis));
        assert_eq!(admit("a", 0), Some(0));
        assert_eq!(admit("a", 10), None);
        assert_eq!(admit("b", 10), Some(0), "another message");
        assert_eq!(admit("a", 999), None);
        assert_eq!(admit("a", 1000), Some(2));
        assert_eq!(admit("a", 1001), None);
        assert_eq!(admit("a", 5000), Some(1));
    }
}
