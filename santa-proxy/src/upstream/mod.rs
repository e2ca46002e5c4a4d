//! The backends: which serve, choosing one, reaching it, keeping connections for reuse.
//! Knows nothing of what is said on them; see `server::forward` for that.

pub(crate) mod connect;
pub(crate) mod pool;
pub(crate) mod standing;
