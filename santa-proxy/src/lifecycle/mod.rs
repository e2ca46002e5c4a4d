//! From start to end, on the main thread: bind, start the workers, wait for signals, have
//! files reloaded, drain. Nothing here may block.

mod admin;
mod backend_metrics;
mod file_pages;
mod file_watch;
mod instance_health;
mod reload;
mod sd_notify;
mod signals;
mod supervisor_client;
mod workers;

use std::future::poll_fn;
use std::path::Path;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow};
use santa_config::{Config, Diagnostics, process_env};
use tokio::sync::watch;

use self::admin::Admin;
use self::file_watch::{FileState, FileWatch};
use self::reload::{Outcome, Reloader, Task};
use self::signals::{Signal, Signals};
use self::workers::Workers;
use crate::control_state::ControlState;
use crate::listeners::{self, PublicListener};
use crate::log::sink::{Level, Sink};
use crate::metrics::WorkerMetrics;
use crate::snapshot::Snapshot;

/// Time beyond the drain timeout for the workers to notice and end.
const DRAIN_MARGIN: Duration = Duration::from_secs(1);
/// How long the last log lines may take to be written.
const FLUSH_TIMEOUT: Duration = Duration::from_millis(500);

/// Why serving did not begin or ended badly.
#[derive(Debug)]
pub enum Failure {
    /// Errors in the configuration.
    Config(Diagnostics),
    /// Everything else.
    Other(anyhow::Error),
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self::Other(error)
    }
}

/// Checks the configuration and the console's files.
///
/// # Errors
/// What is wrong with them.
pub fn check(path: &Path) -> Result<(), Failure> {
    let config = santa_config::load_shared(path, &process_env()).map_err(Failure::Config)?;
    listeners::check(&config)?;
    Snapshot::load(&config)?;
    Ok(())
}

/// Serves until a signal asks to stop.
///
/// # Errors
/// When serving cannot begin.
pub fn serve(path: &Path) -> Result<(), Failure> {
    let env = process_env();
    let config = santa_config::load_shared(path, &env).map_err(Failure::Config)?;
    let paths = reload::watched_files(path, &config);
    let state = FileState::of(&paths);
    let watch = FileWatch::new(paths, state);
    let snapshot = Arc::new(Snapshot::load(&config)?);
    let public = listeners::public(&config, &env)?;
    let sink = Sink::start().context("starting the log thread")?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build_local(tokio::runtime::LocalOptions::default())
        .context("setting up the main runtime")?;
    let outcome = runtime.block_on(run(path, &config, (snapshot, watch), public, &sink));
    sink.flush(FLUSH_TIMEOUT);
    Ok(outcome?)
}

async fn run(
    path: &Path,
    config: &Config,
    (snapshot, watch): (Arc<Snapshot>, FileWatch),
    public: Vec<PublicListener>,
    sink: &Sink,
) -> Result<()> {
    let mut signals = Signals::new(config.proxy.watch).context("registering signal handlers")?;
    let count = worker_count(config.proxy.workers);
    let metrics: Arc<[Arc<WorkerMetrics>]> = (0..count).map(|_| Arc::default()).collect();
    let control_socket = &config.supervisor.control_socket;
    let mut admin_address = String::new();
    if let Some(address) = config.admin.listen {
        let admin =
            Admin::bind(address, Arc::clone(&metrics), sink.clone(), control_socket.clone())?;
        admin_address = admin.address()?.to_string();
        tokio::task::spawn_local(admin.run());
    }
    let drain = snapshot.timeouts.drain;
    let addresses: Vec<String> = public
        .iter()
        .map(|public| public.listener.local_addr().map(|address| address.to_string()))
        .collect::<Result<_, _>>()
        .context("reading the address of a public listener")?;
    let files = snapshot.site.as_ref().map_or(0, crate::assets::Site::len);
    let (control, receiver) =
        watch::channel(ControlState { snapshot, drained: Arc::default(), draining: false });
    let following = instance_health::follow(control_socket.clone(), control.clone(), sink.clone());
    tokio::task::spawn_local(following);
    let mut workers = workers::start(&public, &receiver, &metrics, sink)?;
    let mut reloader = Reloader::start(path, watch, control.clone(), sink.clone())?;
    drop(public);
    sink.log(
        Level::Info,
        "serving",
        &[
            ("address", &addresses[0]),
            ("tls_address", addresses.get(1).map_or("", String::as_str)),
            ("admin_address", &admin_address),
            ("workers", &count.to_string()),
            ("files", &files.to_string()),
        ],
    );
    if let Err(error) = sd_notify::ready() {
        let text = "cannot notify santa-supervise that this process is ready";
        sink.log(Level::Warning, text, &[("error", &error.to_string())]);
    }
    file_pages::drop_file_pages();
    let mut failure = None;
    loop {
        match next_event(&mut signals, &mut reloader, &mut workers).await {
            Event::Signal(Signal::Stop) => break,
            Event::Signal(Signal::CheckFiles) => reloader.request(Task::CheckFiles),
            Event::Signal(Signal::Reload) => reloader.request(Task::Reload),
            Event::Reloaded(Outcome::Unchanged) => {}
            Event::Reloaded(outcome) => {
                signals.check_files_every(config.proxy.watch, outcome == Outcome::Unsettled);
            }
            // The supervisor starts a new process.
            Event::WorkerEnded(ended) => {
                failure = Some(ended.err().unwrap_or_else(|| anyhow!("it exited unexpectedly")));
                break;
            }
        }
    }
    control.send_modify(|control| control.draining = true);
    sink.log(Level::Info, "stopping", &[]);
    workers.join(drain + DRAIN_MARGIN, sink).await;
    sink.log(Level::Info, "stopped", &[]);
    match failure {
        Some(error) => Err(error.context("a worker thread ended while serving")),
        None => Ok(()),
    }
}

fn worker_count(configured: u32) -> usize {
    match usize::try_from(configured) {
        Ok(count) if count > 0 => count,
        _ => thread::available_parallelism().map_or(1, std::num::NonZero::get),
    }
}

/// What the main thread acts on.
#[derive(Debug)]
enum Event {
    Signal(Signal),
    /// A task of the reloader is done.
    Reloaded(Outcome),
    /// A worker ended although it was not asked to.
    WorkerEnded(Result<()>),
}

/// Whatever comes first; a signal before all else.
async fn next_event(
    signals: &mut Signals,
    reloader: &mut Reloader,
    workers: &mut Workers,
) -> Event {
    let mut outcome = pin!(reloader.outcome());
    let mut ended = pin!(workers.next_end());
    poll_fn(|context| {
        if let Poll::Ready(signal) = signals.poll_next(context) {
            return Poll::Ready(Event::Signal(signal));
        }
        if let Poll::Ready(outcome) = outcome.as_mut().poll(context) {
            return Poll::Ready(Event::Reloaded(outcome));
        }
        match ended.as_mut().poll(context) {
            Poll::Ready(Some(ended)) => Poll::Ready(Event::WorkerEnded(ended)),
            _ => Poll::Pending,
        }
    })
    .await
}
