//! Counters of one worker and the Prometheus text of all of them. Each counter
//! has one writer, so counting costs no contention.

use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::route::Route;

/// Upper bounds of the latency histogram in microseconds.
const BUCKETS: [u64; 12] = [
    500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000,
    5_000_000,
];

/// A number that goes up, or up and down for a gauge.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    /// Adds.
    pub(crate) fn add(&self, amount: u64) {
        self.0.fetch_add(amount, Ordering::Relaxed);
    }

    /// Takes away, for gauges.
    pub(crate) fn sub(&self, amount: u64) {
        self.0.fetch_sub(amount, Ordering::Relaxed);
    }

    /// The present value.
    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// What one worker counts.
#[derive(Debug, Default)]
pub(crate) struct WorkerMetrics {
    /// By route and class of status.
    requests: [[Counter; 5]; Route::ALL.len()],
    /// Requests not above each bound of `BUCKETS`, and above all of them.
    latency: [Counter; BUCKETS.len() + 1],
    latency_micros: Counter,
    /// Content bytes sent to clients.
    pub(crate) bytes_sent: Counter,
    /// Content bytes received from clients.
    pub(crate) bytes_received: Counter,
    /// Connections accepted.
    pub(crate) accepted: Counter,
    /// Connections open now.
    pub(crate) open: Counter,
    /// Connections answered 503 because there were too many.
    pub(crate) shed: Counter,
    /// Tunnels open now.
    pub(crate) tunnels: Counter,
    /// New connections to a backend.
    pub(crate) upstream_connects: Counter,
    /// Requests on a connection that was kept.
    pub(crate) upstream_reuses: Counter,
    /// Requests sent a second time.
    pub(crate) upstream_retries: Counter,
    /// Requests a backend did not answer properly.
    pub(crate) upstream_errors: Counter,
}

impl WorkerMetrics {
    /// Counts one finished request.
    pub(crate) fn request(&self, route: Route, status: u16, taken: Duration) {
        let class = usize::from((status / 100).clamp(1, 5)) - 1;
        self.requests[route as usize][class].add(1);
        let micros = u64::try_from(taken.as_micros()).unwrap_or(u64::MAX);
        let bucket = BUCKETS.iter().position(|bound| micros <= *bound).unwrap_or(BUCKETS.len());
        self.latency[bucket].add(1);
        self.latency_micros.add(micros);
    }
}

/// Sums a counter over all workers.
fn sum(workers: &[Arc<WorkerMetrics>], of: impl Fn(&WorkerMetrics) -> &Counter) -> u64 {
    workers.iter().map(|worker| of(worker).get()).sum()
}

/// The Prometheus text of all workers and of the log.
pub(crate) fn render(workers: &[Arc<WorkerMetrics>], log_dropped: u64) -> String {
    let mut out = String::with_capacity(4096);
    requests(&mut out, workers);
    latency(&mut out, workers);
    type Field = fn(&WorkerMetrics) -> &Counter;
    let plain: [(&str, &str, &str, Field); 10] = [
        ("counter", "sent_bytes_total", "Content bytes sent to clients.", |w| &w.bytes_sent),
        ("counter", "received_bytes_total", "Content bytes received from clients.", |w| {
            &w.bytes_received
        }),
        ("counter", "connections_accepted_total", "Client connections accepted.", |w| &w.accepted),
        ("gauge", "connections", "Client connections open.", |w| &w.open),
        ("counter", "connections_shed_total", "Client connections above the limit.", |w| &w.shed),
        ("gauge", "tunnels", "Upgraded connections open.", |w| &w.tunnels),
        ("counter", "upstream_connects_total", "Connections made to backends.", |w| {
            &w.upstream_connects
        }),
        ("counter", "upstream_reuses_total", "Requests on kept backend connections.", |w| {
            &w.upstream_reuses
        }),
        ("counter", "upstream_retries_total", "Requests sent to a backend again.", |w| {
            &w.upstream_retries
        }),
        ("counter", "upstream_errors_total", "Requests a backend failed.", |w| &w.upstream_errors),
    ];
    for (kind, name, help, field) in plain {
        single(&mut out, kind, name, help, sum(workers, field));
    }
    single(&mut out, "counter", "log_dropped_total", "Log lines lost.", log_dropped);
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
    head(out, "counter", "requests_total", "Requests by route and class of status.");
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

fn latency(out: &mut String, workers: &[Arc<WorkerMetrics>]) {
    let name = "request_duration_seconds";
    head(out, "histogram", name, "Time from the request's head to the end of its answer.");
    let mut total = 0;
    for (index, micros) in BUCKETS.iter().enumerate() {
        total += sum(workers, |worker| &worker.latency[index]);
        let bound = Duration::from_micros(*micros).as_secs_f64();
        let _ = writeln!(out, "santa_proxy_{name}_bucket{{le=\"{bound}\"}} {total}");
    }
    total += sum(workers, |worker| &worker.latency[BUCKETS.len()]);
    let _ = writeln!(out, "santa_proxy_{name}_bucket{{le=\"+Inf\"}} {total}");
    let micros = sum(workers, |worker| &worker.latency_micros);
    let _ = writeln!(out, "santa_proxy_{name}_sum {}", Duration::from_micros(micros).as_secs_f64());
    let _ = writeln!(out, "santa_proxy_{name}_count {total}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_of_all_workers_are_summed_in_prometheus_text() {
        let workers = [Arc::new(WorkerMetrics::default()), Arc::new(WorkerMetrics::default())];
        workers[0].request(Route::Api, 200, Duration::from_micros(700));
        workers[1].request(Route::Api, 204, Duration::from_secs(9));
        workers[1].request(Route::Console, 404, Duration::from_micros(1));
        let text = render(&workers, 3);
        for line in [
            "santa_proxy_requests_total{route=\"api\",status=\"2xx\"} 2",
            "santa_proxy_requests_total{route=\"console\",status=\"4xx\"} 1",
            "santa_proxy_request_duration_seconds_bucket{le=\"0.0005\"} 1",
            "santa_proxy_request_duration_seconds_bucket{le=\"0.001\"} 2",
            "santa_proxy_request_duration_seconds_bucket{le=\"+Inf\"} 3",
            "santa_proxy_request_duration_seconds_count 3",
            "santa_proxy_log_dropped_total 3",
            "santa_proxy_workers 2",
        ] {
            assert!(text.lines().any(|found| found == line), "{line}");
        }
    }
}
