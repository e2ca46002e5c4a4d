//! Answers of our own on the wire: the head as bytes, then the content.

use std::io;
use std::rc::Rc;

use super::record::Record;
use super::send_clock::SendClock;
use super::worker::{Local, Worker};
use crate::answer::{Answer, Body};
use crate::assets::Part;
use crate::generation::Generation;
use crate::http::bytes::push_decimal;
use crate::http::content::Content;
use crate::http::reject::phrase;
use crate::http::request::Version;
use crate::http::rewrite::push_status_line;
use crate::io::buffer::{give_vec, take_vec};
use crate::io::deadline::{Deadline, Expired};
use crate::io::stream::Writer;

/// What an answer depends on besides its content.
#[derive(Debug, Clone)]
pub(crate) struct Terms {
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

/// An answer of our own, ready to be written.
#[derive(Debug)]
pub(crate) struct Reply {
    head: Vec<u8>,
    body: Body,
    local: Rc<Local>,
    record: Record,
    /// The request's content, to be read past.
    pub(crate) content: Content,
    /// Whether the connection stays open.
    pub(crate) keep: bool,
}

impl Reply {
    /// Puts the head together.
    pub(crate) fn new(
        worker: &Worker,
        local: &Rc<Local>,
        answer: Answer<'_>,
        terms: Terms,
        mut record: Record,
    ) -> Self {
        let mut head = take_vec();
        push_status_line(&mut head, answer.status, phrase(answer.status).as_bytes());
        head.extend_from_slice(&answer.lines);
        if let Some(length) = answer.length {
            head.extend_from_slice(b"Content-Length: ");
            push_decimal(&mut head, length);
            head.extend_from_slice(b"\r\n");
        }
        head.extend_from_slice(local.shared.hsts(terms.secure));
        head.extend_from_slice(b"X-Request-Id: ");
        head.extend_from_slice(terms.request_id.as_bytes());
        head.extend_from_slice(b"\r\nDate: ");
        head.extend_from_slice(worker.now().1.as_bytes());
        head.extend_from_slice(match (terms.keep, terms.version) {
            (false, _) => b"\r\nConnection: close\r\n\r\n",
            (true, Version::Http10) => b"\r\nConnection: keep-alive\r\n\r\n",
            (true, Version::Http11) => b"\r\n\r\n",
        });
        record.status = answer.status;
        let body = if terms.to_head { Body::None } else { answer.body };
        let local = Rc::clone(local);
        Self { head, body, local, record, content: Content::Length(0), keep: terms.keep }
    }

    /// Writes it all; gives whether the connection stays open and what is left
    /// of the request's content.
    #[expect(clippy::manual_async_fn, reason = "an async fn keeps room for its arguments twice")]
    pub(crate) fn write<'w, 's>(
        self,
        writer: &'w mut Writer<'s>,
        deadline: &'w Deadline,
    ) -> impl Future<Output = Result<(bool, Content), Lost>> {
        async move {
            let body = match (&self.body, &self.local.shared.site) {
                (Body::Bytes(bytes), _) => Part::Memory(bytes),
                (Body::Asset { index, coding, range }, Some(site)) => {
                    site.content(*index, *coding, range.clone())
                }
                _ => Part::Memory(&[]),
            };
            let Generation { limits, timeouts, .. } = &*self.local.shared;
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
            let Self { head, mut record, content, keep, .. } = self;
            record.bytes = bytes;
            give_vec(head);
            Ok((keep, content))
        }
    }
}

/// The client is gone, or no longer takes what it asked for.
#[derive(Debug)]
pub(crate) struct Lost;

impl From<io::Error> for Lost {
    fn from(_: io::Error) -> Self {
        Self
    }
}

impl From<Expired> for Lost {
    fn from(_: Expired) -> Self {
        Self
    }
}
