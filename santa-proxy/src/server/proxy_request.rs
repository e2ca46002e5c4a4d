//! Requests that need the backend, with everything that was decided about them.

use std::net::IpAddr;
use std::rc::Rc;

use super::access_log::AccessLogEntry;
use super::fair_queue::Lane;
use super::limiter::Permit;
use super::worker::WorkerSnapshot;
use super::write_response::ResponseParams;
use crate::http::content::Content;
use crate::upstream::pool::Backend;

/// A request for `/health/ready`.
#[derive(Debug)]
pub(crate) struct ReadinessRequest {
    /// How the response is to be sent.
    pub(crate) params: ResponseParams,
    /// The request's content, to be skipped.
    pub(crate) content: Content,
    /// Its line in the access log.
    pub(crate) entry: AccessLogEntry,
    /// The snapshot it began with.
    pub(crate) snapshot: Rc<WorkerSnapshot>,
}

/// A request that is passed on.
#[derive(Debug)]
pub(crate) struct ProxyRequest {
    /// The backend.
    pub(crate) backend: Rc<Backend>,
    /// The queue it waits in, and the client it belongs to.
    pub(crate) lane: (Lane, IpAddr),
    /// Permission to use the backend, until it has responded.
    pub(crate) permit: Option<Permit>,
    /// Head for the backend; the content at hand is appended before it is sent.
    pub(crate) head: Vec<u8>,
    /// Content still to come from the client.
    pub(crate) content: Content,
    /// Whether the content is chunked toward the backend.
    pub(crate) chunked: bool,
    /// Content bytes taken so far.
    pub(crate) taken: u64,
    /// Whether it may be sent again (RFC 9110 §9.2.2).
    pub(crate) idempotent: bool,
    /// Whether an upgrade was asked for.
    pub(crate) upgrade: bool,
    /// Whether the client takes trailer fields.
    pub(crate) trailers: bool,
    /// Whether the client waits for 100 before it sends its content.
    pub(crate) expects: bool,
    /// How the response is to be sent.
    pub(crate) params: ResponseParams,
    /// Its line in the access log.
    pub(crate) entry: AccessLogEntry,
    /// The snapshot it began with.
    pub(crate) snapshot: Rc<WorkerSnapshot>,
}
