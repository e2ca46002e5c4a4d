//! Runs one worker on its own thread and runtime: accept, follow the main thread's
//! state, drain.

use std::rc::Rc;
use std::sync::Arc;

use anyhow::{Context, Result};
use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};

use super::accept;
use super::worker::{Shared, Worker};
use crate::control_state::ControlState;
use crate::listeners::PublicListener;
use crate::metrics::WorkerMetrics;

/// What a worker is started with.
#[derive(Debug)]
pub(crate) struct WorkerConfig {
    /// The public listeners, with this worker's own descriptors.
    pub(crate) listeners: Vec<PublicListener>,
    /// From the main thread.
    pub(crate) state: watch::Receiver<ControlState>,
    /// This worker's counters.
    pub(crate) metrics: Arc<WorkerMetrics>,
    /// In common with the other workers.
    pub(crate) shared: Shared,
}

/// Runs a worker on the current thread until it has drained.
///
/// # Errors
/// When the runtime or a listener cannot be set up.
pub(crate) fn run(config: WorkerConfig) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .enable_time()
        .build_local(tokio::runtime::LocalOptions::default())
        .context("setting up a worker's runtime")?;
    runtime.block_on(serve(config))
}

async fn serve(config: WorkerConfig) -> Result<()> {
    let WorkerConfig { listeners, mut state, metrics, shared } = config;
    let worker = Worker::new(&state.borrow_and_update().clone(), metrics, shared);
    let mut accepting = Vec::new();
    for PublicListener { listener, kind } in listeners {
        let listener = tokio::net::TcpListener::from_std(listener)
            .context("registering a public listener with the worker's runtime")?;
        let task = accept::run(Rc::clone(&worker), listener, kind);
        accepting.push(tokio::task::spawn_local(task));
    }
    while state.changed().await.is_ok() {
        let latest = state.borrow_and_update().clone();
        let draining = latest.draining;
        worker.apply(latest);
        if draining {
            break;
        }
    }
    worker.start_draining();
    for task in accepting {
        task.abort();
        // The listener is closed once its task is gone.
        let _ = task.await;
    }
    drain(&worker).await;
    worker.flush_access_log();
    Ok(())
}

async fn drain(worker: &Worker) {
    let deadline = Instant::now() + worker.snapshot().shared.timeouts.drain;
    worker.table.wake_all();
    if timeout_at(deadline, worker.table.wait_until_empty()).await.is_err() {
        worker.table.abort_all();
        // Lets the aborted tasks write their log lines.
        tokio::task::yield_now().await;
    }
}
