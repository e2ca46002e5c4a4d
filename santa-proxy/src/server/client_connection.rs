//! A client connection on which requests are read, or one HTTP/2 stream that looks like
//! one. Plain state; `request_loop` serves it.

use std::rc::Rc;

use super::connection_guard::ConnectionGuard;
use super::peer::Peer;
use super::worker::Worker;
use crate::io::buffer::Buffer;
use crate::io::deadline::{Deadline, Phase};
use crate::io::stream::Stream;

/// A client connection.
#[derive(Debug)]
pub(crate) struct ClientConnection {
    /// The worker that serves it.
    pub(super) worker: Rc<Worker>,
    /// Its socket.
    pub(super) stream: Stream,
    /// What was read and not yet used.
    pub(super) buffer: Buffer,
    /// When its current phase has taken too long.
    pub(super) deadline: Deadline,
    /// Its entry in the worker's table.
    pub(super) guard: ConnectionGuard,
    /// Who is at the other end.
    pub(super) peer: Peer,
    /// Whether a complete request head has arrived on it.
    pub(super) had_request: bool,
}

impl ClientConnection {
    /// A stream of an HTTP/2 connection; `buffer` holds its head.
    pub(super) fn of_stream(
        worker: Rc<Worker>,
        stream: Stream,
        buffer: Buffer,
        peer: Peer,
        guard: ConnectionGuard,
    ) -> Self {
        let deadline = Deadline::new(Phase::Head, worker.snapshot().shared.timeouts.head);
        Self { worker, stream, buffer, deadline, guard, peer, had_request: false }
    }
}
