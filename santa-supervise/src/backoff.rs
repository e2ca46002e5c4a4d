//! Pure: how long to wait before the next start. Time and randomness are
//! arguments. Used by [`crate::machine`].

use std::time::Duration;

use santa_config::Backoff;

/// Wait after `failures` failures in a row (1 for the first), with `chance`
/// from 0 to 1 deciding the part that jitter leaves open.
///
/// The wait never exceeds `backoff.max` and never falls below
/// `1 - backoff.jitter` of the undisturbed wait.
#[must_use]
pub fn delay(backoff: &Backoff, failures: u32, chance: f64) -> Duration {
    if failures == 0 {
        return Duration::ZERO;
    }
    // Past this power every sensible factor has long reached the maximum.
    let power = i32::try_from(failures - 1).unwrap_or(i32::MAX).min(1_000);
    let grown = backoff.initial.as_secs_f64() * backoff.factor.powi(power);
    let capped = grown.min(backoff.max.as_secs_f64());
    Duration::from_secs_f64(capped * (1.0 - backoff.jitter * chance))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn backoff(jitter: f64) -> Backoff {
        Backoff {
            initial: Duration::from_millis(100),
            factor: 2.0,
            max: Duration::from_secs(30),
            jitter,
            reset_after: Duration::from_secs(60),
        }
    }

    #[test]
    fn waits_double_up_to_the_cap() {
        let waits: Vec<u128> =
            (0..12).map(|failures| delay(&backoff(0.0), failures, 0.5).as_millis()).collect();
        assert_eq!(
            waits,
            [0, 100, 200, 400, 800, 1_600, 3_200, 6_400, 12_800, 25_600, 30_000, 30_000]
        );
    }

    proptest! {
        #[test]
        fn no_wait_leaves_its_bounds(failures in 1u32..=u32::MAX, jitter in 0.0..=1.0f64, seed: u64) {
            let chance = fastrand::Rng::with_seed(seed).f64();
            let plain = delay(&backoff(0.0), failures, chance);
            let wait = delay(&backoff(jitter), failures, chance);
            prop_assert!(wait <= plain && plain <= Duration::from_secs(30));
            prop_assert!(wait.as_secs_f64() >= plain.as_secs_f64() * (1.0 - jitter) - 1e-6);
        }
    }
}
