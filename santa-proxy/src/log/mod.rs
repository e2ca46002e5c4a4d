//! Log lines: made by the workers, written by a thread of their own, so that a
//! reader that stalls never stalls a request.

pub(crate) mod json;
pub(crate) mod redact;
pub(crate) mod sink;
