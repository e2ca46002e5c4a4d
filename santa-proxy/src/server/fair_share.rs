//! A limited resource that clients share. How much one client may use depends on what is
//! left: never more than remains for all others together (the dynamic threshold of shared
//! switch buffers). One client alone gets half, two get a third each, and something is
//! always left for the next one. Pure.

use std::collections::BTreeMap;
use std::net::IpAddr;

use crate::client_limits::numeric_key;

/// Above this many clients, those that use nothing are dropped.
const MANY: usize = 64;

/// The resource and how much of it each client uses.
#[derive(Debug)]
pub(crate) struct FairShare {
    limit: usize,
    used: usize,
    /// Clients that use nothing stay a while: most return at once. A tree, since there are
    /// few most of the time, and no choice of addresses makes it slow.
    by_client: BTreeMap<u64, usize>,
    forget_at: usize,
}

impl FairShare {
    /// `limit` in total.
    pub(crate) fn new(limit: usize) -> Self {
        Self { limit, used: 0, by_client: BTreeMap::new(), forget_at: MANY }
    }

    /// Changes the total. What is in use stays in use.
    pub(crate) fn set_limit(&mut self, limit: usize) {
        self.limit = limit;
    }

    /// What is unused.
    pub(crate) fn free(&self) -> usize {
        self.limit.saturating_sub(self.used)
    }

    /// Takes `amount` (above zero) for `client`, unless it would then use more than is left.
    pub(crate) fn take(&mut self, client: IpAddr, amount: usize) -> bool {
        let free = self.free();
        if amount > free {
            return false;
        }
        match self.by_client.get_mut(&numeric_key(client)) {
            Some(own) if own.saturating_add(amount) <= free => *own += amount,
            Some(_) => return false,
            None => self.remember(client, amount),
        }
        self.used += amount;
        true
    }

    #[cold]
    fn remember(&mut self, client: IpAddr, amount: usize) {
        if self.by_client.len() >= self.forget_at {
            self.by_client.retain(|_, own| *own > 0);
            self.forget_at = MANY.max(self.by_client.len() * 2);
        }
        self.by_client.insert(numeric_key(client), amount);
    }

    /// Returns what `client` has taken.
    pub(crate) fn release(&mut self, client: IpAddr, amount: usize) {
        if let Some(own) = self.by_client.get_mut(&numeric_key(client)) {
            let amount = amount.min(*own);
            self.used -= amount;
            *own -= amount;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(number: u8) -> IpAddr {
        [192, 0, 2, number].into()
    }

    fn greedy(share: &mut FairShare, number: u8) -> usize {
        (0..1000).take_while(|_| share.take(client(number), 1)).count()
    }

    #[test]
    fn something_is_always_left_for_the_next_client() {
        let mut share = FairShare::new(512);
        assert_eq!(greedy(&mut share, 1), 256);
        assert_eq!(greedy(&mut share, 2), 128);
        for number in 3..20 {
            let got = greedy(&mut share, number);
            assert!(got > 0 || share.free() == 0, "client {number}");
        }
    }

    #[test]
    fn many_greedy_clients_end_up_with_equal_shares() {
        let mut share = FairShare::new(512);
        for _ in 0..512 {
            for number in 1..=20 {
                let _: bool = share.take(client(number), 1);
            }
        }
        assert_eq!(share.free(), 24);
        assert!(share.by_client.values().all(|own| [24, 25].contains(own)));
        assert!(share.take(client(99), 1));
    }

    #[test]
    fn what_is_released_can_be_taken_again() {
        let mut share = FairShare::new(100);
        assert!(share.take(client(1), 30) && share.take(client(1), 15));
        assert!(!share.take(client(1), 11), "56 of 100");
        assert!(!share.take(client(2), 56));
        share.release(client(1), 30);
        assert_eq!(share.free(), 85);
        share.release(client(1), 15);
        share.release(client(2), 7);
        assert!(share.by_client.values().all(|own| *own == 0) && share.free() == 100);
        share.set_limit(0);
        assert!(!share.take(client(1), 1));
    }

    #[test]
    fn clients_that_use_nothing_are_dropped() {
        let mut share = FairShare::new(1000);
        for number in 0..100_000u32 {
            assert!(share.take(IpAddr::from(number.to_be_bytes()), 1));
            if number >= 300 {
                share.release(IpAddr::from((number - 300).to_be_bytes()), 1);
            }
        }
        assert!(share.by_client.len() <= 602, "{}", share.by_client.len());
        assert_eq!(share.free(), 700);
    }

    #[test]
    fn a_single_unit_can_be_taken() {
        let mut share = FairShare::new(1);
        assert!(share.take(client(1), 1) && !share.take(client(2), 1));
    }
}
