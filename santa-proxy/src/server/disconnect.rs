//! Whether a client still waits for its answer. One that has only ended its own
//! direction looks just like one that is gone, until something is sent to it:
//! the kernel of one that is gone refuses it.

use std::future::{pending, poll_fn};
use std::time::Duration;

use tokio::time::sleep;

use crate::http::version::Version;
use crate::io::buffer::Buffer;
use crate::io::stream::Reader;

/// How long a client that has ended its direction is left alone: most answers
/// are there by then.
const DOUBT: Duration = Duration::from_secs(1);
/// An interim answer, which every client of HTTP/1.1 reads past (RFC 9110 §15.2).
const QUESTION: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";
/// When the refusal is looked for, each after the one before.
const LOOKS: [Duration; 3] =
    [Duration::from_millis(100), Duration::from_secs(1), Duration::from_secs(5)];

/// Done when the client is certainly gone; never when it cannot be told.
/// `doubt` is called once it may be, and `may_ask` says whether an interim
/// answer is in order at that moment.
pub(crate) async fn client_gone(
    reader: &mut Reader<'_>,
    buffer: &mut Buffer,
    version: Version,
    doubt: impl FnOnce(),
    may_ask: impl Fn() -> bool,
) {
    // Something that was sent in advance hides the end behind it.
    if !buffer.is_empty() {
        return pending().await;
    }
    match poll_fn(|context| reader.poll_peer_activity(context, buffer)).await {
        Ok(0) => doubt(),
        Ok(_) => return pending().await,
        Err(_) => return,
    }
    // Boxed: most requests never need the room.
    Box::pin(refusal(reader, version, may_ask)).await;
}

/// Asks a client that may be gone, and waits for its kernel to refuse the question.
async fn refusal(reader: &mut Reader<'_>, version: Version, may_ask: impl Fn() -> bool) {
    sleep(DOUBT).await;
    // HTTP/1.0 has no interim answers.
    if version == Version::Http10 || !may_ask() {
        return pending().await;
    }
    if !reader.try_write_all(QUESTION) {
        return;
    }
    for look in LOOKS {
        sleep(look).await;
        if reader.has_failed() {
            return;
        }
    }
    pending().await
}
