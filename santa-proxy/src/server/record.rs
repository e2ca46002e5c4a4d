//! One request in the access log and the metrics. The line is begun when the
//! head is known and finished when the record is dropped, however the request
//! ended.

use std::net::IpAddr;
use std::rc::Rc;
use std::time::{Duration, Instant, SystemTime};

use super::worker::Worker;
use crate::http::field::Name;
use crate::http::forwarded::push_address;
use crate::http::request::Request;
use crate::io::buffer::{give_vec, take_vec};
use crate::log::json::{push_field, push_millis, push_number, push_string, push_time};
use crate::route::Route;

/// A request under way.
#[derive(Debug)]
pub(crate) struct Record {
    worker: Rc<Worker>,
    started: Instant,
    /// The middle of the line; empty when the request is not logged.
    line: Vec<u8>,
    /// Where it went.
    pub(crate) route: Route,
    /// Status of the answer; 0 while there is none.
    pub(crate) status: u16,
    /// Content bytes of the answer.
    pub(crate) bytes: u64,
    /// From the request's head to the backend's.
    pub(crate) upstream: Option<Duration>,
}

impl Record {
    /// A record of a request whose head was refused.
    pub(crate) fn refused(worker: &Rc<Worker>, peer: IpAddr, request_id: &str) -> Self {
        let mut record = Self::new(worker);
        if worker.local().shared.access_log {
            let line = &mut record.line;
            push_field(line, "request_id", request_id.as_bytes());
            push_remote(line, peer);
            for name in ["method", "path", "user_agent", "protocol"] {
                push_field(line, name, b"");
            }
        }
        record
    }

    /// A record of `request`; `path` is its decoded path, empty when it has none.
    /// The last are its identifier and the protocol it came by.
    pub(crate) fn of(
        worker: &Rc<Worker>,
        request: &Request<'_>,
        path: &str,
        client: IpAddr,
        (request_id, protocol): (&str, &str),
    ) -> Self {
        let mut record = Self::new(worker);
        record.route = Route::of(path);
        if record.route != Route::Health && worker.local().shared.logs(path) {
            let line = &mut record.line;
            push_field(line, "request_id", request_id.as_bytes());
            push_remote(line, client);
            push_field(line, "method", request.method.as_bytes());
            match path {
                // Not a path that could be decoded: as it was written.
                "" => push_field(line, "path", request.target.path),
                _ => push_path(line, path),
            }
            let agent = request.fields.first(Name::UserAgent).unwrap_or_default();
            push_field(line, "user_agent", agent);
            push_field(line, "protocol", protocol.as_bytes());
        }
        record
    }

    fn new(worker: &Rc<Worker>) -> Self {
        Self {
            worker: Rc::clone(worker),
            started: Instant::now(),
            line: take_vec(),
            route: Route::Nowhere,
            status: 0,
            bytes: 0,
            upstream: None,
        }
    }

    /// Gives spare memory back, for a request that may last for hours.
    pub(crate) fn shrink(&mut self) {
        self.line.shrink_to_fit();
    }

    /// Notes that the backend's head is there.
    pub(crate) fn answered(&mut self) {
        self.upstream = Some(self.started.elapsed());
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        // 499: the client was gone before there was an answer.
        let status = if self.status == 0 { 499 } else { self.status };
        let taken = self.started.elapsed();
        self.worker.metrics.request(self.route, status, taken);
        self.worker.metrics.bytes_sent.add(self.bytes);
        if !self.line.is_empty() {
            let level: &[u8] = if status >= 500 { b"error" } else { b"info" };
            self.worker.log(|out| {
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
                out.extend_from_slice(b"}\n");
            });
        }
        give_vec(std::mem::take(&mut self.line));
    }
}

fn push_remote(line: &mut Vec<u8>, address: IpAddr) {
    line.extend_from_slice(b",\"remote\":\"");
    push_address(line, address);
    line.push(b'"');
}

/// The path without its query and without an enrolment secret in it.
fn push_path(line: &mut Vec<u8>, path: &str) {
    const SECRET: &str = "/api/santa/e/";
    let Some(rest) = path.strip_prefix(SECRET) else {
        return push_field(line, "path", path.as_bytes());
    };
    let stage = rest.split_once('/').map_or("", |(_, stage)| stage);
    line.extend_from_slice(b",\"path\":");
    push_string(line, format!("{SECRET}***/{stage}").as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_in_paths_stay_out_of_the_log() {
        let mut line = Vec::new();
        push_path(&mut line, "/api/santa/e/s3cret/preflight/ID");
        assert_eq!(line, b",\"path\":\"/api/santa/e/***/preflight/ID\"");
        line.clear();
        push_path(&mut line, "/api/santa/preflight/ID");
        assert_eq!(line, b",\"path\":\"/api/santa/preflight/ID\"");
    }
}
