//! HTTP/1.1 as plain functions over bytes: no sockets, no clock, no state but
//! what a parser needs between two pieces. Start at `request` and `response`;
//! everything else is a rule that those two or the layers above apply.

pub mod bytes;
pub mod chunked;
pub mod client_cert;
pub mod coding;
pub mod conditional;
pub mod content;
pub mod date;
pub mod field;
pub mod forwarded;
pub mod framing;
pub mod host;
pub mod http2;
pub mod path;
pub mod range;
pub mod reject;
pub mod request;
pub mod response;
pub mod rewrite;
pub mod scan;
pub mod trace_context;
pub mod version;
