//! Waits for a permit to use the backend, as long as the client waits.

use std::rc::Rc;

use super::body::{Reservation, busy};
use super::client_connection::ClientConnection;
use super::disconnect::client_gone;
use super::fair_queue::Lane;
use super::proxy_request::ProxyRequest;
use super::worker::Worker;
use crate::client_limits;
use crate::http::reject::Reject;
use crate::io::deadline::Phase;
use crate::io::drive::unless;

/// Why a request does not reach the backend.
pub(crate) enum NotAdmitted {
    /// The queue is full, or it waited for too long.
    Refused(Reject),
    /// The client is gone.
    ClientGone,
}

/// Counts a queued request.
struct Waiting(Rc<Worker>);

impl Waiting {
    fn new(worker: &Rc<Worker>) -> Self {
        worker.metrics.queued.add(1);
        Self(Rc::clone(worker))
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.metrics.queued.sub(1);
    }
}

/// Waits until the backend may get one more request.
pub(crate) async fn acquire_permit(
    connection: &mut ClientConnection,
    request: &mut ProxyRequest,
    memory: &mut Reservation,
) -> Result<(), NotAdmitted> {
    let (lane, client) = request.lane;
    let client = client_limits::client_key(client);
    let lane = if request.content.is_done() { lane } else { Lane::Upload };
    request.permit = connection.worker.limiter.try_acquire(lane, client);
    if request.permit.is_none() {
        memory.grow_to(request.head.len()).map_err(NotAdmitted::Refused)?;
        // Boxed: most requests do not wait.
        Box::pin(wait(connection, request, (lane, client))).await?;
    }
    Ok(())
}

async fn wait(
    connection: &mut ClientConnection,
    request: &mut ProxyRequest,
    (lane, client): (Lane, std::net::IpAddr),
) -> Result<(), NotAdmitted> {
    let ClientConnection { worker, stream, buffer, deadline, .. } = connection;
    let refused = |_| NotAdmitted::Refused(busy());
    let (slot, turn) = worker.limiter.enqueue(lane, client).map_err(refused)?;
    let _waiting = Waiting::new(worker);
    let (mut reader, _) = stream.split();
    let version = request.params.version;
    let gone = client_gone(&mut reader, buffer, version, || slot.mark_doubtful(), || true);
    deadline.set(Phase::Backend, request.snapshot.shared.timeouts.queue);
    match unless(deadline.limit(turn), gone).await {
        None => Err(NotAdmitted::ClientGone),
        Some(Ok(Ok(permit))) => {
            request.permit = Some(permit);
            Ok(())
        }
        Some(_) => Err(NotAdmitted::Refused(busy())),
    }
}
