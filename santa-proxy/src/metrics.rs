//! Counters of each worker, and the Prometheus text of all of them. Each counter has one
//! writer, so that counting costs no contention.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use santa_config::Address;

use crate::exposition::Format;
use crate::http::trace_context::TraceId;
use crate::route::Route;

/// Upper bounds of the latency histogram in microseconds.
const BUCKETS: [u64; 12] = [
    500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000,
    5_000_000,
];

/// A number that goes up, or up and down for a gauge; one thread writes it.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    /// Adds.
    pub(crate) fn add(&self, amount: u64) {
        self.set(self.get().wrapping_add(amount));
    }

    /// Subtracts, for gauges.
    pub(crate) fn sub(&self, amount: u64) {
        self.set(self.get().wrapping_sub(amount));
    }

    /// Sets it, for states.
    pub(crate) fn set(&self, value: u64) {
        self.0.store(value, Ordering::Relaxed);
    }

    /// The present value.
    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// What one worker counts for one instance of a backend.
#[derive(Debug)]
pub(crate) struct InstanceMetrics {
    address: Address,
    /// Connections in use.
    pub(crate) active: Counter,
    /// Attempts to connect that failed.
    pub(crate) failures: Counter,
    /// 1 after an attempt that failed, until one succeeds.
    pub(crate) down: Counter,
    /// 1 while it gets no new requests.
    pub(crate) drained: Counter,
}

impl InstanceMetrics {
    fn new(address: Address) -> Self {
        let [active, failures, down, drained] = Default::default();
        Self { address, active, failures, down, drained }
    }
}

/// A request of a trace, as an example of its bucket.
#[derive(Debug, Clone, Copy)]
struct Exemplar {
    trace: TraceId,
    taken: Duration,
    at: SystemTime,
}

/// What one worker counts.
#[derive(Debug, Default)]
pub(crate) struct WorkerMetrics {
    /// By route and class of status.
    requests: [[Counter; 5]; Route::ALL.len()],
    /// By route: requests not above each bound of `BUCKETS`, and above all of them.
    latency: [[Counter; BUCKETS.len() + 1]; Route::ALL.len()],
    latency_micros: [Counter; Route::ALL.len()],
    /// The last request of each bucket that belonged to a trace; locked only by those, and by
    /// a scrape.
    exemplars: Mutex<[[Option<Exemplar>; BUCKETS.len() + 1]; Route::ALL.len()]>,
    /// Content bytes sent to clients.
    pub(crate) bytes_sent: Counter,
    /// Content bytes received from clients.
    pub(crate) bytes_received: Counter,
    /// Connections accepted.
    pub(crate) accepted: Counter,
    /// Connections open now.
    pub(crate) open: Counter,
    /// Connections rejected because there were too many.
    pub(crate) shed: Counter,
    /// Connections without a request that were closed to make room for new ones.
    pub(crate) shed_idle: Counter,
    /// Connections whose TLS handshake or PROXY protocol header failed.
    pub(crate) handshakes_failed: Counter,
    /// HTTP/2 connections closed because their client only opened and canceled streams.
    pub(crate) streams_abused: Counter,
    /// Instances of the backends in use; locked only by a scrape and a reload.
    instances: Mutex<Vec<Weak<InstanceMetrics>>>,
    /// Bytes used for request bodies and queued requests.
    pub(crate) body_memory: Counter,
    /// Requests waiting for the backend.
    pub(crate) queued: Counter,
    /// Requests rejected because the backend was busy.
    pub(crate) refused: Counter,
    /// Tunnels open now.
    pub(crate) tunnels: Counter,
    /// New connections to a backend.
    pub(crate) upstream_connects: Counter,
    /// Requests on a reused connection.
    pub(crate) upstream_reuses: Counter,
    /// Requests that were retried.
    pub(crate) upstream_retries: Counter,
    /// Requests without a valid response from a backend.
    pub(crate) upstream_errors: Counter,
}

impl WorkerMetrics {
    /// The counters of the instance at `address`, rendered as long as they live.
    pub(crate) fn instance(&self, address: Address) -> Arc<InstanceMetrics> {
        let instance = Arc::new(InstanceMetrics::new(address));
        let mut instances = self.instances.lock().unwrap_or_else(PoisonError::into_inner);
        instances.retain(|known| known.strong_count() > 0);
        instances.push(Arc::downgrade(&instance));
        instance
    }

    /// Counts one finished request, which may belong to a trace.
    pub(crate) fn request(
        &self,
        route: Route,
        status: u16,
        taken: Duration,
        trace: Option<TraceId>,
    ) {
        let class = usize::from((status / 100).clamp(1, 5)) - 1;
        self.requests[route as usize][class].add(1);
        let micros = u64::try_from(taken.as_micros()).unwrap_or(u64::MAX);
        let bucket = BUCKETS.iter().position(|bound| micros <= *bound).unwrap_or(BUCKETS.len());
        self.latency[route as usize][bucket].add(1);
        self.latency_micros[route as usize].add(micros);
        if let Some(trace) = trace {
            let exemplar = Exemplar { trace, taken, at: SystemTime::now() };
            self.exemplars()[route as usize][bucket] = Some(exemplar);
        }
    }

    fn exemplars(
        &self,
    ) -> MutexGuard<'_, [[Option<Exemplar>; BUCKETS.len() + 1]; Route::ALL.len()]> {
        self.exemplars.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The addresses of all instances that are known now.
pub(crate) fn addresses(workers: &[Arc<WorkerMetrics>]) -> BTreeSet<Address> {
    let mut known = BTreeSet::new();
    for worker in workers {
        let instances = worker.instances.lock().unwrap_or_else(PoisonError::into_inner);
        known.extend(instances.iter().filter_map(Weak::upgrade).map(|one| one.address.clone()));
    }
    known
}

/// Sums a counter over all workers.
fn sum(workers: &[Arc<WorkerMetrics>], of: impl Fn(&WorkerMetrics) -> &Counter) -> u64 {
    workers.iter().map(|worker| of(worker).get()).sum()
}

/// The Prometheus text of all workers and of the log, with exemplars for OpenMetrics.
pub(crate) fn render(workers: &[Arc<WorkerMetrics>], log_dropped: u64, format: Format) -> String {
    let mut out = String::with_capacity(4096);
    requests(&mut out, workers);
    latency(&mut out, workers, format);
    type Field = fn(&WorkerMetrics) -> &Counter;
    let plain: [(&str, &str, &str, Field); 16] = [
        ("counter", "sent_bytes_total", "Content bytes sent to clients.", |w| &w.bytes_sent),
        ("counter", "received_bytes_total", "Content bytes received from clients.", |w| {
            &w.bytes_received
        }),
        ("counter", "connections_accepted_total", "Client connections accepted.", |w| &w.accepted),
        ("gauge", "connections", "Client connections open.", |w| &w.open),
        (
            "counter",
            "connections_shed_total",
            "Client connections rejected because of a limit.",
            |w| &w.shed,
        ),
        (
            "counter",
            "connections_shed_idle_total",
            "Idle or incomplete connections closed to make room for new ones.",
            |w| &w.shed_idle,
        ),
        (
            "counter",
            "handshakes_failed_total",
            "Connections whose TLS handshake or PROXY protocol header failed.",
            |w| &w.handshakes_failed,
        ),
        (
            "counter",
            "streams_abused_total",
            "HTTP/2 connections closed for opening and canceling streams (rapid reset).",
            |w| &w.streams_abused,
        ),
        (
            "gauge",
            "body_memory_bytes",
            "Memory used for request bodies and queued requests.",
            |w| &w.body_memory,
        ),
        ("gauge", "queue_waiting", "Requests waiting for the backend.", |w| &w.queued),
        (
            "counter",
            "queue_refused_total",
            "Requests rejected (503) because the backend was busy.",
            |w| &w.refused,
        ),
        ("gauge", "tunnels", "Upgraded connections open.", |w| &w.tunnels),
        ("counter", "upstream_connects_total", "New connections to backends.", |w| {
            &w.upstream_connects
        }),
        (
            "counter",
            "upstream_reuses_total",
            "Requests sent on a reused backend connection.",
            |w| &w.upstream_reuses,
        ),
        (
            "counter",
            "upstream_retries_total",
            "Requests retried on another backend connection.",
            |w| &w.upstream_retries,
        ),
        (
            "counter",
            "upstream_errors_total",
            "Requests without a valid response from a backend.",
            |w| &w.upstream_errors,
        ),
    ];
    for (kind, name, help, field) in plain {
        single(&mut out, kind, name, help, sum(workers, field));
    }
    upstreams(&mut out, workers);
    single(
        &mut out,
        "counter",
        "log_dropped_total",
        "Log lines dropped because standard output was too slow.",
        log_dropped,
    );
    single(&mut out, "gauge", "workers", "Worker threads.", workers.len() as u64);
    out
}

// Writing to a string cannot fail, hence the ignored results below.

fn head(out: &mut String, kind: &str, name: &str, help: &str) {
    let _ = writeln!(out, "# HELP santa_proxy_{name} {help}");
    let _ = writeln!(out, "# TYPE santa_proxy_{name} {kind}");
}

fn single(out: &mut String, kind: &str, name: &str, help: &str, value: u64) {
    head(out, kind, name, help);
    let _ = writeln!(out, "santa_proxy_{name} {value}");
}

fn requests(out: &mut String, workers: &[Arc<WorkerMetrics>]) {
    head(out, "counter", "requests_total", "Requests by route and status class.");
    for route in Route::ALL {
        for class in 0..5 {
            let count = sum(workers, |worker| &worker.requests[route as usize][class]);
            let _ = writeln!(
                out,
                "santa_proxy_requests_total{{route=\"{}\",status=\"{}xx\"}} {count}",
                route.name(),
                class + 1
            );
        }
    }
}

fn upstreams(out: &mut String, workers: &[Arc<WorkerMetrics>]) {
    // Connections, failures, and whether any worker fails to reach it or passes it over.
    let mut known: BTreeMap<Address, [u64; 4]> = BTreeMap::new();
    for worker in workers {
        let instances = worker.instances.lock().unwrap_or_else(PoisonError::into_inner);
        for instance in instances.iter().filter_map(Weak::upgrade) {
            let [active, failures, down, drained] =
                known.entry(instance.address.clone()).or_default();
            *active += instance.active.get();
            *failures += instance.failures.get();
            *down |= instance.down.get();
            *drained |= instance.drained.get();
        }
    }
    let tables = [
        ("gauge", "upstream_active", "Connections to the backend instance in use."),
        (
            "counter",
            "upstream_failures_total",
            "Failed attempts to connect to the backend instance.",
        ),
        (
            "gauge",
            "upstream_down",
            "1 if the last attempt to connect to the backend instance failed.",
        ),
        (
            "gauge",
            "upstream_drained",
            "1 while santa-supervise does not report the backend instance as ready.",
        ),
    ];
    for (index, (kind, name, help)) in tables.into_iter().enumerate() {
        head(out, kind, name, help);
        for (address, numbers) in &known {
            let value = numbers[index];
            let _ = writeln!(out, "santa_proxy_{name}{{address=\"{address}\"}} {value}");
        }
    }
}

fn latency(out: &mut String, workers: &[Arc<WorkerMetrics>], format: Format) {
    let name = "request_duration_seconds";
    head(out, "histogram", name, "Time from the request head to the end of the response.");
    for route in Route::ALL {
        let of = format!("santa_proxy_{name}");
        let label = format!("route=\"{}\"", route.name());
        let mut total = 0;
        for (index, micros) in BUCKETS.iter().enumerate() {
            total += sum(workers, |worker| &worker.latency[route as usize][index]);
            let bound = Duration::from_micros(*micros).as_secs_f64();
            // Both formats name a bound in the same way, as OpenMetrics wants it: `1.0`.
            let _ = write!(out, "{of}_bucket{{{label},le=\"{bound:?}\"}} {total}");
            push_exemplar(out, workers, (route, index), format);
        }
        total += sum(workers, |worker| &worker.latency[route as usize][BUCKETS.len()]);
        let _ = write!(out, "{of}_bucket{{{label},le=\"+Inf\"}} {total}");
        push_exemplar(out, workers, (route, BUCKETS.len()), format);
        let micros = sum(workers, |worker| &worker.latency_micros[route as usize]);
        let seconds = Duration::from_micros(micros).as_secs_f64();
        let _ = writeln!(out, "{of}_sum{{{label}}} {seconds}");
        let _ = writeln!(out, "{of}_count{{{label}}} {total}");
    }
}

/// Ends the line of a bucket, after the newest exemplar of all workers.
fn push_exemplar(
    out: &mut String,
    workers: &[Arc<WorkerMetrics>],
    (route, bucket): (Route, usize),
    format: Format,
) {
    let newest = || {
        let of = |worker: &Arc<WorkerMetrics>| worker.exemplars()[route as usize][bucket];
        workers.iter().filter_map(of).max_by_key(|exemplar| exemplar.at)
    };
    if format == Format::OpenMetrics
        && let Some(Exemplar { trace, taken, at }) = newest()
    {
        let since = at.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
        let (id, seconds) = (trace.as_str(), taken.as_secs_f64());
        let (whole, millis) = (since / 1000, since % 1000);
        let _ = write!(out, " # {{trace_id=\"{id}\"}} {seconds} {whole}.{millis:03}");
    }
    out.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instance_is_down_when_one_worker_cannot_reach_it() {
        let workers = [Arc::new(WorkerMetrics::default()), Arc::new(WorkerMetrics::default())];
        let gone = workers[0].instance(Address::Unix("/old".into()));
        let first = workers[0].instance(Address::Unix("/a".into()));
        let second = workers[1].instance(Address::Unix("/a".into()));
        drop(gone);
        first.active.add(2);
        second.active.add(1);
        second.down.set(1);
        second.failures.add(5);
        let text = render(&workers, 0, Format::Prometheus);
        for line in [
            "santa_proxy_upstream_down{address=\"unix:/a\"} 1",
            "santa_proxy_upstream_active{address=\"unix:/a\"} 3",
            "santa_proxy_upstream_failures_total{address=\"unix:/a\"} 5",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} in {text}");
        }
        assert!(!text.contains("/old"));
    }

    #[test]
    fn counts_of_all_workers_are_summed_in_prometheus_text() {
        let workers = [Arc::new(WorkerMetrics::default()), Arc::new(WorkerMetrics::default())];
        workers[0].request(Route::Api, 200, Duration::from_micros(700), None);
        workers[1].request(Route::Api, 204, Duration::from_secs(9), None);
        workers[1].request(Route::Console, 404, Duration::from_micros(1), None);
        let text = render(&workers, 3, Format::Prometheus);
        for line in [
            "santa_proxy_requests_total{route=\"api\",status=\"2xx\"} 2",
            "santa_proxy_requests_total{route=\"console\",status=\"4xx\"} 1",
            "santa_proxy_request_duration_seconds_bucket{route=\"api\",le=\"0.0005\"} 0",
            "santa_proxy_request_duration_seconds_bucket{route=\"api\",le=\"0.001\"} 1",
            "santa_proxy_request_duration_seconds_bucket{route=\"api\",le=\"+Inf\"} 2",
            "santa_proxy_request_duration_seconds_count{route=\"api\"} 2",
            "santa_proxy_request_duration_seconds_count{route=\"console\"} 1",
            "santa_proxy_log_dropped_total 3",
            "santa_proxy_workers 2",
        ] {
            assert!(text.lines().any(|found| found == line), "{line}");
        }
    }
}
