//! One request and its response over one backend connection: the content is sent while the
//! response arrives, each at the pace of its receiver.

use std::cell::Cell;

use tokio::time::Instant;

use super::body_clock::BodyClock;
use super::client_connection::ClientConnection;
use super::disconnect::client_gone;
use super::fault::Fault;
use super::progress::Progress;
use super::proxy_request::ProxyRequest;
use super::send_clock::SendClock;
use super::upstream_response::{Finished, UpstreamResponse};
use crate::http::chunked::push_content;
use crate::http::content::Content;
use crate::http::reject::Reject;
use crate::http::version::Version;
use crate::io::buffer::{Buffer, recycle_vec, take_vec};
use crate::io::deadline::{Deadline, Expired, Phase};
use crate::io::drive::drive_with;
use crate::io::stream::{Reader, Writer};
use crate::metrics::WorkerMetrics;
use crate::upstream::pool::Lease;

/// An exchange that was completed.
#[derive(Debug)]
pub(crate) struct Done {
    /// Whether the client's connection stays open.
    pub(crate) keep: bool,
    /// Whether the request was read completely.
    pub(crate) complete: bool,
    /// Whether the backend's connection can carry another request.
    pub(crate) reusable: bool,
    /// The backend agreed to an upgrade; what it sent after its head.
    pub(crate) tunnel: Option<Buffer>,
}

/// Why sending stopped.
enum Unsent {
    /// The client's fault.
    Client(Reject),
    /// The backend accepts no more; its response may still come.
    Backend,
    /// The client is gone.
    Gone,
}

/// Performs one exchange.
pub(crate) async fn exchange(
    connection: &mut ClientConnection,
    request: &mut ProxyRequest,
    clock: &mut BodyClock,
    lease: &mut Lease,
) -> Result<Done, Fault> {
    let ClientConnection { worker, stream, buffer, deadline, .. } = connection;
    let ProxyRequest {
        head,
        content,
        chunked,
        taken,
        params,
        entry,
        snapshot,
        upgrade,
        trailers,
        expects,
        permit,
        ..
    } = request;
    let timeouts = &snapshot.shared.timeouts;
    // A client that has begun to send does not wait for 100.
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
        left: snapshot.shared.limits.body_size.0.saturating_sub(*taken),
        version: params.version,
        clock,
        deadline,
        timeouts,
        progress: &progress,
        metrics: &worker.metrics,
    };
    let mut receiving = UpstreamResponse {
        reader: backend_reader,
        writer: client_writer,
        buffer: Buffer::default(),
        worker,
        params,
        entry,
        permit,
        upgrade: *upgrade,
        trailers: *trailers,
        expects: *expects && !content_at_hand,
        deadline,
        clock: SendClock::new(&snapshot.shared.limits, timeouts, deadline),
        timeouts,
        hsts: snapshot.shared.hsts(params.secure),
        progress: &progress,
    };
    deadline.set(Phase::Backend, timeouts.response);
    let stop = |sent: &Unsent| !matches!(sent, Unsent::Backend);
    let leads = || !progress.sent.get();
    let both = drive_with(receiving.run(), sending.run(head), stop, leads);
    let outcome = deadline.limit(both).await;
    match outcome {
        Err(Expired(phase)) => Err(expired(phase, &progress)),
        Ok((None, Some(Unsent::Client(_)))) if progress.responding.get() => Err(Fault::ClientGone),
        Ok((None, Some(Unsent::Client(reject)))) => Err(Fault::Client(reject)),
        Ok((Some(Ok(finished)), _)) => Ok(done(finished, &progress)),
        Ok((Some(Err(fault)), _)) => Err(with_progress(fault, &progress)),
        Ok((None, _)) => Err(Fault::ClientGone),
    }
}

fn done(finished: Finished, progress: &Progress) -> Done {
    let sent = progress.sent.get();
    Done {
        keep: finished.keep && sent,
        complete: sent,
        reusable: finished.reusable && sent,
        tunnel: finished.tunnel,
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
        _ if progress.responding.get() && phase == Phase::Backend => {
            Fault::Broken("it stopped in the middle of its response")
        }
        _ if progress.responding.get() => Fault::ClientGone,
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
    /// Sends the request, then watches whether the client disconnects. Returns why that ended;
    /// never while all is well.
    async fn run(&mut self, first: &[u8]) -> Unsent {
        if let Err(unsent) = self.send(first).await {
            return unsent;
        }
        let Self { reader, buffer, version, progress, .. } = self;
        let may_send = || !progress.responding.get() && !progress.interim.get();
        client_gone(reader, buffer, *version, || {}, may_send).await;
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
        self.deadline.set(Phase::Content, self.clock.timeout());
        let begun = Instant::now();
        match self.reader.fill(self.buffer).await {
            Ok(0) | Err(_) => Err(Unsent::Client(Reject::bad("request content is incomplete"))),
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
            recycle_vec(out);
            written
        } else {
            self.writer.write_all([payload, &[], &[]]).await
        };
        self.buffer.consume(done.consumed);
        written.map_err(|_| Unsent::Backend)
    }
}
