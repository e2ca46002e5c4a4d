//! Reads a request's body before the backend gets the request, as far as it fits into
//! memory: a body that arrives slowly occupies its sender, not the backend.

use std::net::IpAddr;
use std::rc::Rc;

use tokio::time::Instant;

use super::body_clock::BodyClock;
use super::client_connection::ClientConnection;
use super::connection_table::Activity;
use super::proxy_request::ProxyRequest;
use super::worker::Worker;
use crate::http::chunked::push_content;
use crate::http::reject::Reject;
use crate::io::buffer::Buffer;
use crate::io::deadline::{Deadline, Phase};
use crate::io::stream::Reader;

/// What an HTTP/2 client may send on one stream before it is read.
pub(super) const STREAM_WINDOW: u32 = 128 * 1024;

/// Memory reserved for one request, of what all requests of a worker may use.
#[derive(Debug)]
pub(crate) struct Reservation {
    worker: Rc<Worker>,
    client: IpAddr,
    bytes: usize,
}

impl Reservation {
    /// Nothing reserved yet.
    pub(crate) fn new(worker: &Rc<Worker>, client: IpAddr) -> Self {
        Self { worker: Rc::clone(worker), client, bytes: 0 }
    }

    /// Reserves `bytes` in total.
    ///
    /// # Errors
    /// When this client, or all clients together, would use too much.
    pub(crate) fn grow_to(&mut self, bytes: usize) -> Result<(), Reject> {
        let more = bytes.saturating_sub(self.bytes);
        if more == 0 {
            return Ok(());
        }
        if !self.worker.body_memory.borrow_mut().take(self.client, more) {
            return Err(busy());
        }
        self.worker.metrics.body_memory.add(more as u64);
        self.bytes = bytes;
        Ok(())
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        if self.bytes > 0 {
            self.worker.body_memory.borrow_mut().release(self.client, self.bytes);
            self.worker.metrics.body_memory.sub(self.bytes as u64);
        }
    }
}

/// There is no room for the request.
pub(crate) fn busy() -> Reject {
    Reject::new(503, "the server is busy")
}

/// Reads the body to its end, or as much of it as is kept in memory.
///
/// # Errors
/// What is wrong with it, 408 when it is too slow, 503 when there is no memory left.
pub(crate) async fn gather(
    connection: &mut ClientConnection,
    request: &mut ProxyRequest,
    clock: &mut BodyClock,
    memory: &mut Reservation,
) -> Result<(), Reject> {
    if request.expects && request.taken == 0 {
        // The client waits for the backend to request it.
        return memory.grow_to(request.head.len() + unread(connection, request));
    }
    connection.guard.set(Activity::Body);
    let most = request.snapshot.shared.limits.body_buffer.0;
    while !request.content.is_done() && request.taken < most {
        let to_come = expected(request, most).max(unread(connection, request));
        memory.grow_to(request.head.len() + to_come)?;
        let ClientConnection { stream, buffer, deadline, guard, .. } = connection;
        let (mut reader, _) = stream.split();
        let wait_for_more = wait_for_more(&mut reader, buffer, deadline, clock);
        guard.unless_closing(wait_for_more).await.ok_or_else(busy)??;
        take_content_at_hand(connection, request)?;
    }
    memory.grow_to(request.head.len() + unread(connection, request))?;
    connection.guard.set(Activity::Busy);
    Ok(())
}

/// How much of the body a client may send over HTTP/2 before it is read. With HTTP/1.1 the
/// kernel holds it.
fn unread(connection: &ClientConnection, request: &ProxyRequest) -> usize {
    let window = STREAM_WINDOW as usize;
    match (connection.peer.multiplexes, request.chunked) {
        _ if request.content.is_done() => 0,
        (false, _) => 0,
        (true, true) => window,
        (true, false) => {
            usize::try_from(request.content.announced()).map_or(window, |left| window.min(left))
        }
    }
}

/// How much of the body is certainly still to come, of the part kept in memory.
fn expected(request: &ProxyRequest, most: u64) -> usize {
    let expected = request.content.announced().min(most.saturating_sub(request.taken));
    usize::try_from(expected).unwrap_or(usize::MAX)
}

/// Waits for more of a body.
///
/// # Errors
/// 408 when it takes too long, 400 when it ends too early.
pub(crate) async fn wait_for_more(
    reader: &mut Reader<'_>,
    buffer: &mut Buffer,
    deadline: &Deadline,
    clock: &mut BodyClock,
) -> Result<(), Reject> {
    deadline.set(Phase::Content, clock.timeout());
    let begun = Instant::now();
    match deadline.limit(reader.fill(buffer)).await {
        Err(_) => Err(Reject::new(408, "request content took too long")),
        Ok(Ok(0) | Err(_)) => Err(Reject::bad("request content is incomplete")),
        Ok(Ok(count)) => {
            clock.arrived(count, begun.elapsed());
            Ok(())
        }
    }
}

/// Takes the content that has already arrived, so that head and content are sent in one
/// piece and can be sent again.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn take_content_at_hand(
    connection: &mut ClientConnection,
    request: &mut ProxyRequest,
) -> Result<(), Reject> {
    if request.content.is_done() {
        return Ok(());
    }
    let most = request.snapshot.shared.limits.body_size.0;
    let decoded = request.content.decode(connection.buffer.filled_mut());
    let done = decoded.map_err(|error| Reject::bad(error.0))?;
    request.taken = request.taken.saturating_add(done.produced as u64);
    if request.taken.saturating_add(request.content.announced()) > most {
        return Err(Reject::new(413, "content too long"));
    }
    let payload = &connection.buffer.filled()[..done.produced];
    push_content(&mut request.head, payload, request.chunked, request.content.is_done());
    connection.worker.metrics.bytes_received.add(done.produced as u64);
    connection.buffer.consume(done.consumed);
    connection.buffer.release();
    Ok(())
}
