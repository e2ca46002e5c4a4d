//! When the next request of a connection is due, and waiting for it.

use std::time::Duration;

use tokio::time::{Instant, sleep_until};

/// The schedule of one connection among several that share a rate.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Pace {
    /// As soon as the last response is there.
    Closed,
    /// At fixed moments, whether or not responses keep up.
    Open {
        /// Between two requests of this connection.
        interval: Duration,
        /// From the start of the run to its next request.
        next: Duration,
    },
}

impl Pace {
    /// The pace of connection number `index` of `connections`, together `rate`
    /// requests a second.
    pub(crate) fn new(rate: Option<f64>, connections: u32, index: u32) -> Self {
        match rate {
            None => Self::Closed,
            Some(rate) => {
                let turn = Duration::from_secs_f64(1.0 / rate);
                Self::Open { interval: turn * connections, next: turn * index }
            }
        }
    }

    /// Waits until the next request is due and gives when that was; nothing once
    /// the run has ended.
    pub(crate) async fn turn(&mut self, start: Instant, end: Instant) -> Option<Instant> {
        let due = start + self.due(start.elapsed());
        if due >= end {
            return None;
        }
        if due > Instant::now() {
            sleep_until(due).await;
        }
        Some(due)
    }

    /// When the next request is due, since the start of the run. Pure.
    fn due(&mut self, now: Duration) -> Duration {
        match self {
            Self::Closed => now,
            Self::Open { interval, next } => {
                let due = *next;
                *next += *interval;
                due
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_take_turns_and_a_late_one_does_not_shift_the_schedule() {
        let mut second = Pace::new(Some(100.0), 4, 1);
        let late = Duration::from_secs(9);
        let due: Vec<_> = (0..3).map(|_| second.due(late).as_millis()).collect();
        assert_eq!(due, [10, 50, 90]);
    }

    #[test]
    fn without_a_rate_it_is_always_due() {
        let now = Duration::from_millis(7);
        assert_eq!(Pace::new(None, 4, 1).due(now), now);
    }
}
