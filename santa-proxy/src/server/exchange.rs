//! One request and its answer over one backend connection: the content goes out
//! while the answer comes in, each at the pace of its receiver.

use std::cell::Cell;

use tokio::time::Instant;

use super::body_clock::BodyClock;
use super::connection::Connection;
use super::forward::push_content;
use super::plan::Forward;
use super::presence::client_gone;
use super::relay::{Relay, Relayed};
use super::send_clock::SendClock;
use crate::http::content::Content;
use crate::http::reject::Reject;
use crate::http::request::Version;
use crate::io::buffer::{Buffer, give_vec, take_vec};
use crate::io::deadline::{Deadline, Expired, Phase};
use crate::io::race::alongside;
use crate::io::stream::{Reader, Writer};
use crate::metrics::WorkerMetrics;
use crate::upstream::pool::Lease;

/// An exchange that came to its end.
#[derive(Debug)]
pub(crate) struct Done {
    /// Whether the client's connection stays open.
    pub(crate) keep: bool,
    /// Whether the request was read to its end.
    pub(crate) complete: bool,
    /// Whether the backend's connection can carry another request.
    pub(crate) reusable: bool,
    /// The backend agreed to an upgrade; what it sent behind its head.
    pub(crate) tunnel: Option<Buffer>,
}

/// Why an exchange failed, and whose fault it is.
#[derive(Debug)]
pub(crate) enum Fault {
    /// The backend closed the connection before any byte of a final answer.
    BackendClosed {
        /// It certainly has not taken the request.
        untouched: bool,
        /// Everything sent so far can be sent again.
        at_hand: bool,
    },
    /// The backend's head breaks this rule.
    BackendBad(&'static str),
    /// The backend did not answer in time.
    BackendSlow,
    /// The backend failed after its head had been passed on.
    Broken(&'static str),
    /// The client's content breaks a rule; there is no answer yet.
    Client(Reject),
    /// The client is gone, or an answer to it is under way and cannot be ended.
    ClientGone,
}

/// What both directions know of each other.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    /// The request has been passed on completely.
    pub(crate) sent: Cell<bool>,
    /// The final head has been passed to the client.
    pub(crate) answering: Cell<bool>,
    /// An interim answer has been passed to the client.
    pub(crate) interim: Cell<bool>,
    /// More has been read from the client than the first piece.
    pub(crate) read_on: Cell<bool>,
    /// The backend took nothing of the request.
    refused: Cell<bool>,
}

/// Why sending stopped.
enum Unsent {
    /// The client's fault.
    Client(Reject),
    /// The backend takes no more; its answer may still come.
    Backend,
    /// The client does not wait for the answer.
    Gone,
}

/// Carries out one exchange.
pub(crate) async fn exchange(
    connection: &mut Connection,
    request: &mut Forward,
    clock: &mut BodyClock,
    lease: &mut Lease,
) -> Result<Done, Fault> {
    let Connection { worker, stream, buffer, deadline, .. } = connection;
    let Forward {
        head,
        content,
        chunked,
        taken,
        terms,
        record,
        local,
        upgrade,
        trailers,
        expects,
        permit,
        ..
    } = request;
    let timeouts = &local.shared.timeouts;
    // A client that has begun does not wait.
    let content_at_hand = *taken > 0 || content.is_done();
    let progress = Progress::default();
    let (client_reader, client_writer) = stream.split();
    let (backend_reader, backend_writer) = lease.stream.split();
    let mut sending = Sending {
        reader: client_reader,
        writer: backend_writer,
        buffer,
        content,
        chunked: *chunked,
        left: local.shared.limits.body_size.0.saturating_sub(*taken),
        version: terms.version,
        clock,
        deadline,
        timeouts,
        progress: &progress,
        metrics: &worker.metrics,
    };
    let mut relay = Relay {
        reader: backend_reader,
        writer: client_writer,
        buffer: Buffer::default(),
        worker,
        terms,
        record,
        permit,
        upgrade: *upgrade,
        trailers: *trailers,
        expects: *expects && !content_at_hand,
        deadline,
        clock: SendClock::new(&local.shared.limits, timeouts, deadline),
        timeouts,
        hsts: local.shared.hsts(terms.secure),
        progress: &progress,
    };
    deadline.set(Phase::Backend, timeouts.response);
    let stop = |sent: &Unsent| !matches!(sent, Unsent::Backend);
    let leads = || !progress.sent.get();
    let both = alongside(relay.run(), sending.run(head), stop, leads);
    let outcome = deadline.limit(both).await;
    match outcome {
        Err(Expired(phase)) => Err(expired(phase, &progress)),
        Ok((None, Some(Unsent::Client(_)))) if progress.answering.get() => Err(Fault::ClientGone),
        Ok((None, Some(Unsent::Client(reject)))) => Err(Fault::Client(reject)),
        Ok((Some(Ok(relayed)), _)) => Ok(done(relayed, &progress)),
        Ok((Some(Err(fault)), _)) => Err(with_progress(fault, &progress)),
        Ok((None, _)) => Err(Fault::ClientGone),
    }
}

fn done(relayed: Relayed, progress: &Progress) -> Done {
    let sent = progress.sent.get();
    Done {
        keep: relayed.keep && sent,
        complete: sent,
        reusable: relayed.reusable && sent,
        tunnel: relayed.tunnel,
    }
}

fn with_progress(fault: Fault, progress: &Progress) -> Fault {
    match fault {
        Fault::BackendClosed { untouched, at_hand } => Fault::BackendClosed {
            untouched: untouched || progress.refused.get(),
            at_hand: at_hand && !progress.read_on.get() && !progress.interim.get(),
        },
        other => other,
    }
}

fn expired(phase: Phase, progress: &Progress) -> Fault {
    match phase {
        _ if progress.answering.get() && phase == Phase::Backend => {
            Fault::Broken("it stopped in the middle of an answer")
        }
        _ if progress.answering.get() => Fault::ClientGone,
        Phase::Content => Fault::Client(Reject::new(408, "request content took too long")),
        Phase::Backend => Fault::BackendSlow,
        _ => Fault::ClientGone,
    }
}

/// The request's direction.
struct Sending<'x> {
    reader: Reader<'x>,
    writer: Writer<'x>,
    buffer: &'x mut Buffer,
    content: &'x mut Content,
    chunked: bool,
    /// Content bytes that may still come.
    left: u64,
    version: Version,
    clock: &'x mut BodyClock,
    deadline: &'x Deadline,
    timeouts: &'x santa_config::ProxyTimeouts,
    progress: &'x Progress,
    metrics: &'x WorkerMetrics,
}

impl Sending<'_> {
    /// Sends the request, then watches whether its client still waits. Gives why
    /// that ended; never when all is well.
    async fn run(&mut self, first: &[u8]) -> Unsent {
        if let Err(unsent) = self.send(first).await {
            return unsent;
        }
        let Self { reader, buffer, version, progress, .. } = self;
        let may_ask = || !progress.answering.get() && !progress.interim.get();
        client_gone(reader, buffer, *version, || {}, may_ask).await;
        Unsent::Gone
    }

    /// Sends the first piece, then the rest of the content as it arrives.
    async fn send(&mut self, first: &[u8]) -> Result<(), Unsent> {
        let begun = Cell::new(false);
        if self.writer.write_with([first, &[], &[]], |_| begun.set(true)).await.is_err() {
            self.progress.refused.set(!begun.get());
            return Err(Unsent::Backend);
        }
        while !self.content.is_done() {
            if self.buffer.is_empty() {
                self.read_more().await?;
            }
            self.pass_on().await?;
        }
        self.progress.sent.set(true);
        self.deadline.set(Phase::Backend, self.timeouts.response);
        Ok(())
    }

    async fn read_more(&mut self) -> Result<(), Unsent> {
        self.deadline.set(Phase::Content, self.clock.patience());
        let begun = Instant::now();
        match self.reader.fill(self.buffer).await {
            Ok(0) | Err(_) => Err(Unsent::Client(Reject::bad("request content ends too early"))),
            Ok(count) => {
                self.clock.arrived(count, begun.elapsed());
                self.progress.read_on.set(true);
                Ok(())
            }
        }
    }

    async fn pass_on(&mut self) -> Result<(), Unsent> {
        let done = self
            .content
            .decode(self.buffer.filled_mut())
            .map_err(|error| Unsent::Client(Reject::bad(error.0)))?;
        self.metrics.bytes_received.add(done.produced as u64);
        self.left = self
            .left
            .checked_sub(done.produced as u64)
            .filter(|left| self.content.announced() <= *left)
            .ok_or(Unsent::Client(Reject::new(413, "content too long")))?;
        let payload = &self.buffer.filled()[..done.produced];
        let last = self.content.is_done();
        self.deadline.set(Phase::Backend, self.timeouts.response);
        let written = if self.chunked {
            let mut out = take_vec();
            push_content(&mut out, payload, true, last);
            let written = self.writer.write_all([&out, &[], &[]]).await;
            give_vec(out);
            written
        } else {
            self.writer.write_all([payload, &[], &[]]).await
        };
        self.buffer.consume(done.consumed);
        written.map_err(|_| Unsent::Backend)
    }
}
