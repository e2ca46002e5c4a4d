//! What the main thread passes to the workers: one value, replaced as a whole.

use std::sync::Arc;

use crate::snapshot::Snapshot;
use crate::upstream::membership::Drained;

/// The state that every worker follows.
#[derive(Debug, Clone)]
pub(crate) struct ControlState {
    /// Settings and content for new requests.
    pub(crate) snapshot: Arc<Snapshot>,
    /// Backend instances that get no new requests.
    pub(crate) drained: Arc<Drained>,
    /// Whether to finish open requests and end.
    pub(crate) draining: bool,
}
