//! Passing a request on: a connection to the backend, one exchange over it, one
//! more attempt where that is safe, and what the client is told otherwise.

use std::rc::Rc;

use super::connection::Connection;
use super::exchange::{Fault, exchange};
use super::plan::Forward;
use super::send::Reply;
use super::tunnel::Tunnel;
use crate::answer::Answer;
use crate::http::bytes::push_hex;
use crate::http::reject::Reject;
use crate::io::buffer::give_vec;
use crate::io::deadline::Phase;
use crate::log::sink::Level;
use crate::upstream::pool::{Instance, Lease, Reuse, Unreachable};

/// How a forwarded request left the client's connection.
pub(crate) enum End {
    /// Ready for the next request.
    Keep,
    /// To be closed.
    Close,
    /// To be closed once the client has read the answer.
    Linger,
    /// An answer of our own is due.
    Reply(Box<Reply>),
    /// It has become a tunnel.
    Tunnel(Box<Tunnel>),
}

/// Passes a request on.
pub(crate) async fn forward(connection: &mut Connection, mut request: Box<Forward>) -> End {
    if let Err(reject) = append_content_at_hand(connection, &mut request) {
        return answer(connection, *request, reject, false);
    }
    if let Err(reject) = take_turn(connection, &mut request).await {
        connection.worker.metrics.refused.add(1);
        return answer(connection, *request, reject, true);
    }
    let mut retried = None;
    loop {
        let mut lease = match lease(connection, &request, retried.as_ref()).await {
            Ok(lease) => lease,
            Err(unreachable) => return unreachable_backend(connection, *request, &unreachable),
        };
        match exchange(connection, &mut request, &mut lease).await {
            Ok(done) if done.tunnel.is_some() => {
                give_vec(std::mem::take(&mut request.head));
                let left = done.tunnel.unwrap_or_default();
                let record = request.record;
                return End::Tunnel(Box::new(Tunnel { lease, left, record }));
            }
            Ok(done) => {
                give_vec(std::mem::take(&mut request.head));
                if done.reusable {
                    lease.keep();
                    connection.worker.sweep_later();
                }
                return match (done.keep, done.complete) {
                    (true, _) => End::Keep,
                    (false, true) if connection.buffer.is_empty() => End::Close,
                    (false, _) => End::Linger,
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

/// Takes what is already there of the content, so that head and content leave
/// in one piece and can be sent again.
fn append_content_at_hand(
    connection: &mut Connection,
    request: &mut Forward,
) -> Result<(), Reject> {
    let most = request.local.shared.limits.body_size.0;
    let decoded = request.content.decode(connection.buffer.filled_mut());
    let done = decoded.map_err(|error| Reject::bad(error.0))?;
    if (done.produced as u64).saturating_add(request.content.announced()) > most {
        return Err(Reject::new(413, "content too long"));
    }
    let payload = &connection.buffer.filled()[..done.produced];
    push_content(&mut request.head, payload, request.chunked, request.content.is_done());
    request.taken = done.produced as u64;
    connection.worker.metrics.bytes_received.add(request.taken);
    connection.buffer.consume(done.consumed);
    connection.buffer.release();
    Ok(())
}

/// Appends content as the backend gets it; `last` ends the chunked coding.
pub(crate) fn push_content(out: &mut Vec<u8>, payload: &[u8], chunked: bool, last: bool) {
    if !chunked {
        out.extend_from_slice(payload);
        return;
    }
    if !payload.is_empty() {
        push_hex(out, payload.len() as u64);
        out.extend_from_slice(b"\r\n");
        out.extend_from_slice(payload);
        out.extend_from_slice(b"\r\n");
    }
    if last {
        out.extend_from_slice(b"0\r\n\r\n");
    }
}

/// Waits until the backend may be given one more request.
async fn take_turn(connection: &Connection, request: &mut Forward) -> Result<(), Reject> {
    let Connection { worker, deadline, .. } = connection;
    let most = worker.share(request.local.shared.limits.queue);
    let (lane, client) = request.lane;
    deadline.set(Phase::Backend, request.local.shared.timeouts.queue);
    worker.metrics.queued.add(1);
    let turn = deadline.limit(worker.gate.enter(lane, client, most)).await;
    worker.metrics.queued.sub(1);
    match turn {
        Ok(Ok(permit)) => {
            request.permit = Some(permit);
            Ok(())
        }
        Ok(Err(_)) | Err(_) => Err(Reject::new(503, "the server is busy")),
    }
}

async fn lease(
    connection: &Connection,
    request: &Forward,
    failed: Option<&Rc<Instance>>,
) -> Result<Lease, Unreachable> {
    let reuse = match failed {
        Some(_) => Reuse::Never,
        None if request.idempotent && request.content.is_done() => Reuse::Likely,
        None => Reuse::Certain,
    };
    let limit = request.local.shared.timeouts.connect;
    let metrics = &connection.worker.metrics;
    // A TCP connect that gets no answer at all ends with the same limit.
    connection.deadline.set(Phase::Backend, limit * 2);
    match connection.deadline.limit(request.backend.lease(reuse, failed, limit, metrics)).await {
        Ok(result) => result,
        Err(_) => Err(Unreachable {
            address: String::new(),
            error: std::io::ErrorKind::TimedOut.into(),
            temporary: true,
        }),
    }
}

/// One safe retry: not one byte of an answer came, everything sent is still at hand,
/// and the backend has certainly not read the request. One that it has read may be what
/// ended it, and would end the next instance too.
fn may_retry(fault: &Fault, request: &Forward, lease: &Lease) -> bool {
    match fault {
        Fault::BackendClosed { untouched, at_hand } => {
            *at_hand && (*untouched || (request.idempotent && lease.may_have_ended_before()))
        }
        _ => false,
    }
}

fn unreachable_backend(connection: &Connection, request: Forward, why: &Unreachable) -> End {
    let error = why.error.to_string();
    connection.worker.notice(
        Level::Error,
        "cannot reach the backend; see `santa-supervise status` for what became of it",
        &[("address", &why.address), ("error", &error)],
    );
    let status = if why.temporary { 503 } else { 502 };
    answer(connection, request, Reject::new(status, "the backend cannot be reached"), true)
}

fn failed(connection: &Connection, request: Forward, fault: Fault, lease: &Lease) -> End {
    let metrics = &connection.worker.metrics;
    let reject = match fault {
        Fault::Broken(reason) => {
            metrics.upstream_errors.add(1);
            let address = lease.address();
            let fields = [("address", address.as_str()), ("reason", reason)];
            connection.worker.notice(Level::Error, "the backend broke off its answer", &fields);
            connection.stream.abort_on_close();
            return End::Close;
        }
        Fault::ClientGone => {
            connection.stream.abort_on_close();
            return End::Close;
        }
        Fault::Client(reject) => return answer(connection, request, reject, false),
        Fault::BackendClosed { .. } => {
            Reject::new(502, "the backend closed the connection without an answer")
        }
        Fault::BackendBad(reason) => Reject::new(502, reason),
        Fault::BackendSlow => Reject::new(504, "the backend did not answer in time"),
    };
    metrics.upstream_errors.add(1);
    let address = lease.address();
    let fields = [("address", address.as_str()), ("reason", reject.reason)];
    connection.worker.notice(Level::Error, "the backend did not answer properly", &fields);
    let reject = match fault {
        Fault::BackendBad(_) => Reject::new(502, "the backend did not answer properly"),
        _ => reject,
    };
    // What is left of the request's content would be read as the next head.
    let keep = request.content.is_done();
    answer(connection, request, reject, keep)
}

/// An answer of our own to a request that was to be passed on.
fn answer(connection: &Connection, request: Forward, reject: Reject, keep: bool) -> End {
    let Forward { mut terms, record, local, head, content, .. } = request;
    give_vec(head);
    terms.keep &= keep && content.is_done();
    let mut answer = Answer::refusal(reject, terms.to_api);
    if reject.status == 503 {
        answer.add_line("Retry-After", "1");
    }
    let reply = Reply::new(&connection.worker, &local, answer, terms, record);
    End::Reply(Box::new(reply))
}
