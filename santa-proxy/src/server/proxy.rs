//! Proxies a request: a connection to the backend, one exchange over it, a retry where that
//! is safe, and the error response otherwise.

use std::rc::Rc;

use super::body::{self, Reservation};
use super::body_clock::BodyClock;
use super::client_connection::ClientConnection;
use super::disconnect;
use super::fault::Fault;
use super::proxy_request::ProxyRequest;
use super::queue::{self, NotAdmitted};
use super::tunnel::Tunnel;
use super::upstream_exchange::exchange;
use super::worker::WorkerSnapshot;
use super::write_response::PreparedResponse;
use crate::client_limits;
use crate::http::reject::Reject;
use crate::io::buffer::recycle_vec;
use crate::io::deadline::Phase;
use crate::io::drive::unless;
use crate::local_response::LocalResponse;
use crate::log::sink::Level;
use crate::upstream::pool::{Instance, Lease, Reuse, Unreachable};

/// What happens to the client's connection after a proxied request.
pub(crate) enum Outcome {
    /// Ready for the next request.
    Keep,
    /// Close it.
    Close,
    /// Close it once the client has read the response.
    Linger,
    /// Send a response of this proxy itself.
    Respond(Box<PreparedResponse>),
    /// It becomes a tunnel.
    Tunnel(Box<Tunnel>),
}

/// Proxies a request.
pub(crate) async fn proxy(
    connection: &mut ClientConnection,
    mut request: Box<ProxyRequest>,
) -> Outcome {
    if let Err(reject) = body::take_content_at_hand(connection, &mut request) {
        return respond(connection, *request, reject, false);
    }
    let WorkerSnapshot { shared, .. } = &*request.snapshot;
    let mut clock = BodyClock::new(&shared.limits, &shared.timeouts, request.taken);
    let mut memory =
        Reservation::new(&connection.worker, client_limits::client_key(request.lane.1));
    if !request.content.is_done() {
        let gathering = body::gather(connection, &mut request, &mut clock, &mut memory);
        // Boxed: most requests have no body, or it came with the head.
        if let Err(reject) = Box::pin(gathering).await {
            return refused(connection, *request, reject, false);
        }
    }
    match queue::acquire_permit(connection, &mut request, &mut memory).await {
        Ok(()) => {}
        Err(NotAdmitted::Refused(reject)) => return refused(connection, *request, reject, true),
        Err(NotAdmitted::ClientGone) => return client_gone(connection),
    }
    let mut retried = None;
    loop {
        let mut lease = match lease(connection, &request, retried.as_ref()).await {
            Some(Ok(lease)) => lease,
            Some(Err(why)) => return unreachable_backend(connection, *request, &why),
            None => return client_gone(connection),
        };
        match exchange(connection, &mut request, &mut clock, &mut lease).await {
            Ok(done) if done.tunnel.is_some() => {
                recycle_vec(std::mem::take(&mut request.head));
                let left = done.tunnel.unwrap_or_default();
                let entry = request.entry;
                return Outcome::Tunnel(Box::new(Tunnel { lease, left, entry }));
            }
            Ok(done) => {
                recycle_vec(std::mem::take(&mut request.head));
                if done.reusable {
                    lease.keep();
                    connection.worker.schedule_sweep();
                }
                return match (done.keep, done.complete) {
                    (true, _) => Outcome::Keep,
                    (false, true) if connection.buffer.is_empty() => Outcome::Close,
                    (false, _) => Outcome::Linger,
                };
            }
            Err(fault) if retried.is_none() && may_retry(&fault, &request, &lease) => {
                connection.worker.metrics.upstream_retries.add(1);
                retried = Some(lease.instance());
            }
            Err(fault) => return failed(connection, *request, fault, &lease),
        }
    }
}

/// A connection to the backend; nothing when the client is gone meanwhile.
async fn lease(
    connection: &mut ClientConnection,
    request: &ProxyRequest,
    failed: Option<&Rc<Instance>>,
) -> Option<Result<Lease, Unreachable>> {
    let reuse = match failed {
        Some(_) => Reuse::Never,
        None if request.idempotent && request.content.is_done() => Reuse::Likely,
        None => Reuse::Certain,
    };
    if failed.is_none()
        && let Some(lease) = request.backend.lease_idle(reuse, &connection.worker.metrics)
    {
        return Some(Ok(lease));
    }
    // Boxed: most requests need no new connection.
    Box::pin(lease_new(connection, request, reuse, failed)).await
}

async fn lease_new(
    connection: &mut ClientConnection,
    request: &ProxyRequest,
    reuse: Reuse,
    failed: Option<&Rc<Instance>>,
) -> Option<Result<Lease, Unreachable>> {
    let limit = request.snapshot.shared.timeouts.connect;
    let ClientConnection { worker, stream, buffer, deadline, .. } = connection;
    // A TCP connect without any reply ends with the same limit.
    deadline.set(Phase::Backend, limit * 2);
    let leasing = deadline.limit(request.backend.lease(reuse, failed, limit, &worker.metrics));
    let (mut reader, _) = stream.split();
    let gone = disconnect::client_gone(&mut reader, buffer, request.params.version, || {}, || true);
    Some(match unless(leasing, gone).await? {
        Ok(result) => result,
        Err(_) => Err(Unreachable {
            address: String::new(),
            error: std::io::ErrorKind::TimedOut.into(),
            temporary: true,
        }),
    })
}

/// One safe retry: not one byte of a response came, everything sent is still at hand,
/// and the backend has certainly not read the request. One that it has read may be what
/// ended it, and would end the next instance too.
fn may_retry(fault: &Fault, request: &ProxyRequest, lease: &Lease) -> bool {
    match fault {
        Fault::BackendClosed { untouched, at_hand } => {
            *at_hand && (*untouched || (request.idempotent && lease.may_have_ended_before()))
        }
        _ => false,
    }
}

fn unreachable_backend(
    connection: &ClientConnection,
    request: ProxyRequest,
    why: &Unreachable,
) -> Outcome {
    let error = why.error.to_string();
    connection.worker.log_throttled(
        Level::Error,
        "cannot connect to the backend; `santa-supervise status` shows its state",
        &[("address", &why.address), ("error", &error)],
    );
    let status = if why.temporary { 503 } else { 502 };
    respond(connection, request, Reject::new(status, "the backend is unavailable"), true)
}

fn failed(
    connection: &ClientConnection,
    request: ProxyRequest,
    fault: Fault,
    lease: &Lease,
) -> Outcome {
    let metrics = &connection.worker.metrics;
    let reject = match fault {
        Fault::Broken(reason) => {
            metrics.upstream_errors.add(1);
            let address = lease.address();
            let fields = [("address", address.as_str()), ("reason", reason)];
            connection.worker.log_throttled(Level::Error, "upstream closed mid-response", &fields);
            connection.stream.abort_on_close();
            return Outcome::Close;
        }
        Fault::ClientGone => return client_gone(connection),
        Fault::Client(reject) => return respond(connection, request, reject, false),
        Fault::BackendClosed { .. } => {
            Reject::new(502, "the backend closed the connection without a response")
        }
        Fault::BackendBad(reason) => Reject::new(502, reason),
        Fault::BackendSlow => Reject::new(504, "the backend did not respond in time"),
    };
    metrics.upstream_errors.add(1);
    let address = lease.address();
    let fields = [("address", address.as_str()), ("reason", reject.reason)];
    connection.worker.log_throttled(
        Level::Error,
        "invalid or missing response from the backend",
        &fields,
    );
    let reject = match fault {
        Fault::BackendBad(_) => Reject::new(502, "invalid response from the backend"),
        _ => reject,
    };
    // The rest of the request's content would be read as the next head.
    let keep = request.content.is_done();
    respond(connection, request, reject, keep)
}

/// The client is gone; no response is sent.
fn client_gone(connection: &ClientConnection) -> Outcome {
    connection.stream.abort_on_close();
    Outcome::Close
}

/// The error response to a request that does not reach the backend.
fn refused(
    connection: &ClientConnection,
    request: ProxyRequest,
    reject: Reject,
    keep: bool,
) -> Outcome {
    connection.worker.metrics.refused.add(u64::from(reject.status == 503));
    respond(connection, request, reject, keep)
}

/// The error response to a request that was to be proxied.
fn respond(
    connection: &ClientConnection,
    request: ProxyRequest,
    reject: Reject,
    keep: bool,
) -> Outcome {
    let ProxyRequest { mut params, entry, snapshot, head, content, .. } = request;
    recycle_vec(head);
    params.keep &= keep && content.is_done();
    let mut response = LocalResponse::error(reject, params.to_api);
    if reject.status == 503 {
        response.add_line("Retry-After", "1");
    }
    let prepared = PreparedResponse::new(&connection.worker, &snapshot, response, params, entry);
    Outcome::Respond(Box::new(prepared))
}
