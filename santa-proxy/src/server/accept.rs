//! Accepts connections: one loop per worker and listener, on the worker's own descriptor.

use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::time::sleep;

use super::connection_guard::ConnectionGuard;
use super::handshake::{self, Accepted};
use super::rejector::Rejector;
use super::serve_connection;
use super::worker::Worker;
use crate::listeners::ListenerKind;
use crate::log::sink::Level;

/// Pause after an accept that failed for lack of descriptors or memory.
const PAUSE: Duration = Duration::from_millis(50);

/// Accepts until the task is aborted. Dropping it closes the listener; if no other process
/// holds that listener, connections already in its queue are accepted first.
pub(crate) async fn run(worker: Rc<Worker>, listener: TcpListener, kind: ListenerKind) {
    let mut accepting = Accepting { worker, listener, kind, rejector: Rejector::default() };
    loop {
        match accepting.listener.accept().await {
            Ok((stream, peer)) => accepting.admit(stream, peer),
            Err(error) if is_transient(&error) => {}
            Err(error) => {
                let text = error.to_string();
                accepting.worker.log_throttled(
                    Level::Error,
                    "cannot accept connections; raise the limit of open files",
                    &[("error", &text)],
                );
                accepting.make_room();
                sleep(PAUSE).await;
            }
        }
    }
}

/// The client went away before it was accepted.
fn is_transient(error: &io::Error) -> bool {
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
    kind: ListenerKind,
    rejector: Rejector,
}

impl Accepting {
    fn admit(&mut self, stream: TcpStream, peer: SocketAddr) {
        let worker = &self.worker;
        worker.metrics.accepted.add(1);
        let limit =
            usize::try_from(worker.snapshot().shared.limits.connections).unwrap_or(usize::MAX);
        let open = &worker.shared.connections;
        if open.fetch_add(1, Ordering::Relaxed) >= limit && !self.make_room() {
            open.fetch_sub(1, Ordering::Relaxed);
            return self.reject(stream);
        }
        let Some(slot) = handshake::connection_slot(worker, peer.ip().to_canonical()) else {
            open.fetch_sub(1, Ordering::Relaxed);
            return self.reject(stream);
        };
        // Linux inherits it from the listener; elsewhere it is set here.
        #[cfg(not(target_os = "linux"))]
        let _ = stream.set_nodelay(true);
        let guard = ConnectionGuard::for_connection(&worker.table);
        let index = guard.index();
        let accepted = Accepted { stream, peer, secure: self.kind.secure, slot };
        let serving = serve_connection::serve(Rc::clone(worker), accepted, guard);
        let task = tokio::task::spawn_local(serving);
        worker.table.set_task(index, task.abort_handle());
    }

    /// Has a connection without a request close, if there is one.
    fn make_room(&self) -> bool {
        let made = self.worker.table.make_room();
        self.worker.metrics.shed_idle.add(u64::from(made));
        made
    }

    fn reject(&self, stream: TcpStream) {
        self.worker.metrics.shed.add(1);
        // Before the handshake, nothing can be sent over TLS.
        if !self.kind.secure {
            self.rejector.reject(stream);
        }
    }
}

impl Drop for Accepting {
    fn drop(&mut self) {
        if self.kind.inherited {
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
