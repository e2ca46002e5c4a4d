//! Accepting: one loop for each worker on its own descriptor of the listener.

use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::time::sleep;

use super::connection;
use super::worker::Worker;

/// Rest after an accept that failed for lack of descriptors or memory.
const REST: Duration = Duration::from_millis(50);

/// What a connection above the limit is told.
const FULL: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nContent-Length: 0\r\n\
    Connection: close\r\n\r\n";

/// Accepts until the task is ended. Dropping it closes the listener; when the
/// listener is nobody else's, connections already in its queue are taken first.
pub(crate) async fn run(worker: Rc<Worker>, listener: TcpListener, inherited: bool) {
    let mut accepting = Accepting { worker, listener, inherited };
    loop {
        match accepting.listener.accept().await {
            Ok((stream, peer)) => accepting.admit(stream, peer),
            Err(error) if is_passing(&error) => {}
            Err(error) => {
                let text = error.to_string();
                accepting.worker.notice(
                    "cannot accept connections; raise the limit of open files",
                    &[("error", &text)],
                );
                sleep(REST).await;
            }
        }
    }
}

/// The client went away before it was accepted.
fn is_passing(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::Interrupted
    )
}

struct Accepting {
    worker: Rc<Worker>,
    listener: TcpListener,
    inherited: bool,
}

impl Accepting {
    fn admit(&mut self, stream: TcpStream, peer: SocketAddr) {
        let worker = &self.worker;
        worker.metrics.accepted.add(1);
        let most = usize::try_from(worker.local().shared.limits.connections).unwrap_or(usize::MAX);
        if worker.connections.fetch_add(1, Ordering::Relaxed) >= most {
            worker.connections.fetch_sub(1, Ordering::Relaxed);
            worker.metrics.shed.add(1);
            // Fits into the empty socket buffer or is not worth more effort.
            let _ = stream.try_write(FULL);
            return;
        }
        // Linux inherits it from the listener; elsewhere it is set here.
        #[cfg(not(target_os = "linux"))]
        let _ = stream.set_nodelay(true);
        let seat = worker.seats.take();
        let index = seat.index();
        let task =
            tokio::task::spawn_local(connection::serve(Rc::clone(worker), stream, peer, seat));
        worker.seats.assign(index, task.abort_handle());
    }
}

impl Drop for Accepting {
    fn drop(&mut self) {
        if self.inherited {
            return;
        }
        // Asked of the kernel directly: the runtime may not have seen them yet.
        while let Ok(accepted) = rustix::net::accept(&self.listener) {
            let stream = std::net::TcpStream::from(accepted);
            let Ok(peer) = stream.peer_addr() else { continue };
            if stream.set_nonblocking(true).is_ok()
                && let Ok(stream) = TcpStream::from_std(stream)
            {
                self.admit(stream, peer);
            }
        }
    }
}
