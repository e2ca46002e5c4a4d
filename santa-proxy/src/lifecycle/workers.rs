//! The worker threads: starting them and waiting for their end.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::watch;

use crate::client_limits::ClientLimits;
use crate::control_state::ControlState;
use crate::listeners::PublicListener;
use crate::log::sink::{Level, Sink};
use crate::metrics::WorkerMetrics;
use crate::server::run::{self, WorkerConfig};
use crate::server::worker::Shared;

/// The worker threads, and how each of them ended.
#[derive(Debug)]
pub(super) struct Workers {
    running: usize,
    ended: UnboundedReceiver<Result<()>>,
}

/// Starts one worker for each of `metrics`.
///
/// # Errors
/// When there are no descriptors or threads left.
pub(super) fn start(
    public: &[PublicListener],
    control: &watch::Receiver<ControlState>,
    metrics: &[Arc<WorkerMetrics>],
    sink: &Sink,
) -> Result<Workers> {
    let (ended, receiver) = unbounded_channel();
    let shared = Shared {
        sink: sink.clone(),
        connections: Arc::new(AtomicUsize::new(0)),
        client_limits: ClientLimits::new(),
        workers: metrics.len(),
    };
    for (number, metrics) in metrics.iter().enumerate() {
        let config = WorkerConfig {
            listeners: public.iter().map(PublicListener::duplicate).collect::<Result<_>>()?,
            state: control.clone(),
            metrics: Arc::clone(metrics),
            shared: shared.clone(),
        };
        let report = EndReport { ended: ended.clone(), outcome: None };
        thread::Builder::new()
            .name(format!("worker-{number}"))
            .spawn(move || report.of(|| run::run(config)))
            .context("starting a worker thread")?;
    }
    Ok(Workers { running: metrics.len(), ended: receiver })
}

impl Workers {
    /// The end of the next one; nothing when none is left.
    pub(super) async fn next_end(&mut self) -> Option<Result<()>> {
        let ended = self.ended.recv().await?;
        self.running -= 1;
        Some(ended)
    }

    /// Waits at most `limit` for all workers to drain.
    pub(super) async fn join(mut self, limit: Duration, sink: &Sink) {
        let all = async {
            while self.running > 0 {
                match self.next_end().await {
                    Some(Ok(())) => {}
                    Some(Err(error)) => log_failure(&error, sink),
                    None => return,
                }
            }
        };
        if tokio::time::timeout(limit, all).await.is_err() {
            sink.log(Level::Warning, "drain timed out; closing the remaining connections", &[]);
        }
    }
}

fn log_failure(error: &anyhow::Error, sink: &Sink) {
    sink.log(Level::Error, "worker thread failed", &[("error", &format!("{error:#}"))]);
}

/// Reports how a worker thread ended, even when it panicked.
struct EndReport {
    ended: UnboundedSender<Result<()>>,
    outcome: Option<Result<()>>,
}

impl EndReport {
    /// Does the work of a thread.
    fn of(mut self, work: impl FnOnce() -> Result<()>) {
        self.outcome = Some(work());
    }
}

impl Drop for EndReport {
    fn drop(&mut self) {
        let outcome = self.outcome.take().unwrap_or_else(|| Err(anyhow!("it panicked")));
        // At the end of the process the receiver is already gone.
        let _ = self.ended.send(outcome);
    }
}
