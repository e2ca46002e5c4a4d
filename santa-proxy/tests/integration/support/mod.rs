//! What the tests share: a proxy process, a client, an instrumented
//! backend, the control socket of a supervisor.

pub(crate) mod backend;
pub(crate) mod client;
pub(crate) mod proxy;
pub(crate) mod supervisor;
pub(crate) mod tls;

use std::time::{Duration, Instant};

/// Longest anything may take before a test counts as failed. Only ever an
/// upper bound against hanging: no test measures time.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(20);

/// Waits until `condition` holds.
pub(crate) fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let end = Instant::now() + TIMEOUT;
    while !condition() {
        assert!(Instant::now() < end, "gave up waiting until {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// The same in a task, which lets other tasks run meanwhile.
pub(crate) async fn eventually_async(what: &str, mut condition: impl FnMut() -> bool) {
    let end = Instant::now() + TIMEOUT;
    while !condition() {
        assert!(Instant::now() < end, "gave up waiting until {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
