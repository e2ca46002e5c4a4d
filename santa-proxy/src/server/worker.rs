//! The state of one worker, shared by all tasks of its thread. Workers share nothing
//! with each other while they serve a request, except the counts of connections, the
//! limits per client address, and the log. `run` drives a worker.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tokio::time::sleep;

use super::connection_table::ConnectionTable;
use super::fair_share::FairShare;
use super::limiter::ConcurrencyLimiter;
use super::log_throttle::LogThrottle;
use crate::client_limits::ClientLimits;
use crate::control_state::ControlState;
use crate::http::bytes::push_hex_padded;
use crate::http::date;
use crate::log::sink::{Level, Sink};
use crate::metrics::WorkerMetrics;
use crate::snapshot::Snapshot;
use crate::upstream::pool::Backend;

/// Access log lines are handed to the log thread once there are this many bytes…
const LOG_BATCH: usize = 64 * 1024;
/// …or after this long.
const LOG_DELAY: Duration = Duration::from_millis(20);
/// How often idle backend connections are checked, while there are any.
const SWEEP: Duration = Duration::from_secs(1);

/// What the workers of a process have in common.
#[derive(Debug, Clone)]
pub(crate) struct Shared {
    /// To standard output.
    pub(crate) sink: Sink,
    /// Open connections of all workers, for the limit.
    pub(crate) connections: Arc<AtomicUsize>,
    /// Connections and request rate of each client address, of all workers.
    pub(crate) client_limits: Arc<ClientLimits>,
    /// Number of workers.
    pub(crate) workers: usize,
}

/// A snapshot, and this worker's own connections to its backends.
#[derive(Debug)]
pub(crate) struct WorkerSnapshot {
    /// Settings and content.
    pub(crate) shared: Arc<Snapshot>,
    /// The backend.
    pub(crate) api: Rc<Backend>,
    /// The console's development server.
    pub(crate) console: Option<Rc<Backend>>,
}

/// The state of one worker.
#[derive(Debug)]
pub(crate) struct Worker {
    snapshot: RefCell<Rc<WorkerSnapshot>>,
    /// Open connections.
    pub(crate) table: Rc<ConnectionTable>,
    /// Counters, also read by the admin listener.
    pub(crate) metrics: Arc<WorkerMetrics>,
    /// How many requests the backend gets at a time.
    pub(crate) limiter: Rc<ConcurrencyLimiter>,
    /// Memory for request bodies and queued requests.
    pub(crate) body_memory: RefCell<FairShare>,
    /// In common with the other workers.
    pub(crate) shared: Shared,
    draining: Cell<bool>,
    lines: RefCell<Vec<u8>>,
    line_count: Cell<u64>,
    date: RefCell<(u64, Rc<str>)>,
    next_id: Cell<u64>,
    id_seed: u64,
    throttle: RefCell<LogThrottle>,
    sweeping: Cell<bool>,
}

impl Worker {
    /// A worker that follows `state`.
    pub(crate) fn new(
        state: &ControlState,
        metrics: Arc<WorkerMetrics>,
        shared: Shared,
    ) -> Rc<Self> {
        let snapshot = WorkerSnapshot {
            api: Rc::new(Backend::new(&state.snapshot.api, &metrics)),
            console: state.snapshot.console.as_ref().map(|at| console_backend(at, &metrics)),
            shared: Arc::clone(&state.snapshot),
        };
        let worker = Self {
            snapshot: RefCell::new(Rc::new(snapshot)),
            table: Rc::default(),
            metrics,
            limiter: ConcurrencyLimiter::new(),
            body_memory: RefCell::new(FairShare::new(0)),
            shared,
            draining: Cell::new(state.draining),
            lines: RefCell::default(),
            line_count: Cell::new(0),
            date: RefCell::new((0, Rc::from(date::format(0)))),
            next_id: Cell::new(0),
            id_seed: random(),
            throttle: RefCell::default(),
            sweeping: Cell::new(false),
        };
        worker.adjust_limits();
        worker.snapshot().api.drain(&state.drained);
        Rc::new(worker)
    }

    /// Follows the main thread's state, except for `draining`.
    pub(crate) fn apply(&self, state: ControlState) {
        if !Arc::ptr_eq(&self.snapshot().shared, &state.snapshot) {
            self.replace_snapshot(state.snapshot);
        }
        self.snapshot().api.drain(&state.drained);
    }

    /// Switches to a new snapshot; connections to unchanged backends are kept.
    fn replace_snapshot(&self, new: Arc<Snapshot>) {
        let old = self.snapshot();
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
        *self.snapshot.borrow_mut() = Rc::new(WorkerSnapshot { shared: new, api, console });
        self.adjust_limits();
    }

    /// Applies this worker's share of the limits that hold for all workers together.
    fn adjust_limits(&self) {
        let share = |total: usize| total.div_ceil(self.shared.workers);
        let count = |total: u32| share(usize::try_from(total).unwrap_or(usize::MAX));
        let snapshot = self.snapshot();
        let limits = &snapshot.shared.limits;
        self.limiter.adjust(count(limits.upstream_requests), count(limits.queue));
        self.body_memory.borrow_mut().set_limit(share(limits.body_memory.bytes()));
    }

    /// The current snapshot; a request keeps the one it began with.
    pub(crate) fn snapshot(&self) -> Rc<WorkerSnapshot> {
        Rc::clone(&self.snapshot.borrow())
    }

    /// Whether connections are closed after their current request.
    pub(crate) fn is_draining(&self) -> bool {
        self.draining.get()
    }

    /// From now on, connections are closed after their current request.
    pub(crate) fn start_draining(&self) {
        self.draining.set(true);
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

    /// A unique request identifier.
    pub(crate) fn request_id(&self) -> String {
        let number = self.next_id.get();
        self.next_id.set(number.wrapping_add(1));
        let mut id = String::with_capacity(32);
        push_hex_padded(&mut id, self.id_seed);
        push_hex_padded(&mut id, mix(self.id_seed ^ mix(number)));
        id
    }

    /// Adds a line to the access log.
    pub(crate) fn log_access(self: &Rc<Self>, write: impl FnOnce(&mut Vec<u8>)) {
        let length = {
            let mut lines = self.lines.borrow_mut();
            write(&mut lines);
            lines.len()
        };
        let count = self.line_count.get();
        self.line_count.set(count + 1);
        if length >= LOG_BATCH {
            self.flush_access_log();
        } else if count == 0 {
            let worker = Rc::clone(self);
            tokio::task::spawn_local(async move {
                sleep(LOG_DELAY).await;
                worker.flush_access_log();
            });
        }
    }

    /// Hands the lines so far to the log thread.
    pub(crate) fn flush_access_log(&self) {
        let count = self.line_count.replace(0);
        if count > 0 {
            let lines = self.lines.replace(self.shared.sink.buffer());
            self.shared.sink.send(lines, count);
        }
    }

    /// Logs something that every request may meet: at most once a second, with the number
    /// of times it was suppressed.
    pub(crate) fn log_throttled(
        &self,
        level: Level,
        message: &'static str,
        fields: &[(&str, &str)],
    ) {
        let admitted = self.throttle.borrow_mut().admit(message, Instant::now());
        let Some(suppressed) = admitted else { return };
        let text = suppressed.to_string();
        let count = [("suppressed", text.as_str())];
        let fields = [fields, if suppressed == 0 { &[] } else { &count }].concat();
        self.shared.sink.log(level, message, &fields);
    }

    /// Closes idle backend connections once they are too old, as long as there are any.
    pub(crate) fn schedule_sweep(self: &Rc<Self>) {
        if self.sweeping.replace(true) {
            return;
        }
        let worker = Rc::clone(self);
        tokio::task::spawn_local(async move {
            loop {
                sleep(SWEEP).await;
                let snapshot = worker.snapshot();
                let mut left = snapshot.api.sweep();
                left |= snapshot.console.as_ref().is_some_and(|console| console.sweep());
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

/// The finalizer of SplitMix64: one to one, so that no two requests get one identifier, which
/// a random number generator cannot promise; and no two look related.
fn mix(number: u64) -> u64 {
    let number = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let number = (number ^ number >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ number >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ number >> 31
}
