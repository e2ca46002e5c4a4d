//! Limits per client address, for all workers together: how many connections it has open
//! and how fast it sends requests. Takes the time as a value.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Above this many addresses, those without an effect are dropped.
const MANY: usize = 1024;

/// The unit that counts as one client: an address, or for IPv6 the network
/// that one subscriber is given.
#[must_use]
pub(crate) fn client_key(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(address) => Ipv6Addr::from(u128::from(address) >> 64 << 64).into(),
    }
}

/// The same as a number, which is faster to look up. IPv4 has the numbers that no IPv6
/// network has: those whose first 32 bits are zero.
#[must_use]
pub(crate) fn numeric_key(address: IpAddr) -> u64 {
    match address {
        IpAddr::V4(address) => u64::from(u32::from(address)),
        IpAddr::V6(address) => {
            let [a, b, c, d, e, f, g, h, ..] = address.octets();
            u64::from_be_bytes([a, b, c, d, e, f, g, h])
        }
    }
}

/// Open connections and request rate of each client.
#[derive(Debug)]
pub(crate) struct ClientLimits {
    start: Instant,
    open: Mutex<HashMap<IpAddr, u32>>,
    rate: Mutex<RateLimiter>,
}

/// For each client the time (since `start`) at which its allowance is full again (the
/// generic cell rate algorithm).
#[derive(Debug, Default)]
struct RateLimiter {
    due: HashMap<u64, Duration>,
    forget_at: usize,
}

/// One open connection of a client, until dropped.
#[derive(Debug)]
pub(crate) struct ConnectionSlot {
    limits: Arc<ClientLimits>,
    client: IpAddr,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Counts are never left half changed.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl ClientLimits {
    /// No clients yet.
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self { start: Instant::now(), open: Mutex::default(), rate: Mutex::default() })
    }

    /// Counts one more connection of `address`; nothing when it already has `limit`.
    pub(crate) fn open(self: &Arc<Self>, address: IpAddr, limit: u32) -> Option<ConnectionSlot> {
        let client = client_key(address);
        let mut open = lock(&self.open);
        let count = open.entry(client).or_default();
        if *count >= limit {
            return None;
        }
        *count += 1;
        Some(ConnectionSlot { limits: Arc::clone(self), client })
    }

    /// Counts a request of `address` at `now`. When it sends more than `rate` a second after
    /// a first `burst`, gives how long it should have waited.
    pub(crate) fn check(
        &self,
        address: IpAddr,
        now: Instant,
        rate: u32,
        burst: u32,
    ) -> Result<(), Duration> {
        let now = now.saturating_duration_since(self.start);
        let each = Duration::from_secs(1) / rate.max(1);
        let slack = each * burst.max(1);
        let mut limiter = lock(&self.rate);
        let due = limiter.due.entry(numeric_key(address)).or_default();
        let next = (*due).max(now) + each;
        if let Some(wait) = next.checked_sub(now + slack).filter(|wait| !wait.is_zero()) {
            return Err(wait);
        }
        *due = next;
        limiter.forget(now);
        Ok(())
    }
}

impl RateLimiter {
    /// Drops clients whose allowance is full, whenever there are twice as many as before.
    fn forget(&mut self, now: Duration) {
        if self.due.len() >= self.forget_at.max(MANY) {
            self.due.retain(|_, due| *due > now);
            self.forget_at = self.due.len() * 2;
        }
    }
}

impl Drop for ConnectionSlot {
    fn drop(&mut self) {
        let mut open = lock(&self.limits.open);
        if let Some(count) = open.get_mut(&self.client) {
            *count -= 1;
            if *count == 0 {
                open.remove(&self.client);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_of_ipv6_are_networks_and_none_is_one_of_ipv4() {
        let numbers =
            ["2001:db8::1", "2001:db8::ffff:2", "2001:db8:0:1::1", "64:ff9b::1", "1.2.3.4"]
                .map(|text| numeric_key(text.parse().expect("an address")));
        assert_eq!(numbers[0], numbers[1]);
        let [first, _, rest @ ..] = numbers;
        assert!(rest.iter().all(|number| *number != first));
    }

    #[test]
    fn connections_are_counted_for_each_client_and_forgotten_with_the_last() {
        let limits = ClientLimits::new();
        let open = |text: &str| limits.open(text.parse().expect("address"), 2);
        let (first, second) = (open("2001:db8::1"), open("2001:db8::2"));
        assert!(first.is_some() && second.is_some());
        assert!(open("2001:db8::3").is_none(), "of the same subscriber");
        assert!(open("2001:db8:0:1::1").is_some());
        drop(first);
        assert!(open("2001:db8::3").is_some());
        drop(second);
        assert!(lock(&limits.open).is_empty());
    }

    #[test]
    fn requests_above_the_rate_are_told_how_long_to_wait() {
        let limits = ClientLimits::new();
        let begun = limits.start;
        let check = |address: [u8; 4], millis| {
            limits.check(address.into(), begun + Duration::from_millis(millis), 10, 3)
        };
        let one = [192, 0, 2, 1];
        for _ in 0..3 {
            assert_eq!(check(one, 1000), Ok(()));
        }
        assert_eq!(check(one, 1000), Err(Duration::from_millis(100)));
        assert_eq!(check([192, 0, 2, 2], 1000), Ok(()), "another client");
        assert_eq!(check(one, 1060), Err(Duration::from_millis(40)), "a refusal costs nothing");
        assert_eq!(check(one, 1100), Ok(()));
        assert_eq!(check(one, 5000), Ok(()));
    }

    /// The default limit.
    fn default_rate() -> u32 {
        let text = "version = 1\n[paths]\nwww = \"/w\"\napp = \"/a\"\nbin = \"/b\"\npython = \"/p\"\n\
            [supervisor]\ncontrol_socket = \"/s\"\n[proxy]\nsocket = \"none\"\nupstream = \"none\"\n\
            [socket.none]\nlisten = \"127.0.0.1:1\"\n";
        let config = santa_config::parse(text, "test", &santa_config::Env::default());
        config.expect("a configuration").proxy.limits.requests_per_address
    }

    /// Sends requests at these milliseconds, in order; returns how many were refused.
    fn refused(limits: &ClientLimits, from: &str, times: impl Iterator<Item = u64>) -> usize {
        let (address, rate) = (from.parse().expect("address"), default_rate());
        let at = |millis| limits.start + Duration::from_millis(millis);
        times.filter(|time| limits.check(address, at(*time), rate, 2 * rate).is_err()).count()
    }

    #[test]
    fn a_fleet_behind_one_address_is_within_the_default_limit() {
        const MACS: u64 = 3_000;
        // Three minutes of syncs every minute, each of preflight, two uploads of events,
        // two pages of rules and postflight.
        let spread = (0..3 * MACS).flat_map(|sync| (0..6).map(move |stage| (sync * 20, stage)));
        let mut times: Vec<u64> = spread.map(|(begin, stage)| begin + stage * 200).collect();
        times.sort_unstable();
        assert_eq!(refused(&ClientLimits::new(), "192.0.2.1", times.into_iter()), 0);
        // All at once, after an outage: every Mac continues as soon as it has its response.
        let herd = (0..6).flat_map(|stage| (0..MACS).map(move |_| stage * 1_000));
        assert_eq!(refused(&ClientLimits::new(), "192.0.2.1", herd), 0);
    }

    #[test]
    fn a_flood_from_one_address_is_above_the_default_limit() {
        let flood = || (0..10_000u64).flat_map(|milli| (0..20).map(move |_| milli));
        let limits = ClientLimits::new();
        let rate = usize::try_from(default_rate()).expect("a number");
        let passed = 200_000 - refused(&limits, "192.0.2.1", flood());
        assert!(passed <= 12 * rate, "ten seconds and the burst: {passed}");
        assert_eq!(refused(&limits, "192.0.2.2", [10_000].into_iter()), 0, "another client");
        // One subscriber is one client, however many limits there are in its network.
        assert!(refused(&limits, "2001:db8::1", flood()) > 0);
        assert!(refused(&limits, "2001:db8::ffff:2", [9_999; 4].into_iter()) > 0);
        assert_eq!(refused(&limits, "2001:db8:0:1::1", [10_000].into_iter()), 0);
    }

    #[test]
    fn quiet_clients_are_forgotten() {
        let limits = ClientLimits::new();
        for number in 0..10 * MANY as u32 {
            let now = limits.start + Duration::from_secs(number.into());
            assert_eq!(limits.check(IpAddr::V4(number.into()), now, 1, 1), Ok(()));
            assert!(lock(&limits.rate).due.len() <= MANY);
        }
    }
}
