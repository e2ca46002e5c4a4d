//! How far an exchange with a backend is: what its two directions know of each other.

use std::cell::Cell;

/// The progress of one exchange.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    /// The request has been passed on completely.
    pub(crate) sent: Cell<bool>,
    /// The final head has been passed to the client.
    pub(crate) responding: Cell<bool>,
    /// An interim response has been passed to the client.
    pub(crate) interim: Cell<bool>,
    /// More has been read from the client than the first piece.
    pub(crate) read_on: Cell<bool>,
    /// The backend took nothing of the request.
    pub(crate) refused: Cell<bool>,
}
