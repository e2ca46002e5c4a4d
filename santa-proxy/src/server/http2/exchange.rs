//! One stream: the request is written as HTTP/1.1 into a pipe, at whose other
//! end it is served like any connection's; the answer is read out of the pipe
//! and sent as frames. Both directions go at the pace of their receiver.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use h2::server::SendResponse;
use h2::{Reason, RecvStream, SendStream};
use tokio::io::duplex;

use crate::http::content::Content;
use crate::http::http2;
use crate::http::reject::Reject;
use crate::http::response::{LONGEST_HEAD, Response};
use crate::http::scan::{Found, Scan, ScanRules};
use crate::io::buffer::Buffer;
use crate::io::race::alongside;
use crate::io::stream::{Reader, Stream, Writer};
use crate::server::connection::Connection;
use crate::server::forward::push_content;
use crate::server::peer::Peer;
use crate::server::plan;
use crate::server::seats::Seat;
use crate::server::worker::Worker;

/// What a pipe holds in each direction.
const PIPE: usize = 32 * 1024;
/// A backend's head and what this proxy adds to it.
const RULES: ScanRules =
    ScanRules { start_line: 8192, head: LONGEST_HEAD + 8192, leading_empty_line: false };

/// Why a stream did not come to its proper end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Failure {
    /// The client has cancelled it, or takes nothing of it any more.
    Cancelled,
    /// The answer broke off.
    Broken,
}

impl From<h2::Error> for Failure {
    fn from(_: h2::Error) -> Self {
        Self::Cancelled
    }
}

/// Serves a stream to its end.
pub(super) async fn serve(
    worker: Rc<Worker>,
    peer: Peer,
    seat: Seat,
    request: http::Request<RecvStream>,
    respond: SendResponse<Bytes>,
) -> Result<(), Failure> {
    let (request, content) = request.into_parts();
    let patience = worker.local().shared.timeouts.body;
    let mut head = Vec::with_capacity(1024);
    let read = http2::request_head(&mut head, &request, !content.is_end_stream());
    let (near, far) = duplex(PIPE);
    let mut engine = Connection::of_stream(Rc::clone(&worker), Stream::pipe(near), peer, seat);
    let chunked = match read {
        Ok(chunked) => chunked,
        Err(reject) => return refuse(engine, &worker, reject, far, respond, patience).await,
    };
    let to_head = request.method == http::Method::HEAD;
    let exchange = async move {
        let mut far = Stream::pipe(far);
        let (reader, writer) = far.split();
        let answer = Answer { reader, buffer: Buffer::default(), respond, to_head, patience };
        let upload = upload(writer, &head, content, chunked);
        match alongside(answer.pass(), upload, Result::is_err).await {
            (Some(outcome), _) => outcome,
            (None, _) => Err(Failure::Cancelled),
        }
    };
    // Ending, it closes its end of the pipe.
    both(async move { engine.run().await }, exchange).await
}

/// Answers what could not even be said to the engine.
async fn refuse(
    mut engine: Connection,
    worker: &Rc<Worker>,
    reject: Reject,
    far: tokio::io::DuplexStream,
    respond: SendResponse<Bytes>,
    patience: Duration,
) -> Result<(), Failure> {
    let reply = plan::refuse(worker, engine.peer(), b"", reject);
    let exchange = async move {
        let mut far = Stream::pipe(far);
        let (reader, _) = far.split();
        let answer =
            Answer { reader, buffer: Buffer::default(), respond, to_head: false, patience };
        answer.pass().await
    };
    let engine = async move {
        // The stream ends with the answer, whatever a connection would do.
        let _: bool = engine.reply(reply).await;
    };
    both(engine, exchange).await
}

/// Drives both until the exchange is over. Then the engine, whose pipe is closed
/// by now, finishes what it does; after a failure it ends at once.
async fn both(
    engine: impl Future<Output = ()>,
    exchange: impl Future<Output = Result<(), Failure>>,
) -> Result<(), Failure> {
    let (mut engine, mut exchange) = (pin!(engine), pin!(exchange));
    let mut serving = true;
    poll_fn(|context| {
        serving = serving && engine.as_mut().poll(context).is_pending();
        exchange.as_mut().poll(context)
    })
    .await?;
    if serving {
        engine.await;
    }
    Ok(())
}

/// Writes the request into the pipe. Fails when the client cancels it; an
/// engine that reads no further has answered already.
async fn upload(
    mut writer: Writer<'_>,
    head: &[u8],
    mut content: RecvStream,
    chunked: bool,
) -> Result<(), Failure> {
    let mut readable = writer.write_all([head, &[], &[]]).await.is_ok();
    let mut frame = Vec::new();
    while let Some(piece) = poll_fn(|context| content.poll_data(context)).await {
        let piece = piece?;
        frame.clear();
        push_content(&mut frame, &piece, chunked, false);
        readable = readable && writer.write_all([&frame, &[], &[]]).await.is_ok();
        if !readable {
            break;
        }
        content.flow_control().release_capacity(piece.len())?;
    }
    if readable && chunked {
        readable = writer.write_all([b"0\r\n\r\n", &[], &[]]).await.is_ok();
    }
    if readable {
        // The engine may be gone by now, having answered.
        let _ = writer.shutdown().await;
    }
    // Dropping it would cancel the stream before it is answered.
    std::future::pending().await
}

/// The answer's direction.
struct Answer<'p> {
    reader: Reader<'p>,
    buffer: Buffer,
    respond: SendResponse<Bytes>,
    to_head: bool,
    /// How long the client may take nothing.
    patience: Duration,
}

impl Answer<'_> {
    async fn pass(mut self) -> Result<(), Failure> {
        loop {
            let (head, content) = self.read_head().await?;
            if head.status().is_informational() {
                self.respond.send_informational(head)?;
                continue;
            }
            let ends = content.is_done();
            let stream = self.respond.send_response(head, ends)?;
            return if ends { Ok(()) } else { self.pass_content(content, stream).await };
        }
    }

    async fn read_head(&mut self) -> Result<(http::Response<()>, Content), Failure> {
        let mut scan = Scan::default();
        loop {
            if !self.buffer.is_empty() {
                let found = scan.advance(self.buffer.filled(), &RULES).map_err(|_| self.fail())?;
                if let Found::Head(span) = found {
                    let response = Response::parse(self.buffer.filled(), &span, self.to_head);
                    let read = response.ok().and_then(|response| {
                        Some((
                            http2::response_head(&response)?,
                            Content::of_response(response.body),
                        ))
                    });
                    let read = read.ok_or_else(|| self.fail())?;
                    self.buffer.consume(span.end);
                    return Ok(read);
                }
            }
            let Self { reader, buffer, respond, .. } = self;
            let filled = poll_fn(|context| {
                if respond.poll_reset(context).is_ready() {
                    return Poll::Ready(Err(Failure::Cancelled));
                }
                reader.poll_fill(context, buffer).map_err(|_| Failure::Broken)
            });
            if filled.await? == 0 {
                return Err(self.fail());
            }
        }
    }

    /// Ends the stream because there is no answer that could be sent.
    fn fail(&mut self) -> Failure {
        self.respond.send_reset(Reason::INTERNAL_ERROR);
        Failure::Broken
    }

    async fn pass_content(
        mut self,
        mut content: Content,
        mut stream: SendStream<Bytes>,
    ) -> Result<(), Failure> {
        loop {
            let Ok(done) = content.decode(self.buffer.filled_mut()) else {
                return Err(broken(&mut stream));
            };
            let trailer = content.trailer();
            let ends = content.is_done() && trailer.is_empty();
            let piece = &self.buffer.filled()[..done.produced];
            send(&mut stream, piece, ends, self.patience).await?;
            self.buffer.consume(done.consumed);
            if content.is_done() {
                if let Some(fields) = http2::trailers(trailer).filter(|_| !ends) {
                    stream.send_trailers(fields)?;
                }
                return Ok(());
            }
            let Self { reader, buffer, .. } = &mut self;
            let filled = poll_fn(|context| {
                if stream.poll_reset(context).is_ready() {
                    return Poll::Ready(Err(Failure::Cancelled));
                }
                reader.poll_fill(context, buffer).map_err(|_| Failure::Broken)
            });
            if filled.await? == 0 {
                return Err(broken(&mut stream));
            }
        }
    }
}

/// The answer broke off: so does the stream, for the client to see.
fn broken(stream: &mut SendStream<Bytes>) -> Failure {
    stream.send_reset(Reason::INTERNAL_ERROR);
    Failure::Broken
}

/// Sends `piece` as the client makes room for it.
async fn send(
    stream: &mut SendStream<Bytes>,
    mut piece: &[u8],
    ends: bool,
    patience: Duration,
) -> Result<(), Failure> {
    if piece.is_empty() && ends {
        return Ok(stream.send_data(Bytes::new(), true)?);
    }
    while !piece.is_empty() {
        stream.reserve_capacity(piece.len());
        while stream.capacity() == 0 {
            let room = poll_fn(|context| stream.poll_capacity(context));
            match tokio::time::timeout(patience, room).await {
                Ok(Some(Ok(_))) => {}
                Ok(_) => return Err(Failure::Cancelled),
                Err(_) => {
                    stream.send_reset(Reason::ENHANCE_YOUR_CALM);
                    return Err(Failure::Cancelled);
                }
            }
        }
        let (now, later) = piece.split_at(stream.capacity().min(piece.len()));
        stream.send_data(Bytes::copy_from_slice(now), ends && later.is_empty())?;
        piece = later;
    }
    Ok(())
}
