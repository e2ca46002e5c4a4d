//! One client connection from accept to close: head after head, each planned
//! and carried out, until one side has had enough.

use std::future::poll_fn;
use std::io;
use std::rc::Rc;
use std::sync::atomic::Ordering;
use std::task::Poll;
use std::time::Duration;

use super::arrive::{Arrival, Arrived};
use super::body;
use super::body_clock::BodyClock;
use super::forward::{self, End};
use super::http2;
use super::peer::Peer;
use super::plan::{self, Plan};
use super::ready;
use super::seats::{Activity, Seat};
use super::send::Reply;
use super::tunnel;
use super::worker::Worker;
use crate::http::content::Content;
use crate::http::reject::Reject;
use crate::http::request::{check_start_line, scan_reject};
use crate::http::scan::{Found, HeadSpan, Scan};
use crate::io::buffer::Buffer;
use crate::io::deadline::{Deadline, Expired, Phase};
use crate::io::stream::Stream;

/// Content of a request answered by ourselves is read past up to this much.
const MOST_SKIPPED: u64 = 64 * 1024;
/// How long a client may take to read a last answer while it is still sending.
const LINGER: Duration = Duration::from_secs(2);
/// How much of what it still sends is read meanwhile, in bodies of the longest that is
/// taken: an answer may say that this one is longer.
const LINGERED_BODIES: u64 = 4;

/// A client connection.
#[derive(Debug)]
pub(crate) struct Connection {
    /// The worker that serves it.
    pub(crate) worker: Rc<Worker>,
    /// Its socket.
    pub(crate) stream: Stream,
    /// What was read and not yet used.
    pub(crate) buffer: Buffer,
    /// When its present phase has lasted too long.
    pub(crate) deadline: Deadline,
    /// What the worker knows of it.
    pub(crate) seat: Seat,
    peer: Peer,
    /// Whether a request has come on it.
    asked: bool,
}

/// What came instead of, or as, the next head.
enum Next {
    Head(HeadSpan),
    Refuse(Reject),
    End,
}

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
        self.0.connections.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Serves one connection to its end.
#[expect(clippy::manual_async_fn, reason = "an async fn keeps room for its arguments twice")]
pub(crate) fn serve(worker: Rc<Worker>, arrival: Arrival, seat: Seat) -> impl Future<Output = ()> {
    async move {
        let _counted = Counted::new(&worker);
        let deadline = Deadline::new(Phase::Head, worker.local().shared.timeouts.head);
        let arrived = if arrival.is_plain(&worker) {
            arrival.plain()
        } else {
            let remote = arrival.peer.ip();
            match Box::pin(seat.unless_leaving(arrival.greet(&worker, &deadline))).await {
                Some(Ok(arrived)) => arrived,
                Some(Err(why)) => {
                    why.tell(&worker, remote);
                    return worker.metrics.handshakes_failed.add(1);
                }
                None => return,
            }
        };
        let Arrived { stream, peer, place: _place } = arrived;
        let stream = match stream {
            Stream::Tls(session) if peer.multiplexes => {
                let session = session.into_inner();
                return Box::pin(http2::serve(&worker, session, peer, seat, &deadline)).await;
            }
            other => other,
        };
        let mut connection = Connection {
            worker,
            stream,
            buffer: Buffer::default(),
            deadline,
            seat,
            peer,
            asked: false,
        };
        connection.run().await;
        connection.stream.say_goodbye();
    }
}

impl Connection {
    /// A stream of an HTTP/2 connection, which is served as a connection of its
    /// own; `buffer` holds its head.
    pub(super) fn of_stream(
        worker: Rc<Worker>,
        stream: Stream,
        buffer: Buffer,
        peer: Peer,
        seat: Seat,
    ) -> Self {
        let deadline = Deadline::new(Phase::Head, worker.local().shared.timeouts.head);
        Self { worker, stream, buffer, deadline, seat, peer, asked: false }
    }

    /// Who is at the other end.
    pub(super) fn peer(&self) -> &Peer {
        &self.peer
    }

    /// Serves requests until one side has had enough.
    pub(super) async fn run(&mut self) {
        loop {
            let keep = match self.next_head().await {
                Next::End => return,
                Next::Refuse(reject) => {
                    self.seat.set(Activity::Busy);
                    let reply =
                        plan::refuse(&self.worker, &self.peer, self.buffer.filled(), reject);
                    self.reply(reply).await
                }
                Next::Head(span) => self.serve_request(&span).await,
            };
            if !keep {
                return;
            }
            self.seat.set(Activity::Idle);
        }
    }

    async fn serve_request(&mut self, span: &HeadSpan) -> bool {
        self.seat.set(Activity::Busy);
        self.asked = true;
        let stream = &self.stream;
        let plan = plan::decide(&self.worker, self.buffer.filled(), span, &self.peer, || {
            stream.local_address()
        });
        self.buffer.consume(span.end);
        self.buffer.release();
        match plan {
            Plan::Reply(reply) => self.reply(reply).await,
            Plan::Ready(pending) => {
                let reply = Box::pin(ready::reply(&self.worker, pending)).await;
                self.reply(reply).await
            }
            Plan::Forward(request) => match Box::pin(forward::forward(self, request)).await {
                End::Keep => true,
                End::Close => false,
                End::Linger => {
                    self.linger().await;
                    false
                }
                End::Reply(reply) => self.reply(*reply).await,
                End::Tunnel(tunnel) => {
                    self.seat.set(Activity::Tunnel);
                    tunnel::run(self, tunnel).await;
                    false
                }
            },
        }
    }

    /// Waits for the next complete head.
    async fn next_head(&mut self) -> Next {
        let local = self.worker.local();
        let (limits, timeouts) = (&local.shared.head, &local.shared.timeouts);
        let rules = limits.scan_rules();
        let mut scan = Scan::default();
        let mut in_head = false;
        loop {
            if !self.buffer.is_empty() {
                match scan.advance(self.buffer.filled(), &rules) {
                    Ok(Found::Head(span)) => return Next::Head(span),
                    Err(error) => return Next::Refuse(scan_reject(error)),
                    Ok(Found::More(Some(line))) => {
                        if let Err(reject) = check_start_line(self.buffer.filled(), line, limits) {
                            return Next::Refuse(reject);
                        }
                    }
                    Ok(Found::More(None)) => {}
                }
            }
            let draining = self.worker.is_draining();
            if self.buffer.is_empty() {
                let patience = match (draining, self.asked) {
                    (true, _) => timeouts.linger,
                    (false, true) => timeouts.idle,
                    // Whoever has a request sends it at once.
                    (false, false) => timeouts.idle.min(timeouts.head),
                };
                self.deadline.set(Phase::Idle, patience);
            } else if !in_head {
                in_head = true;
                self.seat.set(Activity::Head);
                self.deadline.set(Phase::Head, timeouts.head);
            }
            match self.arrival(draining, timeouts.linger).await {
                Err(Expired(Phase::Head)) => {
                    return Next::Refuse(Reject::new(408, "request head took too long"));
                }
                // The runtime has not heard yet of bytes that are there already.
                Err(Expired(Phase::Idle)) if !self.stream.is_quiet() => {}
                Ok(Some(Ok(0))) if in_head => {
                    return Next::Refuse(Reject::bad("request head ends too early"));
                }
                Err(_) | Ok(None | Some(Ok(0) | Err(_))) => return Next::End,
                Ok(Some(Ok(_))) => {}
            }
        }
    }

    /// Waits for bytes; gives nothing when the connection has to make room. Between
    /// two requests, the start of a drain shortens the wait to `linger`, unless it
    /// was `draining` already.
    async fn arrival(
        &mut self,
        mut draining: bool,
        linger: Duration,
    ) -> Result<Option<io::Result<usize>>, Expired> {
        let Self { worker, stream, buffer, deadline, seat, .. } = self;
        let idle = buffer.is_empty();
        let (mut reader, _) = stream.split();
        let arrival = poll_fn(|context| {
            let polled = reader.poll_fill(context, buffer);
            if polled.is_pending() {
                if seat.leaves() {
                    return Poll::Ready(None);
                }
                seat.wait(context);
                if idle && !draining && worker.is_draining() {
                    draining = true;
                    deadline.set(Phase::Idle, linger);
                }
            }
            polled.map(Some)
        });
        deadline.limit(arrival).await
    }

    /// Writes an answer of our own; gives whether the connection stays open.
    pub(super) async fn reply(&mut self, reply: Reply) -> bool {
        let (_, mut writer) = self.stream.split();
        let Ok((keep, content)) = reply.write(&mut writer, &self.deadline).await else {
            self.stream.abort_on_close();
            return false;
        };
        if keep && self.skip(content).await {
            return true;
        }
        self.linger().await;
        false
    }

    /// Reads past the content of a request that was answered by ourselves.
    async fn skip(&mut self, mut content: Content) -> bool {
        if content.is_done() {
            return true;
        }
        let local = self.worker.local();
        let mut clock = BodyClock::new(&local.shared.limits, &local.shared.timeouts, 0);
        let mut skipped = 0;
        loop {
            let Ok(done) = content.decode(self.buffer.filled_mut()) else { return false };
            self.buffer.consume(done.consumed);
            skipped += done.consumed as u64;
            if content.is_done() {
                return true;
            }
            if skipped > MOST_SKIPPED {
                return false;
            }
            let Self { stream, buffer, deadline, .. } = self;
            let (mut reader, _) = stream.split();
            if body::arrival(&mut reader, buffer, deadline, &mut clock).await.is_err() {
                return false;
            }
        }
    }

    /// Ends our direction and reads on for a moment: closing with unread bytes
    /// would make the kernel destroy the answer on its way (RFC 9112 §9.6), and
    /// many clients look for it only when all is sent.
    async fn linger(&mut self) {
        let limit = self.worker.local().shared.limits.body_size.0;
        let most = limit.saturating_mul(LINGERED_BODIES);
        let (mut reader, mut writer) = self.stream.split();
        self.deadline.set(Phase::Idle, LINGER);
        let buffer = &mut self.buffer;
        let lingering = async {
            writer.shutdown().await?;
            let mut read = 0;
            while read < most {
                buffer.consume(buffer.filled().len());
                match reader.fill(buffer).await? {
                    0 => break,
                    count => read += count as u64,
                }
            }
            io::Result::Ok(())
        };
        // However it ends, the connection is closed next.
        let _ = self.deadline.limit(lingering).await;
    }
}
