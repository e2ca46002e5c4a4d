//! The one layer that reads and writes sockets: streams, buffers, deadlines.
//! Knows nothing of HTTP.

pub(crate) mod buffer;
pub(crate) mod deadline;
pub(crate) mod drive;
mod sendfile;
pub(crate) mod stream;
