//! Rejects a connection so that its client learns why.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::timeout;

/// The response to a connection that is rejected.
const BUSY: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nContent-Length: 0\r\n\
    Connection: close\r\n\r\n";
/// How long its client may take to read that.
const READ_TIMEOUT: Duration = Duration::from_secs(1);
/// How much of what it sends meanwhile is read.
const MAX_READ: usize = 64 * 1024;
/// Connections of a worker whose clients are waited for at the same time.
const MAX_WAITING: usize = 128;

/// The connections that are being rejected.
#[derive(Debug, Default)]
pub(crate) struct Rejector(Rc<Cell<usize>>);

impl Rejector {
    /// Rejects a connection. Closing it with unread bytes would discard the response, so it
    /// is read for a moment; in a flood it is just closed.
    pub(crate) fn reject(&self, stream: TcpStream) {
        // It fits into the empty socket buffer; otherwise it is dropped.
        let _ = stream.try_write(BUSY);
        if self.0.get() >= MAX_WAITING {
            return;
        }
        self.0.set(self.0.get() + 1);
        let waiting = Rc::clone(&self.0);
        tokio::task::spawn_local(async move {
            // However this ends, the connection is closed next.
            if rustix::net::shutdown(&stream, rustix::net::Shutdown::Write).is_ok() {
                let _ = timeout(READ_TIMEOUT, discard(&stream)).await;
            }
            waiting.set(waiting.get() - 1);
        });
    }
}

async fn discard(stream: &TcpStream) {
    let mut piece = [0; 4096];
    let mut read = 0;
    while read < MAX_READ && stream.readable().await.is_ok() {
        match stream.try_read(&mut piece) {
            Ok(0) => return,
            Ok(count) => read += count,
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
            Err(_) => return,
        }
    }
}
