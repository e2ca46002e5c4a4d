//! The one layer that reads and writes sockets: streams, buffers, deadlines.
//! Knows nothing of HTTP.

pub(crate) mod buffer;
pub(crate) mod deadline;
pub(crate) mod race;
pub(crate) mod stream;
