//! Serves an accepted connection to its end: PROXY protocol and TLS, then HTTP/1.1 or
//! HTTP/2 as negotiated. The only place where that choice is made.

use std::future::Future;
use std::rc::Rc;
use std::sync::atomic::Ordering;

use super::client_connection::ClientConnection;
use super::connection_guard::ConnectionGuard;
use super::handshake::{Accepted, Established};
use super::worker::Worker;
use super::{http2, request_loop};
use crate::io::buffer::Buffer;
use crate::io::deadline::{Deadline, Phase};
use crate::io::stream::Stream;

/// Counts a connection for as long as it lives.
struct Counted(Rc<Worker>);

impl Counted {
    fn new(worker: &Rc<Worker>) -> Self {
        worker.metrics.open.add(1);
        Self(Rc::clone(worker))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.metrics.open.sub(1);
        self.0.shared.connections.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Serves one connection to its end.
#[expect(clippy::manual_async_fn, reason = "an async fn keeps room for its arguments twice")]
pub(crate) fn serve(
    worker: Rc<Worker>,
    accepted: Accepted,
    guard: ConnectionGuard,
) -> impl Future<Output = ()> {
    async move {
        let _counted = Counted::new(&worker);
        let deadline = Deadline::new(Phase::Head, worker.snapshot().shared.timeouts.head);
        let established = if accepted.needs_handshake(&worker) {
            let remote = accepted.peer.ip();
            match Box::pin(guard.unless_closing(accepted.handshake(&worker, &deadline))).await {
                Some(Ok(established)) => established,
                Some(Err(error)) => {
                    error.log(&worker, remote);
                    return worker.metrics.handshakes_failed.add(1);
                }
                None => return,
            }
        } else {
            accepted.plain()
        };
        let Established { stream, peer, slot: _slot } = established;
        let stream = match stream {
            Stream::Tls(session) if peer.multiplexes => {
                let session = session.into_inner();
                return Box::pin(http2::serve(&worker, session, peer, guard, &deadline)).await;
            }
            other => other,
        };
        let mut connection = ClientConnection {
            worker,
            stream,
            buffer: Buffer::default(),
            deadline,
            guard,
            peer,
            had_request: false,
        };
        request_loop::run(&mut connection).await;
        connection.stream.send_close_notify();
    }
}
