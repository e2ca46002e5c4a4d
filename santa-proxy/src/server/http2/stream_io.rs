//! A stream that reads and writes like an HTTP/1.1 connection: content arrives as it would
//! there, and what is written is sent as frames. Nothing is buffered but the unfinished
//! head of a response.

use std::io::{self, IoSlice};
use std::task::{Context, Poll, Waker, ready};

use bytes::Bytes;
use h2::server::SendResponse;
use h2::{Reason, RecvStream, SendStream};

use crate::http::chunked::push_content;
use crate::http::content::Content;
use crate::http::http2;
use crate::http::response::{LONGEST_HEAD, Response};
use crate::http::scan::{Found, Scan, ScanRules};
use crate::io::buffer::{Buffer, recycle_vec, take_vec};
use crate::io::stream::Endpoint;

/// The limits of a backend's head and what this proxy adds to it.
const RULES: ScanRules =
    ScanRules { start_line: 8192, head: LONGEST_HEAD + 8192, leading_empty_line: false };

/// Why a stream did not end properly.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Failure {
    /// The client has canceled it, or no longer receives it.
    Canceled,
    /// The response is incomplete.
    Broken,
}

/// One stream.
#[derive(Debug)]
pub(super) struct StreamIo {
    incoming: Incoming,
    outgoing: Outgoing,
    /// The response is to HEAD: its length is not that of its content.
    to_head: bool,
    /// The client has granted no window for what is to be sent.
    stuck: bool,
}

/// The content of the request.
#[derive(Debug)]
struct Incoming {
    stream: RecvStream,
    /// Whether it reads as chunks, because its length is not known.
    chunked: bool,
    /// Whether all of it has been read.
    ended: bool,
}

/// The state of the response.
#[derive(Debug)]
enum Outgoing {
    /// At a head; what has been written of it.
    Head(SendResponse<Bytes>, Vec<u8>),
    /// In its content.
    Content(SendStream<Bytes>, Content),
    /// Complete.
    Ended,
    /// Canceled by the client.
    Canceled,
}

impl StreamIo {
    /// A stream whose head has been read; `chunked` says how its content reads.
    pub(super) fn new(
        content: RecvStream,
        respond: SendResponse<Bytes>,
        chunked: bool,
        to_head: bool,
    ) -> Self {
        Self {
            incoming: Incoming { stream: content, chunked, ended: false },
            outgoing: Outgoing::Head(respond, Vec::new()),
            to_head,
            stuck: false,
        }
    }

    /// Ready when the client has canceled the stream before its end.
    pub(super) fn poll_canceled(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let polled = match &mut self.outgoing {
            Outgoing::Head(respond, _) => respond.poll_reset(context),
            Outgoing::Content(stream, _) => stream.poll_reset(context),
            Outgoing::Ended | Outgoing::Canceled => return Poll::Pending,
        };
        polled.map(|_| self.outgoing = Outgoing::Canceled)
    }

    /// Nothing more will be written: resets an incomplete stream, so that the client sees
    /// that it is.
    pub(super) fn finish(&mut self) -> Result<(), Failure> {
        let _: Poll<()> = self.poll_canceled(&mut Context::from_waker(Waker::noop()));
        let (reason, failure) = match self.stuck {
            true => (Reason::ENHANCE_YOUR_CALM, Failure::Canceled),
            false => (Reason::INTERNAL_ERROR, Failure::Broken),
        };
        match &mut self.outgoing {
            Outgoing::Ended => return Ok(()),
            Outgoing::Canceled => return Err(Failure::Canceled),
            Outgoing::Head(respond, _) => respond.send_reset(reason),
            Outgoing::Content(stream, _) => stream.send_reset(reason),
        }
        Err(failure)
    }

    /// Takes bytes of a head; sends it once it is complete.
    fn write_head(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let Outgoing::Head(respond, head) = &mut self.outgoing else { return Ok(0) };
        let before = head.len();
        head.extend_from_slice(bytes);
        let found = Scan::default().advance(head, &RULES).map_err(|_| invalid())?;
        let Found::Head(span) = found else { return Ok(bytes.len()) };
        let response = Response::parse(head, &span, self.to_head).map_err(|_| invalid())?;
        let message = http2::response_head(&response).ok_or_else(invalid)?;
        let content = Content::of_response(response.body);
        // What follows the head is written again, as content.
        let taken = span.end - before;
        if message.status().is_informational() {
            respond.send_informational(message).map_err(io::Error::other)?;
            head.clear();
        } else {
            let ends = content.is_done();
            let stream = respond.send_response(message, ends).map_err(io::Error::other)?;
            self.outgoing = if ends { Outgoing::Ended } else { Outgoing::Content(stream, content) };
        }
        Ok(taken)
    }

    /// Sends as much content as the client makes room for.
    fn poll_write_content(
        &mut self,
        context: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let Outgoing::Content(stream, content) = &mut self.outgoing else {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        };
        let polled = poll_room(stream, parts.iter().map(|part| part.len()).sum(), context);
        self.stuck = polled.is_pending();
        let mut bytes = gather(parts, ready!(polled)?);
        let count = bytes.len();
        let done = content.decode(&mut bytes).map_err(|_| invalid())?;
        bytes.truncate(done.produced);
        let ends = content.is_done();
        let trailer = content.trailer();
        let trailer = (ends && !trailer.is_empty()).then(|| http2::trailers(trailer)).flatten();
        let last = ends && trailer.is_none();
        if last || !bytes.is_empty() {
            stream.send_data(bytes.into(), last).map_err(io::Error::other)?;
        }
        if let Some(fields) = trailer {
            stream.send_trailers(fields).map_err(io::Error::other)?;
        }
        if ends {
            self.outgoing = Outgoing::Ended;
        }
        Poll::Ready(Ok(count))
    }
}

impl Endpoint for StreamIo {
    fn poll_fill(
        &mut self,
        context: &mut Context<'_>,
        buffer: &mut Buffer,
    ) -> Poll<io::Result<usize>> {
        // After the response, the rest of the request is not needed.
        if matches!(self.outgoing, Outgoing::Ended) {
            return Poll::Ready(Ok(0));
        }
        self.incoming.poll_fill(context, buffer)
    }

    fn poll_write(
        &mut self,
        context: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let Some(first) = parts.iter().find(|part| !part.is_empty()) else {
            return Poll::Ready(Ok(0));
        };
        match self.outgoing {
            Outgoing::Head(..) => Poll::Ready(self.write_head(first)),
            _ => self.poll_write_content(context, parts),
        }
    }
}

impl Incoming {
    fn poll_fill(
        &mut self,
        context: &mut Context<'_>,
        buffer: &mut Buffer,
    ) -> Poll<io::Result<usize>> {
        let before = buffer.filled().len();
        while !self.ended && buffer.filled().len() == before {
            match ready!(self.stream.poll_data(context)) {
                Some(Ok(piece)) => {
                    self.read_into(buffer, &piece, false);
                    let control = self.stream.flow_control();
                    control.release_capacity(piece.len()).map_err(io::Error::other)?;
                }
                Some(Err(error)) => return Poll::Ready(Err(io::Error::other(error))),
                None => {
                    self.ended = true;
                    self.read_into(buffer, b"", true);
                }
            }
        }
        Poll::Ready(Ok(buffer.filled().len() - before))
    }

    fn read_into(&self, buffer: &mut Buffer, piece: &[u8], last: bool) {
        if !self.chunked {
            return buffer.append(piece);
        }
        let mut framed = take_vec();
        push_content(&mut framed, piece, true, last);
        buffer.append(&framed);
        recycle_vec(framed);
    }
}

/// How many of `wanted` bytes the client and the frames not yet sent leave room
/// for; waits for the first.
fn poll_room(
    stream: &mut SendStream<Bytes>,
    wanted: usize,
    context: &mut Context<'_>,
) -> Poll<io::Result<usize>> {
    stream.reserve_capacity(wanted);
    while stream.capacity() == 0 {
        match ready!(stream.poll_capacity(context)) {
            Some(room) => room.map_err(io::Error::other)?,
            None => return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
        };
    }
    Poll::Ready(Ok(stream.capacity()))
}

/// The first `most` bytes of `parts` in one piece.
fn gather(parts: &[IoSlice<'_>], most: usize) -> Vec<u8> {
    let whole: usize = parts.iter().map(|part| part.len()).sum();
    let mut bytes = Vec::with_capacity(whole.min(most));
    for part in parts {
        let left = most.saturating_sub(bytes.len());
        bytes.extend_from_slice(&part[..part.len().min(left)]);
    }
    bytes
}

/// What was written is not valid HTTP/1.1.
fn invalid() -> io::Error {
    io::ErrorKind::InvalidData.into()
}
