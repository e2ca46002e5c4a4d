//! From start to end on the main thread: bind, start the workers, wait for
//! signals, have files read again, drain. Nothing here may block.

use std::future::poll_fn;
use std::path::Path;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::task::{Context, Poll};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow};
use santa_config::{Config, Mistakes, process_env};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::watch;
use tokio::time::{Interval, interval};

use crate::addresses::Addresses;
use crate::admin::Admin;
use crate::generation::Generation;
use crate::inherit::{self, Public};
use crate::log::sink::{Level, Sink};
use crate::metrics::WorkerMetrics;
use crate::notify;
use crate::reload::{self, Outcome, Reloader, Task};
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
    let config = santa_config::load_shared(path, &process_env()).map_err(Failure::Config)?;
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
    let config = santa_config::load_shared(path, &env).map_err(Failure::Config)?;
    let paths = reload::watched(path, &config);
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
    (generation, watch): (Arc<Generation>, Watch),
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
    let mut workers = start_workers(&public, &receiver, &metrics, sink)?;
    let mut reloader = Reloader::start(path, watch, orders.clone(), sink.clone())?;
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
    let mut failure = None;
    loop {
        match next_event(&mut signals, &mut reloader, &mut workers).await {
            Event::Stop => break,
            Event::Look => reloader.ask(Task::Look),
            Event::Reload => reloader.ask(Task::Reload),
            Event::Done(Outcome::Unchanged) => {}
            Event::Done(outcome) => {
                signals.look_every(config.proxy.watch, outcome == Outcome::Unsettled);
            }
            // Whoever started this process starts a whole one again.
            Event::Ended(ended) => {
                failure = Some(ended.err().unwrap_or_else(|| anyhow!("it exited unexpectedly")));
                break;
            }
        }
    }
    orders.send_modify(|orders| orders.draining = true);
    sink.notice(Level::Info, "stopping", &[]);
    workers.join(drain + MARGIN, sink).await;
    sink.notice(Level::Info, "stopped", &[]);
    match failure {
        Some(error) => Err(error.context("a worker ended while it was to serve")),
        None => Ok(()),
    }
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
) -> Result<Workers> {
    let (ended, receiver) = unbounded_channel();
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
        let end = End { ended: ended.clone(), outcome: None };
        thread::Builder::new()
            .name(format!("worker-{number}"))
            .spawn(move || end.of(|| worker::run(start)))
            .context("starting a worker thread")
    };
    for worker in metrics.iter().enumerate() {
        start_one(worker)?;
    }
    Ok(Workers { left: workers, ended: receiver })
}

/// The worker threads, and how each of them ended.
struct Workers {
    left: usize,
    ended: UnboundedReceiver<Result<()>>,
}

impl Workers {
    /// The next one that ends; nothing when none is left.
    async fn next_end(&mut self) -> Option<Result<()>> {
        let ended = self.ended.recv().await?;
        self.left -= 1;
        Some(ended)
    }

    /// Waits for the workers to drain; gives up on those that do not in time.
    async fn join(mut self, limit: Duration, sink: &Sink) {
        let all = async {
            while self.left > 0 {
                match self.next_end().await {
                    Some(Ok(())) => {}
                    Some(Err(error)) => tell_failure(&error, sink),
                    None => return,
                }
            }
        };
        if tokio::time::timeout(limit, all).await.is_err() {
            sink.notice(Level::Warning, "workers did not drain in time", &[]);
        }
    }
}

fn tell_failure(error: &anyhow::Error, sink: &Sink) {
    sink.notice(Level::Error, "a worker failed", &[("error", &format!("{error:#}"))]);
}

/// Tells how a worker ended, also when it panicked.
struct End {
    ended: UnboundedSender<Result<()>>,
    outcome: Option<Result<()>>,
}

impl End {
    /// Does the work of a thread.
    fn of(mut self, work: impl FnOnce() -> Result<()>) {
        self.outcome = Some(work());
    }
}

impl Drop for End {
    fn drop(&mut self) {
        let outcome = self.outcome.take().unwrap_or_else(|| Err(anyhow!("it panicked")));
        // Nobody listens any more when the process ends.
        let _ = self.ended.send(outcome);
    }
}

/// What the main thread acts on.
#[derive(Debug)]
enum Event {
    Reload,
    Look,
    Stop,
    /// The files were looked at or read.
    Done(Outcome),
    /// A worker ended although nobody asked it to.
    Ended(Result<()>),
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
        if let Poll::Ready(event) = signals.poll_next(context) {
            return Poll::Ready(event);
        }
        if let Poll::Ready(outcome) = outcome.as_mut().poll(context) {
            return Poll::Ready(Event::Done(outcome));
        }
        match ended.as_mut().poll(context) {
            Poll::Ready(Some(ended)) => Poll::Ready(Event::Ended(ended)),
            _ => Poll::Pending,
        }
    })
    .await
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

    fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Event> {
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
    }
}
