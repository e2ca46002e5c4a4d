//! One HTTP/2 connection (behind TLS only): its streams, and the limits that a
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
/// Streams that may be reset for errors of the client before it is sent away.
const MOST_ERRORS: usize = 100;
/// How long a client may take to learn that the connection ends.
const GOAWAY_TIMEOUT: Duration = Duration::from_secs(2);

/// A new stream.
type Stream = (http::Request<RecvStream>, SendResponse<Bytes>);

/// What the streams of a connection have done.
#[derive(Debug)]
struct Tally {
    opened: Cell<u64>,
    cancelled: Cell<u64>,
    last_end: Cell<Instant>,
}

/// Counts a stream for as long as it lives.
struct Counted(Rc<Tally>);

impl Counted {
    fn new(tally: &Rc<Tally>) -> Self {
        tally.opened.set(tally.opened.get() + 1);
        Self(Rc::clone(tally))
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
    let tally = Tally {
        opened: Cell::new(0),
        cancelled: Cell::new(0),
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
        tally: Rc::new(tally),
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
    tally: Rc<Tally>,
    /// Those that are open, and the connection's place in the table.
    streams: Rc<Streams>,
    /// The client has been told to open no more streams.
    ending: bool,
    /// It makes room for another connection, whatever becomes of its streams.
    making_room: bool,
}

impl Session<'_> {
    async fn run(mut self) {
        self.deadline.set(Phase::Idle, self.first);
        loop {
            let deadline = self.deadline;
            match deadline.limit(poll_fn(|context| self.poll_stream(context))).await {
                Ok(Some(Ok(stream))) => self.open(stream),
                // An error has been told to the client, or it is gone.
                Ok(None | Some(Err(_))) => return,
                Err(_) if self.ending && (self.making_room || self.streams.is_empty()) => return,
                Err(_) => self.look_around(),
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
            self.cut(Reason::NO_ERROR);
        } else if streams.should_close() && streams.are_slow_bodies() {
            streams.ask_to_close();
            self.making_room = true;
            self.end();
        } else if self.worker.is_draining() {
            self.end();
        }
        let Tally { opened, cancelled, .. } = &*self.tally;
        if is_abuse(opened.get(), cancelled.get()) && !self.ending {
            self.worker.metrics.streams_abused.add(1);
            self.cut(Reason::ENHANCE_YOUR_CALM);
        }
        self.connection.poll_accept(context)
    }

    fn open(&self, (request, respond): Stream) {
        let (worker, peer) = (Rc::clone(self.worker), self.peer.clone());
        let guard = ConnectionGuard::for_stream(&worker.table, &self.streams);
        let index = guard.index();
        let counted = Counted::new(&self.tally);
        let task = tokio::task::spawn_local(async move {
            let outcome = stream::serve(worker, peer, guard, request, respond).await;
            if outcome == Err(stream_io::Failure::Cancelled) {
                counted.0.cancelled.set(counted.0.cancelled.get() + 1);
            }
        });
        self.worker.table.set_task(index, task.abort_handle());
    }

    /// Time is up: for good when nothing has happened for `idle`.
    fn look_around(&mut self) {
        let quiet = self.tally.last_end.get().elapsed();
        if !self.streams.is_empty() {
            self.deadline.set(Phase::Idle, self.idle.max(GOAWAY_TIMEOUT));
            return;
        }
        let fresh = self.tally.opened.get() == 0;
        let patience = if fresh { self.first } else { self.idle };
        match patience.checked_sub(quiet) {
            Some(left) if !left.is_zero() => self.deadline.set(Phase::Idle, left),
            _ if fresh => self.cut(Reason::NO_ERROR),
            _ => self.end(),
        }
    }

    /// Tells the client that streams under way are the last (RFC 9113 §6.8).
    fn end(&mut self) {
        if !self.ending {
            self.ending = true;
            self.connection.graceful_shutdown();
            self.deadline.set(Phase::Idle, GOAWAY_TIMEOUT);
        }
    }

    /// Tells the client that the connection ends, and why.
    fn cut(&mut self, reason: Reason) {
        if !self.ending {
            self.ending = true;
            self.connection.abrupt_shutdown(reason);
            self.deadline.set(Phase::Idle, GOAWAY_TIMEOUT);
        }
    }
}
