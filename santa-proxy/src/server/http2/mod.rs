//! One HTTP/2 connection (over TLS only): its streams, and the limits that a
//! client cannot get around by opening many. Each stream is served by
//! `stream` as if it were a connection of its own.

mod stream;
mod stream_io;

use std::cell::Cell;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use h2::server::{Builder, Connection, SendResponse};
use h2::{Reason, RecvStream};
use tokio::time::Instant;

use super::body::STREAM_WINDOW;
use super::connection_guard::ConnectionGuard;
use super::peer::Peer;
use super::streams::Streams;
use super::worker::Worker;
use crate::http::http2::is_abuse;
use crate::io::deadline::{Deadline, Phase};
use crate::io::stream::Secure;

/// What a client may send on all streams of a connection before it is read.
const CONNECTION_WINDOW: u32 = 512 * 1024;
/// Streams that may be reset for errors of the client before the connection is closed.
const MOST_ERRORS: usize = 100;
/// How long a client may take to receive GOAWAY.
const GOAWAY_TIMEOUT: Duration = Duration::from_secs(2);

/// A new stream.
type Stream = (http::Request<RecvStream>, SendResponse<Bytes>);

/// What the streams of a connection have done.
#[derive(Debug)]
struct StreamCounts {
    opened: Cell<u64>,
    canceled: Cell<u64>,
    last_end: Cell<Instant>,
}

/// Counts a stream for as long as it lives.
struct Counted(Rc<StreamCounts>);

impl Counted {
    fn new(counts: &Rc<StreamCounts>) -> Self {
        counts.opened.set(counts.opened.get() + 1);
        Self(Rc::clone(counts))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.last_end.set(Instant::now());
    }
}

/// Serves a connection to its end.
pub(super) async fn serve(
    worker: &Rc<Worker>,
    session: Secure,
    peer: Peer,
    guard: ConnectionGuard,
    deadline: &Deadline,
) {
    let snapshot = worker.snapshot();
    let limits = &snapshot.shared.limits;
    let handshake = Builder::new()
        .max_concurrent_streams(limits.streams)
        .max_header_list_size(u32::try_from(snapshot.shared.head.head).unwrap_or(u32::MAX))
        .initial_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_local_error_reset_streams(Some(MOST_ERRORS))
        .handshake(session);
    let connection = match guard.unless_closing(deadline.limit(handshake)).await {
        Some(Ok(Ok(connection))) => connection,
        Some(_) => return worker.metrics.handshakes_failed.add(1),
        None => return,
    };
    let counts = StreamCounts {
        opened: Cell::new(0),
        canceled: Cell::new(0),
        last_end: Cell::new(Instant::now()),
    };
    let timeouts = &snapshot.shared.timeouts;
    let session = Session {
        worker,
        connection,
        peer,
        deadline,
        first: timeouts.idle.min(timeouts.head),
        idle: timeouts.idle,
        counts: Rc::new(counts),
        streams: Rc::new(guard.into_streams()),
        ending: false,
        making_room: false,
    };
    session.run().await;
}

struct Session<'s> {
    worker: &'s Rc<Worker>,
    connection: Connection<Secure, Bytes>,
    peer: Peer,
    deadline: &'s Deadline,
    /// How long it may take to open its first stream.
    first: Duration,
    /// How long it may be without a stream.
    idle: Duration,
    counts: Rc<StreamCounts>,
    /// The open streams, and the connection's entry in the table.
    streams: Rc<Streams>,
    /// The client has got GOAWAY: it opens no more streams.
    ending: bool,
    /// It makes room for another connection, whatever happens to its streams.
    making_room: bool,
}

impl Session<'_> {
    async fn run(mut self) {
        self.deadline.set(Phase::Idle, self.first);
        loop {
            let deadline = self.deadline;
            match deadline.limit(poll_fn(|context| self.poll_stream(context))).await {
                Ok(Some(Ok(stream))) => self.open(stream),
                // The client got the error, or it is gone.
                Ok(None | Some(Err(_))) => return,
                Err(_) if self.ending && (self.making_room || self.streams.is_empty()) => return,
                Err(_) => self.check_idle(),
            }
        }
    }

    /// The next stream; drives all others along.
    fn poll_stream(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Stream, h2::Error>>> {
        let streams = &self.streams;
        streams.register(context);
        if streams.should_close() && streams.is_empty() {
            // At once: what was sent meanwhile can be sent again (RFC 9113 §6.8).
            self.close(Reason::NO_ERROR);
        } else if streams.should_close() && streams.are_slow_bodies() {
            streams.ask_to_close();
            self.making_room = true;
            self.drain();
        } else if self.worker.is_draining() {
            self.drain();
        }
        let StreamCounts { opened, canceled, .. } = &*self.counts;
        if is_abuse(opened.get(), canceled.get()) && !self.ending {
            self.worker.metrics.streams_abused.add(1);
            self.close(Reason::ENHANCE_YOUR_CALM);
        }
        self.connection.poll_accept(context)
    }

    fn open(&self, (request, respond): Stream) {
        let (worker, peer) = (Rc::clone(self.worker), self.peer.clone());
        let guard = ConnectionGuard::for_stream(&worker.table, &self.streams);
        let index = guard.index();
        let counted = Counted::new(&self.counts);
        let task = tokio::task::spawn_local(async move {
            let outcome = stream::serve(worker, peer, guard, request, respond).await;
            if outcome == Err(stream_io::Failure::Canceled) {
                counted.0.canceled.set(counted.0.canceled.get() + 1);
            }
        });
        self.worker.table.set_task(index, task.abort_handle());
    }

    /// The deadline has expired: closes the connection if nothing has happened for `idle`.
    fn check_idle(&mut self) {
        let quiet = self.counts.last_end.get().elapsed();
        if !self.streams.is_empty() {
            self.deadline.set(Phase::Idle, self.idle.max(GOAWAY_TIMEOUT));
            return;
        }
        let fresh = self.counts.opened.get() == 0;
        let timeout = if fresh { self.first } else { self.idle };
        match timeout.checked_sub(quiet) {
            Some(left) if !left.is_zero() => self.deadline.set(Phase::Idle, left),
            _ if fresh => self.close(Reason::NO_ERROR),
            _ => self.drain(),
        }
    }

    /// Tells the client that open streams are the last ones (RFC 9113 §6.8).
    fn drain(&mut self) {
        if !self.ending {
            self.ending = true;
            self.connection.graceful_shutdown();
            self.deadline.set(Phase::Idle, GOAWAY_TIMEOUT);
        }
    }

    /// Closes the connection with a reason (GOAWAY).
    fn close(&mut self, reason: Reason) {
        if !self.ending {
            self.ending = true;
            self.connection.abrupt_shutdown(reason);
            self.deadline.set(Phase::Idle, GOAWAY_TIMEOUT);
        }
    }
}
