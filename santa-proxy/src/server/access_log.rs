//! One request in the access log and the metrics. The line is begun when the head is known
//! and finished when the entry is dropped, however the request ended.

use std::net::IpAddr;
use std::rc::Rc;
use std::time::{Duration, Instant, SystemTime};

use super::worker::Worker;
use crate::http::field::Name;
use crate::http::forwarded::push_address;
use crate::http::request::Request;
use crate::http::trace_context::TraceId;
use crate::io::buffer::{recycle_vec, take_vec};
use crate::log::json::{push_field, push_millis, push_number, push_time};
use crate::log::redact::Redacted;
use crate::route::Route;

/// A request under way.
#[derive(Debug)]
pub(crate) struct AccessLogEntry {
    worker: Rc<Worker>,
    /// The trace that the client says the request belongs to.
    trace: Option<TraceId>,
    started: Instant,
    /// The middle of the line; empty when the request is not logged.
    line: Vec<u8>,
    /// Which part responded.
    pub(crate) route: Route,
    /// Status of the response; 0 while there is none.
    pub(crate) status: u16,
    /// Content bytes of the response.
    pub(crate) bytes: u64,
    /// From the request's head to the backend's.
    pub(crate) upstream: Option<Duration>,
    /// Why the request was refused before it was dispatched.
    pub(crate) refusal: Option<&'static str>,
}

impl AccessLogEntry {
    /// The entry of a request whose head was refused.
    pub(crate) fn refused(worker: &Rc<Worker>, peer: IpAddr, request_id: &str) -> Self {
        let mut entry = Self::new(worker);
        if worker.snapshot().shared.access_log {
            let line = &mut entry.line;
            push_field(line, "request_id", request_id.as_bytes());
            push_remote(line, peer);
            for name in ["method", "path", "user_agent", "protocol"] {
                push_field(line, name, b"");
            }
        }
        entry
    }

    /// The entry of `request`; `path` is its decoded path, unless it is malformed. The last
    /// are its identifier and protocol.
    pub(crate) fn of(
        worker: &Rc<Worker>,
        request: &Request<'_>,
        (path, route): (Option<&str>, Route),
        client: IpAddr,
        (request_id, protocol): (&str, &str),
    ) -> Self {
        let mut entry = Self::new(worker);
        entry.route = route;
        entry.trace = TraceId::of(&request.fields);
        if route != Route::Health && worker.snapshot().shared.logs(path.unwrap_or_default()) {
            let line = &mut entry.line;
            push_field(line, "request_id", request_id.as_bytes());
            push_remote(line, client);
            let agent = request.fields.first(Name::UserAgent).unwrap_or_default();
            push_redacted(line, "method", &Redacted::method(request.method));
            push_redacted(line, "path", &Redacted::path(path));
            push_redacted(line, "user_agent", &Redacted::text(agent));
            push_field(line, "protocol", protocol.as_bytes());
            if let Some(trace) = entry.trace {
                push_field(line, "trace_id", trace.as_str().as_bytes());
            }
        }
        entry
    }

    fn new(worker: &Rc<Worker>) -> Self {
        Self {
            worker: Rc::clone(worker),
            trace: None,
            started: Instant::now(),
            line: take_vec(),
            route: Route::Nowhere,
            status: 0,
            bytes: 0,
            upstream: None,
            refusal: None,
        }
    }

    /// Frees spare memory, for a request that may last for hours.
    pub(crate) fn shrink(&mut self) {
        self.line.shrink_to_fit();
    }

    /// Records that the backend's head has arrived.
    pub(crate) fn answered(&mut self) {
        self.upstream = Some(self.started.elapsed());
    }
}

impl Drop for AccessLogEntry {
    fn drop(&mut self) {
        // 499: the client was gone before there was a response.
        let status = if self.status == 0 { 499 } else { self.status };
        let taken = self.started.elapsed();
        self.worker.metrics.request(self.route, status, taken, self.trace);
        self.worker.metrics.bytes_sent.add(self.bytes);
        if !self.line.is_empty() {
            let level: &[u8] = if status >= 500 { b"error" } else { b"info" };
            self.worker.log_access(|out| {
                out.extend_from_slice(b"{\"ts\":\"");
                push_time(out, SystemTime::now());
                out.push(b'"');
                push_field(out, "level", level);
                out.extend_from_slice(b",\"service\":\"proxy\",\"logger\":\"access\"");
                out.extend_from_slice(&self.line);
                push_number(out, "status", u64::from(status));
                push_number(out, "bytes", self.bytes);
                push_millis(out, "duration_ms", taken.as_micros());
                match self.upstream {
                    Some(upstream) => push_millis(out, "upstream_ms", upstream.as_micros()),
                    None => out.extend_from_slice(b",\"upstream_ms\":null"),
                }
                if let Some(refusal) = self.refusal {
                    push_field(out, "reason", refusal.as_bytes());
                }
                out.extend_from_slice(b"}\n");
            });
        }
        recycle_vec(std::mem::take(&mut self.line));
    }
}

/// The only way for text of a client into the line.
fn push_redacted(line: &mut Vec<u8>, name: &str, text: &Redacted<'_>) {
    push_field(line, name, text.as_bytes());
}

fn push_remote(line: &mut Vec<u8>, address: IpAddr) {
    line.extend_from_slice(b",\"remote\":\"");
    push_address(line, address);
    line.push(b'"');
}
