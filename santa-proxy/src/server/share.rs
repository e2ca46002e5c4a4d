//! A limited resource that clients share. What one client may have depends on
//! what is left: never more than remains for all others together (the dynamic
//! threshold of shared switch buffers). One client alone gets half, two get a
//! third each, and there is always something left for the next one. Pure.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::IpAddr;

/// The resource and what each client has of it.
#[derive(Debug)]
pub(crate) struct FairShare {
    most: usize,
    used: usize,
    by_client: HashMap<IpAddr, usize>,
}

impl FairShare {
    /// So much in all.
    pub(crate) fn new(most: usize) -> Self {
        Self { most, used: 0, by_client: HashMap::new() }
    }

    /// From now on, so much in all. What was taken stays taken.
    pub(crate) fn set_most(&mut self, most: usize) {
        self.most = most;
    }

    /// What nobody has.
    pub(crate) fn free(&self) -> usize {
        self.most.saturating_sub(self.used)
    }

    /// Takes `amount` (more than nothing) for `client`, unless it would have more
    /// than is left.
    pub(crate) fn take(&mut self, client: IpAddr, amount: usize) -> bool {
        let free = self.free();
        match self.by_client.entry(client) {
            Entry::Occupied(mut own) if own.get().saturating_add(amount) <= free => {
                *own.get_mut() += amount;
            }
            Entry::Vacant(own) if amount <= free => {
                own.insert(amount);
            }
            _ => return false,
        }
        self.used += amount;
        true
    }

    /// Gives back what `client` has taken.
    pub(crate) fn give_back(&mut self, client: IpAddr, amount: usize) {
        if let Entry::Occupied(mut own) = self.by_client.entry(client) {
            let amount = amount.min(*own.get());
            self.used -= amount;
            if *own.get() == amount {
                own.remove();
            } else {
                *own.get_mut() -= amount;
            }
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
    fn what_is_given_back_can_be_taken_again_and_nobody_is_remembered() {
        let mut share = FairShare::new(100);
        assert!(share.take(client(1), 30) && share.take(client(1), 15));
        assert!(!share.take(client(1), 11), "56 of 100");
        assert!(!share.take(client(2), 56));
        share.give_back(client(1), 30);
        assert_eq!(share.free(), 85);
        share.give_back(client(1), 15);
        share.give_back(client(2), 7);
        assert!(share.by_client.is_empty() && share.free() == 100);
        share.set_most(0);
        assert!(!share.take(client(1), 1));
    }

    #[test]
    fn one_of_one_can_be_had() {
        let mut share = FairShare::new(1);
        assert!(share.take(client(1), 1) && !share.take(client(2), 1));
    }
}
