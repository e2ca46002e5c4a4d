//! Passes a backend's response on: its head checked and rewritten, then its content as it
//! arrives, without waiting for more. Only a short response is passed on as a whole or not
//! at all.

use std::io;
use std::time::Duration;

use tokio::time::timeout;

use super::access_log::AccessLogEntry;
use super::fault::Fault;
use super::limiter::Permit;
use super::progress::Progress;
use super::send_clock::SendClock;
use super::worker::Worker;
use super::write_response::ResponseParams;
use crate::http::bytes::push_hex;
use crate::http::content::Content;
use crate::http::field::strip_space_before_colon;
use crate::http::response::{Response, SCAN_RULES};
use crate::http::rewrite::{self, Delimiter, DownstreamHeaders};
use crate::http::scan::{Found, HeadSpan, Scan, ScanError};
use crate::http::version::Version;
use crate::io::buffer::{BLOCK, Buffer, recycle_vec, take_vec};
use crate::io::deadline::{Deadline, Phase};
use crate::io::stream::{Reader, Writer};

/// Most interim responses (1xx) to one request.
const MAX_INTERIM: u32 = 16;

/// Content of at most this many bytes waits until all of it is there. Servers send head
/// and content one after the other (uvicorn does), and one that is killed between them
/// must not leave its client with half a response. It fits into one block.
const WHOLE: u64 = BLOCK as u64;

const INCOMPLETE: &str = "its content is incomplete";

/// How long a backend may be silent before this proxy requests the content that the client
/// holds back. Backends that know nothing of 100 wait for it forever.
const CONTINUE_AFTER: Duration = Duration::from_millis(500);
const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// A response that is being passed on.
pub(crate) struct UpstreamResponse<'x> {
    pub(crate) reader: Reader<'x>,
    pub(crate) writer: Writer<'x>,
    /// Read from the backend and not yet passed on.
    pub(crate) buffer: Buffer,
    pub(crate) worker: &'x Worker,
    pub(crate) params: &'x ResponseParams,
    pub(crate) entry: &'x mut AccessLogEntry,
    /// Released once the backend has responded: the content is sent at the client's pace.
    pub(crate) permit: &'x mut Option<Permit>,
    /// Whether an upgrade was requested.
    pub(crate) upgrade: bool,
    /// Whether the client takes trailer fields.
    pub(crate) trailers: bool,
    /// Whether the client waits for 100 before it sends its content.
    pub(crate) expects: bool,
    pub(crate) deadline: &'x Deadline,
    /// The timeouts of sending the response.
    pub(crate) clock: SendClock<'x>,
    pub(crate) timeouts: &'x santa_config::ProxyTimeouts,
    /// The `Strict-Transport-Security` line for this client.
    pub(crate) hsts: &'x [u8],
    pub(crate) progress: &'x Progress,
}

/// A response that was passed on completely.
#[derive(Debug)]
pub(crate) struct Finished {
    /// Whether the client was told that its connection stays open.
    pub(crate) keep: bool,
    /// Whether the backend's connection can carry another request.
    pub(crate) reusable: bool,
    /// It is a tunnel now; what the backend sent after its head.
    pub(crate) tunnel: Option<Buffer>,
}

/// A final head that is being sent.
struct FinalResponse {
    /// The head, and later the frame around a piece of content.
    out: Vec<u8>,
    content: Content,
    delimiter: Delimiter,
    keep: bool,
    backend_keeps: bool,
}

/// The kind of a head.
enum Kind {
    Interim(Vec<u8>),
    Upgraded(Vec<u8>),
    Final(Box<FinalResponse>),
}

impl UpstreamResponse<'_> {
    /// Passes the whole response on.
    pub(crate) async fn run(&mut self) -> Result<Finished, Fault> {
        for _ in 0..=MAX_INTERIM {
            let span = self.read_head().await?;
            let kind = self.read_kind(&span)?;
            self.buffer.consume(span.end);
            match kind {
                Kind::Interim(out) => {
                    self.expects = false;
                    self.progress.interim.set(true);
                    self.write(&out, 0, b"").await?;
                    self.expect_content();
                    recycle_vec(out);
                }
                Kind::Upgraded(out) => {
                    self.progress.responding.set(true);
                    self.entry.status = 101;
                    self.write(&out, 0, b"").await?;
                    recycle_vec(out);
                    let left = std::mem::take(&mut self.buffer);
                    return Ok(Finished { keep: false, reusable: false, tunnel: Some(left) });
                }
                Kind::Final(sending) => {
                    self.gather(&sending.content).await?;
                    *self.permit = None;
                    return self.pass_content(*sending).await;
                }
            }
        }
        Err(Fault::BackendBad("too many interim responses"))
    }

    async fn read_head(&mut self) -> Result<HeadSpan, Fault> {
        let mut scan = Scan::default();
        loop {
            if !self.buffer.is_empty() {
                match scan.advance(self.buffer.filled(), &SCAN_RULES) {
                    Ok(Found::Head(span)) => return Ok(span),
                    Ok(Found::More(_)) => {}
                    Err(error) => return Err(Fault::BackendBad(scan_fault(error))),
                }
            }
            match self.fill().await? {
                Ok(0) if self.buffer.is_empty() => {
                    return Err(Fault::BackendClosed { untouched: false, at_hand: true });
                }
                Err(error) if self.buffer.is_empty() => {
                    // A Unix socket is reset when it is closed with bytes in it
                    // that were never read: the request was not accepted.
                    let untouched = error.kind() == io::ErrorKind::ConnectionReset
                        && matches!(self.reader, Reader::Unix(_));
                    return Err(Fault::BackendClosed { untouched, at_hand: true });
                }
                Ok(0) | Err(_) => return Err(Fault::BackendBad("its response head is incomplete")),
                Ok(_) => {}
            }
        }
    }

    /// Reads from the backend; requests the client's content when both are silent.
    async fn fill(&mut self) -> Result<io::Result<usize>, Fault> {
        if self.expects {
            self.expects = false;
            // Boxed: most exchanges never need the room.
            let waiting = Box::pin(timeout(CONTINUE_AFTER, self.reader.fill(&mut self.buffer)));
            if let Ok(filled) = waiting.await {
                return Ok(filled);
            }
            if !self.progress.read_on.get() {
                self.write(CONTINUE, 0, b"").await?;
                self.expect_content();
            }
        }
        Ok(self.reader.fill(&mut self.buffer).await)
    }

    /// The client is expected to send, as long as nothing of its content has arrived.
    fn expect_content(&self) {
        if !self.progress.sent.get() && !self.progress.read_on.get() {
            self.deadline.set(Phase::Content, self.timeouts.body);
        }
    }

    /// Checks the head, corrected where a proxy has to, and builds the one for the client.
    fn read_kind(&mut self, span: &HeadSpan) -> Result<Kind, Fault> {
        match self.kind(span) {
            Err(Fault::BackendBad(_))
                if strip_space_before_colon(
                    &mut self.buffer.filled_mut()[span.line_end + 2..span.end],
                ) =>
            {
                self.kind(span)
            }
            kind => kind,
        }
    }

    fn kind(&mut self, span: &HeadSpan) -> Result<Kind, Fault> {
        let params = self.params;
        let response = Response::parse(self.buffer.filled(), span, params.to_head)
            .map_err(Fault::BackendBad)?;
        let mut out = take_vec();
        if response.status == 101 {
            if !self.upgrade || !rewrite::agrees_to_websocket(&response) {
                return Err(Fault::BackendBad("it switched protocols without a request to"));
            }
            self.head(&mut out, &response, Delimiter::Upgrade, true);
            self.entry.answered();
            *self.permit = None;
            return Ok(Kind::Upgraded(out));
        }
        if response.status < 200 {
            if params.version == Version::Http11 {
                rewrite::interim_head(&mut out, &response);
            }
            return Ok(Kind::Interim(out));
        }
        let delimiter = rewrite::delimiter(&response, params.version, params.to_head);
        // A client that is still sending gets its response, and then the end.
        let keep = params.keep
            && self.progress.sent.get()
            && delimiter != Delimiter::Close
            && !self.worker.is_draining();
        self.head(&mut out, &response, delimiter, keep);
        self.entry.status = response.status;
        self.entry.answered();
        let sending = FinalResponse {
            out,
            content: Content::of_response(response.body),
            delimiter,
            keep,
            backend_keeps: response.keeps_alive(),
        };
        Ok(Kind::Final(Box::new(sending)))
    }

    fn head(&self, out: &mut Vec<u8>, response: &Response<'_>, delimiter: Delimiter, keep: bool) {
        let downstream_headers = DownstreamHeaders {
            delimiter,
            version: self.params.version,
            keep_alive: keep,
            request_id: &self.params.request_id,
            date: &self.worker.now().1,
            hsts: self.hsts,
        };
        rewrite::response_head(out, response, &downstream_headers);
    }

    /// Waits for all of a short response.
    async fn gather(&mut self, content: &Content) -> Result<(), Fault> {
        let Content::Length(length @ ..=WHOLE) = *content else { return Ok(()) };
        while (self.buffer.filled().len() as u64) < length {
            self.deadline.set(Phase::Backend, self.timeouts.response);
            match self.reader.fill(&mut self.buffer).await {
                Ok(0) | Err(_) => return Err(Fault::BackendBad(INCOMPLETE)),
                Ok(_) => {}
            }
        }
        Ok(())
    }

    async fn pass_content(&mut self, mut sending: FinalResponse) -> Result<Finished, Fault> {
        let timeout = match sending.content {
            Content::Length(_) => self.timeouts.response,
            // An event stream may be quiet for long.
            _ => self.timeouts.tunnel_idle,
        };
        loop {
            let content = &mut sending.content;
            let done =
                content.decode(self.buffer.filled_mut()).map_err(|error| self.broken(error.0))?;
            let finished = sending.content.is_done();
            let tail = self.frame(&mut sending, done.produced, finished);
            if done.produced > 0 || finished || !sending.out.is_empty() {
                self.progress.responding.set(true);
                self.write(&sending.out, done.produced, &tail).await?;
                self.entry.bytes += done.produced as u64;
                sending.out.clear();
            }
            self.buffer.consume(done.consumed);
            if finished {
                break;
            }
            self.deadline.set(Phase::Backend, timeout);
            match self.reader.fill(&mut self.buffer).await {
                Ok(0) if sending.content.may_end_now() => {
                    // The rest of the frame, if the client has one.
                    let tail: &[u8] =
                        if sending.delimiter == Delimiter::Chunked { b"0\r\n\r\n" } else { b"" };
                    self.write(tail, 0, b"").await?;
                    break;
                }
                Ok(0) | Err(_) => {
                    return Err(Fault::Broken(INCOMPLETE));
                }
                Ok(_) => {}
            }
        }
        recycle_vec(sending.out);
        let reusable = sending.backend_keeps && self.buffer.is_empty();
        Ok(Finished { keep: sending.keep, reusable, tunnel: None })
    }

    /// Before the head has been sent, an invalid response can still become a 502.
    fn broken(&self, reason: &'static str) -> Fault {
        if self.progress.responding.get() {
            Fault::Broken(reason)
        } else {
            Fault::BackendBad(reason)
        }
    }

    /// Adds to `out` what comes before a piece of content; returns what follows it.
    fn frame(&self, sending: &mut FinalResponse, produced: usize, finished: bool) -> Vec<u8> {
        if sending.delimiter != Delimiter::Chunked {
            return Vec::new();
        }
        let mut tail = Vec::new();
        if produced > 0 {
            push_hex(&mut sending.out, produced as u64);
            sending.out.extend_from_slice(b"\r\n");
            tail.extend_from_slice(b"\r\n");
        }
        if finished {
            tail.extend_from_slice(b"0\r\n");
            if self.trailers {
                rewrite::push_trailers(&mut tail, sending.content.trailer());
            }
            tail.extend_from_slice(b"\r\n");
        }
        tail
    }

    /// Writes `before`, the first `content` bytes of the buffer, and `after`.
    async fn write(&mut self, before: &[u8], content: usize, after: &[u8]) -> Result<(), Fault> {
        if before.is_empty() && content == 0 && after.is_empty() {
            return Ok(());
        }
        self.clock.begin();
        let payload = &self.buffer.filled()[..content];
        let progress = |bytes| self.clock.progress(bytes);
        let written = self.writer.write_with([before, payload, after], progress).await;
        written.map_err(|_| Fault::ClientGone)?;
        self.deadline.set(Phase::Backend, self.timeouts.response);
        Ok(())
    }
}

fn scan_fault(error: ScanError) -> &'static str {
    match error {
        ScanError::BareLineFeed => "line feed without carriage return in its response head",
        ScanError::NoStartLine | ScanError::Start => {
            "its response does not start with a status line"
        }
        ScanError::LongStartLine | ScanError::LongHead => "its response head is too long",
    }
}
