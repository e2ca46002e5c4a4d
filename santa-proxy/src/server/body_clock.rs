//! The timeouts of a request body: between two reads, for the average rate, and in total.
//! Only the time spent waiting for the client counts. Takes the time as a value.

use std::time::Duration;

use santa_config::{ProxyLimits, ProxyTimeouts};

/// The clock of one body.
#[derive(Debug)]
pub(crate) struct BodyClock {
    /// Longest time between two reads.
    read: Duration,
    /// How long the rate may be lower.
    grace: Duration,
    /// Longest time in total.
    total: Duration,
    /// Lowest rate, bytes a second; 0 is any.
    rate: u64,
    waited: Duration,
    received: u64,
}

impl BodyClock {
    /// `received` bytes came with the head.
    pub(crate) fn new(limits: &ProxyLimits, timeouts: &ProxyTimeouts, received: u64) -> Self {
        Self {
            read: timeouts.body,
            grace: timeouts.body_grace,
            total: timeouts.body_total,
            rate: limits.body_rate.0,
            waited: Duration::ZERO,
            received,
        }
    }

    /// The same for a response that the client receives, without a total.
    pub(crate) fn of_response(limits: &ProxyLimits, timeouts: &ProxyTimeouts) -> Self {
        Self { total: Duration::MAX, ..Self::new(limits, timeouts, 0) }
    }

    /// How long the first bytes of a response may take.
    pub(crate) fn first_byte_timeout(limits: &ProxyLimits, timeouts: &ProxyTimeouts) -> Duration {
        match limits.body_rate.0 {
            0 => timeouts.body,
            _ => timeouts.body.min(timeouts.body_grace),
        }
    }

    /// How long the next bytes may take.
    pub(crate) fn timeout(&self) -> Duration {
        let slowest = match self.received.saturating_mul(1000).checked_div(self.rate) {
            Some(earned) => self.grace.saturating_add(Duration::from_millis(earned)),
            None => Duration::MAX,
        };
        self.read.min(slowest.min(self.total).saturating_sub(self.waited))
    }

    /// `bytes` have arrived after a wait.
    pub(crate) fn arrived(&mut self, bytes: usize, waited: Duration) {
        self.received = self.received.saturating_add(bytes as u64);
        self.waited = self.waited.saturating_add(waited);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn clock(rate: u64) -> BodyClock {
        let (read, grace, total) = (30 * SECOND, 10 * SECOND, 300 * SECOND);
        BodyClock { read, grace, total, rate, waited: Duration::ZERO, received: 0 }
    }

    #[test]
    fn received_bytes_extend_the_timeout() {
        let mut clock = clock(1024);
        assert_eq!(clock.timeout(), 10 * SECOND);
        clock.arrived(1, 9 * SECOND);
        assert_eq!(clock.timeout(), SECOND, "a byte earns next to nothing");
        clock.arrived(2048, SECOND / 2);
        assert_eq!(clock.timeout(), SECOND * 5 / 2);
        clock.arrived(0, 3 * SECOND);
        assert_eq!(clock.timeout(), Duration::ZERO);
    }

    #[test]
    fn no_rate_earns_more_than_the_total_nor_lets_a_client_be_silent_for_long() {
        let mut clock = clock(1024);
        clock.arrived(1024 * 1024 * 1024, SECOND);
        assert_eq!(clock.timeout(), 30 * SECOND);
        clock.arrived(usize::MAX, 298 * SECOND);
        assert_eq!(clock.timeout(), SECOND);
        clock.arrived(usize::MAX, Duration::MAX);
        assert_eq!(clock.timeout(), Duration::ZERO);
    }

    #[test]
    fn the_first_bytes_of_a_response_have_the_same_timeout() {
        let config = santa_config::parse(
            &include_str!("../../tests/integration/support/proxy.toml")
                .replace("@DIRECTORY@", "/x"),
            "proxy.toml",
            &santa_config::Env::new(),
        );
        let proxy = config.expect("valid").proxy;
        let (mut limits, mut timeouts) = (proxy.limits, proxy.timeouts);
        for (rate, grace) in [(0, 1), (1, 1), (1024, 90)] {
            limits.body_rate.0 = rate;
            timeouts.body_grace = grace * SECOND;
            let first = BodyClock::of_response(&limits, &timeouts).timeout();
            assert_eq!(BodyClock::first_byte_timeout(&limits, &timeouts), first);
        }
    }

    #[test]
    fn without_a_rate_the_total_is_left() {
        let mut clock = clock(0);
        assert_eq!(clock.timeout(), 30 * SECOND);
        clock.arrived(0, 299 * SECOND);
        assert_eq!(clock.timeout(), SECOND);
    }
}
