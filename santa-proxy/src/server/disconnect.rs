//! Detects that a client has disconnected. One that has only closed its own direction looks
//! just like one that is gone, until something is sent to it: the kernel of one that is
//! gone resets the connection.

use std::future::{pending, poll_fn};
use std::time::Duration;

use tokio::time::sleep;

use crate::http::version::Version;
use crate::io::buffer::Buffer;
use crate::io::stream::Reader;

/// How long a client that has closed its direction is left alone: most responses are there
/// by then.
const HALF_CLOSED_GRACE: Duration = Duration::from_secs(1);
/// An interim response, which every client of HTTP/1.1 reads past (RFC 9110 §15.2).
const INTERIM_RESPONSE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";
/// When a reset is checked for, each after the one before.
const CHECKS: [Duration; 3] =
    [Duration::from_millis(100), Duration::from_secs(1), Duration::from_secs(5)];

/// Ends when the client is certainly gone; never while that is unknown. `on_half_closed` is
/// called once it may be gone, and `may_send` says whether an interim response is allowed
/// at that moment.
pub(crate) async fn client_gone(
    reader: &mut Reader<'_>,
    buffer: &mut Buffer,
    version: Version,
    on_half_closed: impl FnOnce(),
    may_send: impl Fn() -> bool,
) {
    // A pipelined request hides the end after it.
    if !buffer.is_empty() {
        return pending().await;
    }
    match poll_fn(|context| reader.poll_peer_activity(context, buffer)).await {
        Ok(0) => on_half_closed(),
        Ok(_) => return pending().await,
        Err(_) => return,
    }
    // Boxed: most requests never need the room.
    Box::pin(reset(reader, version, may_send)).await;
}

/// Sends something to a client that may be gone, and waits for its kernel to reset the
/// connection.
async fn reset(reader: &mut Reader<'_>, version: Version, may_send: impl Fn() -> bool) {
    sleep(HALF_CLOSED_GRACE).await;
    // HTTP/1.0 has no interim responses.
    if version == Version::Http10 || !may_send() {
        return pending().await;
    }
    if !reader.try_write_all(INTERIM_RESPONSE) {
        return;
    }
    for pause in CHECKS {
        sleep(pause).await;
        if reader.has_failed() {
            return;
        }
    }
    pending().await
}
