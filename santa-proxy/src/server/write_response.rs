//! Writes responses of this proxy itself: the head as bytes, then the content.

use std::io;
use std::rc::Rc;

use super::access_log::AccessLogEntry;
use super::send_clock::SendClock;
use super::worker::{Worker, WorkerSnapshot};
use crate::assets::Part;
use crate::http::bytes::push_decimal;
use crate::http::content::Content;
use crate::http::reject::phrase;
use crate::http::rewrite::push_status_line;
use crate::http::version::Version;
use crate::io::buffer::{recycle_vec, take_vec};
use crate::io::deadline::{Deadline, Expired};
use crate::io::stream::Writer;
use crate::local_response::{Body, LocalResponse};
use crate::snapshot::Snapshot;

/// What a response depends on besides its content: the request and its connection.
#[derive(Debug, Clone)]
pub(crate) struct ResponseParams {
    /// Identifier of the request.
    pub(crate) request_id: String,
    /// Version of the client.
    pub(crate) version: Version,
    /// Whether the connection stays open.
    pub(crate) keep: bool,
    /// Whether the request was HEAD.
    pub(crate) to_head: bool,
    /// Whether errors are problem details.
    pub(crate) to_api: bool,
    /// Whether the client speaks TLS.
    pub(crate) secure: bool,
}

/// A response of this proxy itself, ready to be written.
#[derive(Debug)]
pub(crate) struct PreparedResponse {
    head: Vec<u8>,
    body: Body,
    snapshot: Rc<WorkerSnapshot>,
    entry: AccessLogEntry,
    /// The request's content, to be skipped.
    pub(crate) content: Content,
    /// Whether the connection stays open.
    pub(crate) keep: bool,
}

impl PreparedResponse {
    /// Builds the head.
    pub(crate) fn new(
        worker: &Worker,
        snapshot: &Rc<WorkerSnapshot>,
        response: LocalResponse<'_>,
        params: ResponseParams,
        mut entry: AccessLogEntry,
    ) -> Self {
        let mut head = take_vec();
        push_status_line(&mut head, response.status, phrase(response.status).as_bytes());
        head.extend_from_slice(&response.lines);
        if let Some(length) = response.length {
            head.extend_from_slice(b"Content-Length: ");
            push_decimal(&mut head, length);
            head.extend_from_slice(b"\r\n");
        }
        head.extend_from_slice(snapshot.shared.hsts(params.secure));
        head.extend_from_slice(b"X-Request-Id: ");
        head.extend_from_slice(params.request_id.as_bytes());
        head.extend_from_slice(b"\r\nDate: ");
        head.extend_from_slice(worker.now().1.as_bytes());
        head.extend_from_slice(match (params.keep, params.version) {
            (false, _) => b"\r\nConnection: close\r\n\r\n",
            (true, Version::Http10) => b"\r\nConnection: keep-alive\r\n\r\n",
            (true, Version::Http11) => b"\r\n\r\n",
        });
        entry.status = response.status;
        let body = if params.to_head { Body::None } else { response.body };
        let snapshot = Rc::clone(snapshot);
        Self { head, body, snapshot, entry, content: Content::Length(0), keep: params.keep }
    }

    /// Writes it; returns whether the connection stays open and the rest of the request's
    /// content.
    #[expect(clippy::manual_async_fn, reason = "an async fn keeps room for its arguments twice")]
    pub(crate) fn write<'w, 's>(
        self,
        writer: &'w mut Writer<'s>,
        deadline: &'w Deadline,
    ) -> impl Future<Output = Result<(bool, Content), SendError>> {
        async move {
            let body = match (&self.body, &self.snapshot.shared.site) {
                (Body::Bytes(bytes), _) => Part::Memory(bytes),
                (Body::Asset { index, coding, range }, Some(site)) => {
                    site.content(*index, *coding, range.clone())
                }
                _ => Part::Memory(&[]),
            };
            let Snapshot { limits, timeouts, .. } = &*self.snapshot.shared;
            let clock = SendClock::new(limits, timeouts, deadline);
            clock.begin();
            let progress = |bytes| clock.progress(bytes);
            let bytes = match body {
                Part::Memory(bytes) => {
                    deadline.limit(writer.write_with([&self.head, bytes, &[]], progress)).await??;
                    bytes.len() as u64
                }
                Part::File(file, range) => {
                    let sent = range.end - range.start;
                    // Large, and waited for less often than it would take room.
                    let writing = Box::pin(writer.write_file(&self.head, file, range, progress));
                    deadline.limit(writing).await??;
                    sent
                }
            };
            let Self { head, mut entry, content, keep, .. } = self;
            entry.bytes = bytes;
            recycle_vec(head);
            Ok((keep, content))
        }
    }
}

/// The client is gone, or no longer receives the response.
#[derive(Debug)]
pub(crate) struct SendError;

impl From<io::Error> for SendError {
    fn from(_: io::Error) -> Self {
        Self
    }
}

impl From<Expired> for SendError {
    fn from(_: Expired) -> Self {
        Self
    }
}
