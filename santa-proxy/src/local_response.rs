//! A response of this proxy itself: status, fields, content. Plain values;
//! `server::write_response` turns them into bytes for HTTP/1.1.

use std::borrow::Cow;
use std::ops::Range;

use crate::http::coding::Coding;
use crate::http::reject::{Reject, phrase};
use crate::http::rewrite::SECURITY;

/// The content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Body {
    /// Nothing.
    None,
    /// These bytes.
    Bytes(Vec<u8>),
    /// Part of an asset of the current site.
    Asset {
        /// Its index in the site.
        index: usize,
        /// Which representation.
        coding: Coding,
        /// Which bytes of it.
        range: Range<usize>,
    },
}

/// A response of this proxy itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LocalResponse<'s> {
    /// Status code.
    pub(crate) status: u16,
    /// Field lines, except those about length, date, request and connection.
    pub(crate) lines: Cow<'s, [u8]>,
    /// `Content-Length`; nothing for 304.
    pub(crate) length: Option<u64>,
    /// Content.
    pub(crate) body: Body,
}

impl LocalResponse<'static> {
    /// A short text or JSON document that is never stored by caches.
    pub(crate) fn document(status: u16, media_type: &str, text: String) -> Self {
        let mut lines = Vec::with_capacity(384);
        lines.extend_from_slice(b"Content-Type: ");
        lines.extend_from_slice(media_type.as_bytes());
        lines.extend_from_slice(b"\r\nCache-Control: no-store\r\n");
        push_security(&mut lines);
        Self {
            status,
            lines: Cow::Owned(lines),
            length: Some(text.len() as u64),
            body: Body::Bytes(text.into_bytes()),
        }
    }

    /// An error: problem details (RFC 9457) for the API, a line of text elsewhere.
    pub(crate) fn error(reject: Reject, to_api: bool) -> Self {
        let Reject { status, reason } = reject;
        let title = phrase(status);
        if to_api {
            let text = format!(
                "{{\"type\":\"about:blank\",\"title\":\"{title}\",\"status\":{status},\
                 \"detail\":\"{reason}\"}}"
            );
            return Self::document(status, "application/problem+json", text);
        }
        Self::document(status, "text/plain; charset=utf-8", format!("{status} {title}: {reason}\n"))
    }

    /// 405 with the allowed methods.
    pub(crate) fn method_not_allowed(allowed: &'static str) -> Self {
        let mut response = Self::error(Reject::new(405, "method not allowed"), false);
        response.add_line("Allow", allowed);
        response
    }

    /// The response to `OPTIONS *` and to a request that may not be forwarded on.
    pub(crate) fn options() -> Self {
        let mut response =
            Self { status: 200, lines: Cow::Borrowed(b""), length: Some(0), body: Body::None };
        response.add_line("Allow", "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS");
        response
    }
}

impl LocalResponse<'_> {
    /// Adds a field.
    pub(crate) fn add_line(&mut self, name: &str, value: &str) {
        let lines = self.lines.to_mut();
        lines.extend_from_slice(name.as_bytes());
        lines.extend_from_slice(b": ");
        lines.extend_from_slice(value.as_bytes());
        lines.extend_from_slice(b"\r\n");
    }

    /// The same response to HEAD: the fields of GET without its content.
    pub(crate) fn without_body(mut self) -> Self {
        self.body = Body::None;
        self
    }
}

/// Appends the security fields of every response.
pub(crate) fn push_security(lines: &mut Vec<u8>) {
    for (_, line) in SECURITY {
        lines.extend_from_slice(line);
    }
}
