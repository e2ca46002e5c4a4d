//! The backends: which instances there are, choosing one, connecting to it, keeping
//! connections for reuse, and this proxy's own queries.

pub(crate) mod connect;
pub(crate) mod membership;
pub(crate) mod pool;
pub(crate) mod query;
