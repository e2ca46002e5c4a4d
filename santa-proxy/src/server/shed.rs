//! Turning a connection away so that its client learns why.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::timeout;

/// What a connection that is turned away is told.
const FULL: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nContent-Length: 0\r\n\
    Connection: close\r\n\r\n";
/// How long its client may take to read that.
const PATIENCE: Duration = Duration::from_secs(1);
/// How much of what it sends meanwhile is read.
const MOST_READ: usize = 64 * 1024;
/// Connections of a worker that are turned away politely at the same time.
const MOST: usize = 128;

/// Those that are being turned away.
#[derive(Debug, Default)]
pub(crate) struct Door(Rc<Cell<usize>>);

impl Door {
    /// Turns a connection away. Closing with unread bytes would destroy the
    /// answer, so it is read for a moment; in a flood it is just closed.
    pub(crate) fn turn_away(&self, stream: TcpStream) {
        // Fits into the empty socket buffer or is not worth more effort.
        let _ = stream.try_write(FULL);
        if self.0.get() >= MOST {
            return;
        }
        self.0.set(self.0.get() + 1);
        let present = Rc::clone(&self.0);
        tokio::task::spawn_local(async move {
            // However this ends, the connection is closed next.
            if rustix::net::shutdown(&stream, rustix::net::Shutdown::Write).is_ok() {
                let _ = timeout(PATIENCE, read_past(&stream)).await;
            }
            present.set(present.get() - 1);
        });
    }
}

async fn read_past(stream: &TcpStream) {
    let mut piece = [0; 4096];
    let mut read = 0;
    while read < MOST_READ && stream.readable().await.is_ok() {
        match stream.try_read(&mut piece) {
            Ok(0) => return,
            Ok(count) => read += count,
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
            Err(_) => return,
        }
    }
}
