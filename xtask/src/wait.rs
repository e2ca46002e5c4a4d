//! Waiting until what was started is there.

use std::time::{Duration, Instant};

use anyhow::Result;

use crate::run;

/// Looks every `tick` whether it is there; false when that took longer than `timeout`.
/// An error, or Ctrl-C, ends the wait.
pub fn until(
    timeout: Duration,
    tick: Duration,
    mut there: impl FnMut() -> Result<bool>,
) -> Result<bool> {
    let deadline = Instant::now() + timeout;
    loop {
        run::check()?;
        if there()? {
            return Ok(true);
        }
        if Instant::now() > deadline {
            return Ok(false);
        }
        std::thread::sleep(tick);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_ends_with_the_deadline_and_with_an_error() {
        let tick = Duration::from_millis(1);
        let mut looks = 0;
        let third = until(Duration::from_secs(60), tick, || {
            looks += 1;
            Ok(looks == 3)
        });
        assert!(third.expect("no error") && looks == 3);
        assert!(!until(Duration::ZERO, tick, || Ok(false)).expect("no error"));
        assert!(until(Duration::from_secs(60), tick, || anyhow::bail!("ended")).is_err());
    }
}
