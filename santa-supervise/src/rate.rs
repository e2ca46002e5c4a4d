//! Pure: how many lines a service may write, as a token bucket. The time is an
//! argument.

use std::time::Duration;

/// Time since some fixed moment.
type Time = Duration;

/// What may still be written.
#[derive(Debug, Clone)]
pub struct Bucket {
    /// Lines a second.
    rate: f64,
    /// The most that can be saved up.
    burst: f64,
    left: f64,
    since: Time,
}

impl Bucket {
    /// Full at `now`; earns `rate` lines a second, up to `burst`.
    #[must_use]
    pub fn new(rate: u32, burst: u32, now: Time) -> Self {
        Self { rate: rate.into(), burst: burst.into(), left: burst.into(), since: now }
    }

    /// Takes up to `lines`; returns how many may pass.
    pub fn take(&mut self, lines: u32, now: Time) -> u32 {
        let earned = now.saturating_sub(self.since).as_secs_f64() * self.rate;
        self.left = (self.left + earned).min(self.burst);
        self.since = now;
        // Never negative and never above `lines`.
        let passing = (self.left as u32).min(lines);
        self.left -= f64::from(passing);
        passing
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_burst_passes_then_the_rate() {
        let mut bucket = Bucket::new(10, 30, Time::ZERO);
        assert_eq!(bucket.take(50, Time::ZERO), 30);
        assert_eq!(bucket.take(50, Time::from_millis(50)), 0);
        assert_eq!(bucket.take(50, Time::from_secs(1)), 10);
        assert_eq!(bucket.take(20, Time::from_secs(100)), 20);
    }

    proptest! {
        #[test]
        fn never_more_than_the_burst_and_what_time_has_earned(
            takes in prop::collection::vec((0u32..100, 0u64..2_000), 0..50),
            rate in 1u32..100,
            burst in 1u32..100,
        ) {
            let mut bucket = Bucket::new(rate, burst, Time::ZERO);
            let (mut passed, mut now) = (0u64, Time::ZERO);
            for (lines, later) in takes {
                now += Time::from_millis(later);
                let some = bucket.take(lines, now);
                prop_assert!(some <= lines);
                passed += u64::from(some);
                let most = f64::from(burst) + f64::from(rate) * now.as_secs_f64();
                prop_assert!(passed as f64 <= most + 1e-6);
            }
        }
    }
}
