//! From start to end on the main thread: bind, start the workers, wait for
//! signals, reload, drain.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::task::Poll;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Context, Result};
use santa_config::{Config, Mistakes, process_env};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tokio::time::{Interval, interval};

use crate::addresses::Addresses;
use crate::admin::Admin;
use crate::generation::Generation;
use crate::inherit::{self, Public};
use crate::log::sink::{Level, Sink};
use crate::metrics::WorkerMetrics;
use crate::notify;
use crate::resident;
use crate::server::worker::{self, Orders, Start};
use crate::upstream::standing;
use crate::watch::{Look, Watch};

/// Time beyond the drain for the workers to notice and end.
const MARGIN: Duration = Duration::from_secs(1);
/// Longest the last log lines are waited for.
const LAST_LINES: Duration = Duration::from_millis(500);

/// How soon files are looked at again that changed while they were read.
const UNSETTLED: Duration = Duration::from_secs(1);

/// Why serving did not begin or ended badly.
#[derive(Debug)]
pub enum Failure {
    /// Mistakes in the configuration.
    Config(Mistakes),
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
    let config = santa_config::load(path, &process_env()).map_err(Failure::Config)?;
    inherit::check(&config)?;
    Generation::load(&config)?;
    Ok(())
}

/// Serves until a signal asks to stop.
///
/// # Errors
/// When serving cannot begin.
pub fn serve(path: &Path) -> Result<(), Failure> {
    let env = process_env();
    let config = santa_config::load(path, &env).map_err(Failure::Config)?;
    let paths = watched(path, &config);
    let look = Look::at(&paths);
    let watch = Watch::new(paths, look);
    let generation = Arc::new(Generation::load(&config)?);
    let public = inherit::public(&config, &env)?;
    let sink = Sink::start().context("starting the log thread")?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build_local(tokio::runtime::LocalOptions::default())
        .context("setting up the main runtime")?;
    let outcome = runtime.block_on(run(path, &config, (generation, watch), public, &sink));
    sink.flush(LAST_LINES);
    Ok(outcome?)
}

async fn run(
    path: &Path,
    config: &Config,
    (generation, mut watch): (Arc<Generation>, Watch),
    public: Vec<Public>,
    sink: &Sink,
) -> Result<()> {
    let mut signals = Signals::new(config.proxy.watch).context("watching for signals")?;
    let count = worker_count(config.proxy.workers);
    let metrics: Arc<[Arc<WorkerMetrics>]> = (0..count).map(|_| Arc::default()).collect();
    let admin = match config.admin.listen {
        Some(address) => {
            let control = config.supervisor.control_socket.clone();
            Some(Admin::bind(address, Arc::clone(&metrics), sink.clone(), control)?)
        }
        None => None,
    };
    if let Some(admin) = admin {
        tokio::task::spawn_local(admin.run());
    }
    let drain = generation.timeouts.drain;
    let addresses: Vec<String> = public
        .iter()
        .map(|public| public.listener.local_addr().map(|address| address.to_string()))
        .collect::<Result<_, _>>()
        .context("reading a public address")?;
    let files = generation.site.as_ref().map_or(0, crate::assets::Site::len);
    let (orders, receiver) =
        watch::channel(Orders { generation, drained: Arc::default(), draining: false });
    let control = config.supervisor.control_socket.clone();
    tokio::task::spawn_local(standing::follow(control, orders.clone(), sink.clone()));
    let workers = start_workers(&public, &receiver, &metrics, sink)?;
    drop(public);
    sink.notice(
        Level::Info,
        "serving",
        &[
            ("address", &addresses[0]),
            ("tls_address", addresses.get(1).map_or("", String::as_str)),
            ("workers", &count.to_string()),
            ("files", &files.to_string()),
        ],
    );
    if let Err(error) = notify::ready() {
        sink.notice(Level::Warning, "cannot tell the supervisor", &[("error", &error.to_string())]);
    }
    resident::give_back();
    loop {
        match signals.next().await {
            Event::Stop => break,
            Event::Look if !watch.is_due(watch.look()) => {}
            Event::Look | Event::Reload => {
                let whole = reload(path, &orders, &mut watch, sink);
                signals.look_every(config.proxy.watch, !whole);
                resident::give_back();
            }
        }
    }
    sink.notice(Level::Info, "stopping", &[]);
    orders.send_modify(|orders| orders.draining = true);
    join(workers, drain + MARGIN, sink).await;
    sink.notice(Level::Info, "stopped", &[]);
    Ok(())
}

fn worker_count(configured: u32) -> usize {
    match usize::try_from(configured) {
        Ok(count) if count > 0 => count,
        _ => thread::available_parallelism().map_or(1, std::num::NonZero::get),
    }
}

fn start_workers(
    public: &[Public],
    orders: &watch::Receiver<Orders>,
    metrics: &[Arc<WorkerMetrics>],
    sink: &Sink,
) -> Result<Vec<JoinHandle<Result<()>>>> {
    let connections = Arc::new(AtomicUsize::new(0));
    let (addresses, workers) = (Addresses::new(), metrics.len());
    let start_one = |(number, metrics): (usize, &Arc<WorkerMetrics>)| {
        let start = Start {
            listeners: public.iter().map(Public::duplicate).collect::<Result<_>>()?,
            orders: orders.clone(),
            sink: sink.clone(),
            metrics: Arc::clone(metrics),
            connections: Arc::clone(&connections),
            addresses: Arc::clone(&addresses),
            workers,
        };
        thread::Builder::new()
            .name(format!("worker-{number}"))
            .spawn(move || worker::run(start))
            .context("starting a worker thread")
    };
    metrics.iter().enumerate().map(start_one).collect()
}

/// The files whose change is noticed.
fn watched(file: &Path, config: &Config) -> Vec<PathBuf> {
    let mut paths = crate::tls::files(&config.proxy.tls);
    paths.push(file.to_owned());
    if config.proxy.console.upstream.is_none() {
        paths.push(config.paths.www.clone());
    }
    paths
}

/// Reads configuration and files again; keeps the present ones when that fails.
/// Gives false when files changed meanwhile and must be read once more.
fn reload(path: &Path, orders: &watch::Sender<Orders>, watch: &mut Watch, sink: &Sink) -> bool {
    let mut files = None;
    let loaded = santa_config::load(path, &process_env())
        .map_err(|mistakes| anyhow::anyhow!("{mistakes}"))
        .and_then(|config| {
            let paths = watched(path, &config);
            let before = Look::at(&paths);
            let loaded = Generation::load(&config);
            let after = Look::at(&paths);
            files = Some((paths, before, after));
            loaded
        });
    let settle = |(paths, before, after)| watch.settle(paths, before, after);
    let whole = files.is_none_or(settle);
    match loaded {
        Ok(_) if !whole => {
            let text = "files changed while they were read; they are read again shortly";
            sink.notice(Level::Info, text, &[]);
        }
        Ok(generation) => {
            let files = generation.site.as_ref().map_or(0, crate::assets::Site::len).to_string();
            orders.send_modify(|orders| orders.generation = Arc::new(generation));
            sink.notice(Level::Info, "reloaded", &[("files", &files)]);
        }
        Err(error) => {
            let error = format!("{error:#}");
            let text = "reload failed; serving goes on with what was there before";
            sink.notice(Level::Error, text, &[("error", &error)]);
        }
    }
    whole
}

/// Waits for the workers to drain; gives up on those that do not in time.
async fn join(workers: Vec<JoinHandle<Result<()>>>, limit: Duration, sink: &Sink) {
    let all_done = async {
        while !workers.iter().all(JoinHandle::is_finished) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let in_time = tokio::time::timeout(limit, all_done).await.is_ok();
    if !in_time {
        sink.notice(Level::Warning, "workers did not drain in time", &[]);
        return;
    }
    for worker in workers {
        if let Ok(Err(error)) = worker.join() {
            sink.notice(Level::Error, "a worker failed", &[("error", &format!("{error:#}"))]);
        }
    }
}

/// What a signal asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Event {
    Reload,
    Look,
    Stop,
}

struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
    looks: Option<Interval>,
}

impl Signals {
    /// Signals, and a look at the files every `watch`.
    fn new(watch: Duration) -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
            looks: (!watch.is_zero()).then(|| interval(watch)),
        })
    }

    /// Looks at the files every `watch`; soon in any case when one `must`.
    fn look_every(&mut self, watch: Duration, must: bool) {
        let every = if watch.is_zero() && must { UNSETTLED } else { watch };
        self.looks = (!every.is_zero()).then(|| interval(every));
    }

    async fn next(&mut self) -> Event {
        std::future::poll_fn(|context| {
            let stop = self.terminate.poll_recv(context).is_ready()
                | self.interrupt.poll_recv(context).is_ready();
            if stop {
                return Poll::Ready(Event::Stop);
            }
            if self.hangup.poll_recv(context).is_ready() {
                return Poll::Ready(Event::Reload);
            }
            match &mut self.looks {
                Some(looks) => looks.poll_tick(context).map(|_| Event::Look),
                None => Poll::Pending,
            }
        })
        .await
    }
}
