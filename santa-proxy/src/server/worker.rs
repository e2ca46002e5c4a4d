//! One worker: a thread with a runtime of its own that shares nothing with the
//! others on the way of a request. Holds the worker's state; `accept` fills it
//! with connections.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout_at};

use super::accept;
use super::limiter::ConcurrencyLimiter;
use super::seats::Seats;
use super::share::FairShare;
use crate::addresses::Addresses;
use crate::generation::Generation;
use crate::http::bytes::push_hex_padded;
use crate::http::date;
use crate::inherit::Public;
use crate::log::sink::{Level, Sink};
use crate::metrics::WorkerMetrics;
use crate::upstream::pool::Backend;
use crate::upstream::standing::Drained;

/// Log lines are handed to the writing thread when this much has gathered…
const LOG_BATCH: usize = 64 * 1024;
/// …or after this long.
const LOG_DELAY: Duration = Duration::from_millis(20);
/// How often idle backend connections are looked through, while there are any.
const SWEEP: Duration = Duration::from_secs(1);
/// At most one notice of a kind in this time from each worker.
const NOTICE_EVERY: Duration = Duration::from_secs(1);

/// What the main thread tells the workers.
#[derive(Debug, Clone)]
pub(crate) struct Orders {
    /// Settings and content to use from now on.
    pub(crate) generation: Arc<Generation>,
    /// Instances of the backend that are to get no further requests.
    pub(crate) drained: Arc<Drained>,
    /// Whether to finish and end.
    pub(crate) draining: bool,
}

/// What a worker is started with.
#[derive(Debug)]
pub(crate) struct Start {
    /// The public listeners, descriptors of this worker's own.
    pub(crate) listeners: Vec<Public>,
    /// From the main thread.
    pub(crate) orders: watch::Receiver<Orders>,
    /// To standard output.
    pub(crate) sink: Sink,
    /// Counters, also read by the admin listener.
    pub(crate) metrics: Arc<WorkerMetrics>,
    /// Connections of all workers, against the limit.
    pub(crate) connections: Arc<AtomicUsize>,
    /// What each client address does, at all workers.
    pub(crate) addresses: Arc<Addresses>,
    /// How many workers there are.
    pub(crate) workers: usize,
}

/// A generation and this worker's own connections to its backends.
#[derive(Debug)]
pub(crate) struct Local {
    /// Settings and content.
    pub(crate) shared: Arc<Generation>,
    /// The backend.
    pub(crate) api: Rc<Backend>,
    /// The development server of the console.
    pub(crate) console: Option<Rc<Backend>>,
}

/// When a notice was given last, and how often it was not since.
#[derive(Debug)]
struct Told {
    last: Option<Instant>,
    untold: u64,
}

/// The state of one worker.
#[derive(Debug)]
pub(crate) struct Worker {
    local: RefCell<Rc<Local>>,
    /// Open connections.
    pub(crate) seats: Rc<Seats>,
    /// Counters.
    pub(crate) metrics: Arc<WorkerMetrics>,
    /// Connections of all workers.
    pub(crate) connections: Arc<AtomicUsize>,
    /// What each client address does, at all workers.
    pub(crate) addresses: Arc<Addresses>,
    /// How many requests the backend is given at a time.
    pub(crate) limiter: Rc<ConcurrencyLimiter>,
    /// Memory for bodies that are on their way, and requests that wait.
    pub(crate) body_memory: RefCell<FairShare>,
    workers: usize,
    draining: Cell<bool>,
    sink: Sink,
    lines: RefCell<Vec<u8>>,
    line_count: Cell<u64>,
    date: RefCell<(u64, Rc<str>)>,
    next_id: Cell<u64>,
    id_seed: u64,
    notices: RefCell<HashMap<&'static str, Told>>,
    sweeping: Cell<bool>,
}

/// Runs a worker on the present thread until it has drained.
///
/// # Errors
/// When the runtime or the listener cannot be set up.
pub(crate) fn run(start: Start) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .enable_time()
        .build_local(tokio::runtime::LocalOptions::default())
        .context("setting up a worker's runtime")?;
    runtime.block_on(serve(start))
}

async fn serve(start: Start) -> Result<()> {
    let (worker, listeners, mut orders) = Worker::new(start);
    let mut accepting = Vec::new();
    for Public { listener, entrance } in listeners {
        let listener = tokio::net::TcpListener::from_std(listener)
            .context("taking a public listener into the worker")?;
        let loop_of_one = accept::run(Rc::clone(&worker), listener, entrance);
        accepting.push(tokio::task::spawn_local(loop_of_one));
    }
    while orders.changed().await.is_ok() {
        let latest = orders.borrow_and_update().clone();
        let draining = latest.draining;
        worker.adopt(latest);
        if draining {
            break;
        }
    }
    worker.draining.set(true);
    for task in accepting {
        task.abort();
        // The listener is closed once its task is gone.
        let _ = task.await;
    }
    worker.drain().await;
    worker.flush();
    Ok(())
}

impl Worker {
    fn new(start: Start) -> (Rc<Self>, Vec<Public>, watch::Receiver<Orders>) {
        let Start { listeners, mut orders, sink, metrics, connections, addresses, workers } = start;
        let first = orders.borrow_and_update().clone();
        let local = Local {
            api: Rc::new(Backend::new(&first.generation.api, &metrics)),
            console: first.generation.console.as_ref().map(|at| console_backend(at, &metrics)),
            shared: Arc::clone(&first.generation),
        };
        let worker = Self {
            local: RefCell::new(Rc::new(local)),
            seats: Rc::default(),
            metrics,
            connections,
            addresses,
            limiter: ConcurrencyLimiter::new(),
            body_memory: RefCell::new(FairShare::new(0)),
            workers,
            draining: Cell::new(first.draining),
            sink,
            lines: RefCell::default(),
            line_count: Cell::new(0),
            date: RefCell::new((0, Rc::from(date::format(0)))),
            next_id: Cell::new(0),
            id_seed: random(),
            notices: RefCell::default(),
            sweeping: Cell::new(false),
        };
        worker.adjust_limits();
        worker.local().api.drain(&first.drained);
        (Rc::new(worker), listeners, orders)
    }

    /// Takes this worker's part of what all of them together may have.
    fn adjust_limits(&self) {
        let share = |most: usize| most.div_ceil(self.workers);
        let count = |most: u32| share(usize::try_from(most).unwrap_or(usize::MAX));
        let local = self.local();
        let limits = &local.shared.limits;
        self.limiter.adjust(count(limits.upstream_requests), count(limits.queue));
        self.body_memory.borrow_mut().set_most(share(limits.body_memory.bytes()));
    }

    /// The generation in use; a request keeps the one it began with.
    pub(crate) fn local(&self) -> Rc<Local> {
        Rc::clone(&self.local.borrow())
    }

    /// Whether connections are to be closed after their present request.
    pub(crate) fn is_draining(&self) -> bool {
        self.draining.get()
    }

    /// Does what the main thread says, but for the draining.
    fn adopt(&self, orders: Orders) {
        if !Arc::ptr_eq(&self.local().shared, &orders.generation) {
            self.take_over(orders.generation);
        }
        self.local().api.drain(&orders.drained);
    }

    /// Takes over a new generation; connections to unchanged backends are kept.
    fn take_over(&self, new: Arc<Generation>) {
        let old = self.local();
        let api = if new.api == old.shared.api {
            Rc::clone(&old.api)
        } else {
            Rc::new(Backend::new(&new.api, &self.metrics))
        };
        let console = if new.console == old.shared.console {
            old.console.clone()
        } else {
            new.console.as_ref().map(|at| console_backend(at, &self.metrics))
        };
        *self.local.borrow_mut() = Rc::new(Local { shared: new, api, console });
        self.adjust_limits();
    }

    async fn drain(&self) {
        let deadline = Instant::now() + self.local().shared.timeouts.drain;
        self.seats.wake();
        if timeout_at(deadline, self.seats.emptied()).await.is_err() {
            self.seats.end(|_| true);
            // Lets the ended tasks say so in the log.
            tokio::task::yield_now().await;
        }
    }

    /// Seconds since 1970 and the value of `Date`.
    pub(crate) fn now(&self) -> (u64, Rc<str>) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let mut cached = self.date.borrow_mut();
        if cached.0 != now {
            *cached = (now, Rc::from(date::format(now)));
        }
        (now, Rc::clone(&cached.1))
    }

    /// An identifier that no other request has.
    pub(crate) fn request_id(&self) -> String {
        let number = self.next_id.get();
        self.next_id.set(number.wrapping_add(1));
        let mut id = String::with_capacity(32);
        push_hex_padded(&mut id, self.id_seed);
        push_hex_padded(&mut id, mix(self.id_seed ^ mix(number)));
        id
    }

    /// Adds a line to the log.
    pub(crate) fn log(self: &Rc<Self>, write: impl FnOnce(&mut Vec<u8>)) {
        let length = {
            let mut lines = self.lines.borrow_mut();
            write(&mut lines);
            lines.len()
        };
        let count = self.line_count.get();
        self.line_count.set(count + 1);
        if length >= LOG_BATCH {
            self.flush();
        } else if count == 0 {
            let worker = Rc::clone(self);
            tokio::task::spawn_local(async move {
                sleep(LOG_DELAY).await;
                worker.flush();
            });
        }
    }

    fn flush(&self) {
        let count = self.line_count.replace(0);
        if count > 0 {
            let lines = self.lines.replace(self.sink.buffer());
            self.sink.send(lines, count);
        }
    }

    /// Tells of something that may happen to every request, at most once a second,
    /// and how often it went untold meanwhile.
    pub(crate) fn notice(&self, level: Level, message: &'static str, fields: &[(&str, &str)]) {
        let now = Instant::now();
        let mut notices = self.notices.borrow_mut();
        let told = notices.entry(message).or_insert(Told { last: None, untold: 0 });
        if told.last.is_some_and(|last| now < last + NOTICE_EVERY) {
            told.untold += 1;
            return;
        }
        let untold = std::mem::take(&mut told.untold).to_string();
        told.last = Some(now);
        let count = [("untold", untold.as_str())];
        let fields = [fields, if untold == "0" { &[] } else { &count }].concat();
        self.sink.notice(level, message, &fields);
    }

    /// Closes idle backend connections in time, for as long as there are any.
    pub(crate) fn sweep_later(self: &Rc<Self>) {
        if self.sweeping.replace(true) {
            return;
        }
        let worker = Rc::clone(self);
        tokio::task::spawn_local(async move {
            loop {
                sleep(SWEEP).await;
                let local = worker.local();
                let mut left = local.api.sweep();
                left |= local.console.as_ref().is_some_and(|console| console.sweep());
                if !left {
                    break;
                }
            }
            worker.sweeping.set(false);
        });
    }
}

fn console_backend(address: &santa_config::Address, metrics: &WorkerMetrics) -> Rc<Backend> {
    Rc::new(Backend::new(std::slice::from_ref(address), metrics))
}

/// Random bits from the seeds of the standard library's hash maps.
fn random() -> u64 {
    use std::hash::{BuildHasher, Hasher};
    std::collections::hash_map::RandomState::new().build_hasher().finish()
}

/// The finaliser of SplitMix64: one to one, and no two inputs look related.
fn mix(number: u64) -> u64 {
    let number = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let number = (number ^ number >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ number >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ number >> 31
}
