//! Why an exchange with a backend failed, and whose fault it is.

use crate::http::reject::Reject;

/// The failure of an exchange.
#[derive(Debug)]
pub(crate) enum Fault {
    /// The backend closed the connection before any byte of a final response.
    BackendClosed {
        /// It certainly has not read the request.
        untouched: bool,
        /// Everything sent so far can be sent again.
        at_hand: bool,
    },
    /// The backend's response head breaks this rule.
    BackendBad(&'static str),
    /// The backend did not respond in time.
    BackendSlow,
    /// The backend failed after its head had been passed on.
    Broken(&'static str),
    /// The client's content breaks a rule; there is no response yet.
    Client(Reject),
    /// The client is gone, or a response to it is under way and cannot be completed.
    ClientGone,
}
