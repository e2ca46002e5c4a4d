//! What the main thread waits for: signals, and the timer for checking files.

use std::task::{Context, Poll};
use std::time::Duration;

use tokio::signal::unix::{self, SignalKind, signal};
use tokio::time::{Interval, interval};

/// How soon files that changed while they were read are checked again.
const UNSETTLED: Duration = Duration::from_secs(1);

/// What a signal or the timer asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Signal {
    /// SIGTERM or SIGINT.
    Stop,
    /// SIGHUP.
    Reload,
    /// It is time to check whether files have changed.
    CheckFiles,
}

/// The signal handlers and the timer.
#[derive(Debug)]
pub(super) struct Signals {
    terminate: unix::Signal,
    interrupt: unix::Signal,
    hangup: unix::Signal,
    checks: Option<Interval>,
}

impl Signals {
    /// Signals, and a check of the files every `watch` unless that is zero.
    pub(super) fn new(watch: Duration) -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
            checks: (!watch.is_zero()).then(|| interval(watch)),
        })
    }

    /// Checks the files every `watch`; soon in any case when they are `unsettled`.
    pub(super) fn check_files_every(&mut self, watch: Duration, unsettled: bool) {
        let every = if watch.is_zero() && unsettled { UNSETTLED } else { watch };
        self.checks = (!every.is_zero()).then(|| interval(every));
    }

    /// The next one; a stop before all else.
    pub(super) fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Signal> {
        let stop = self.terminate.poll_recv(context).is_ready()
            | self.interrupt.poll_recv(context).is_ready();
        if stop {
            return Poll::Ready(Signal::Stop);
        }
        if self.hangup.poll_recv(context).is_ready() {
            return Poll::Ready(Signal::Reload);
        }
        match &mut self.checks {
            Some(checks) => checks.poll_tick(context).map(|_| Signal::CheckFiles),
            None => Poll::Pending,
        }
    }
}
