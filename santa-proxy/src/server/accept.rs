//! Accepting: one loop for each worker on its own descriptor of the listener.

use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::time::sleep;

use super::arrive::{self, Arrival};
use super::connection;
use super::shed::Door;
use super::worker::Worker;
use crate::inherit::Entrance;
use crate::log::sink::Level;

/// Rest after an accept that failed for lack of descriptors or memory.
const REST: Duration = Duration::from_millis(50);

/// Accepts until the task is ended. Dropping it closes the listener; when the
/// listener is nobody else's, connections already in its queue are taken first.
pub(crate) async fn run(worker: Rc<Worker>, listener: TcpListener, terms: Entrance) {
    let mut accepting = Accepting { worker, listener, terms, door: Door::default() };
    loop {
        match accepting.listener.accept().await {
            Ok((stream, peer)) => accepting.admit(stream, peer),
            Err(error) if is_passing(&error) => {}
            Err(error) => {
                let text = error.to_string();
                accepting.worker.notice(
                    Level::Error,
                    "cannot accept connections; raise the limit of open files",
                    &[("error", &text)],
                );
                accepting.make_room();
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
    terms: Entrance,
    door: Door,
}

impl Accepting {
    fn admit(&mut self, stream: TcpStream, peer: SocketAddr) {
        let worker = &self.worker;
        worker.metrics.accepted.add(1);
        let most = usize::try_from(worker.local().shared.limits.connections).unwrap_or(usize::MAX);
        if worker.connections.fetch_add(1, Ordering::Relaxed) >= most && !self.make_room() {
            worker.connections.fetch_sub(1, Ordering::Relaxed);
            return self.turn_away(stream);
        }
        let Some(place) = arrive::place(worker, peer.ip().to_canonical()) else {
            worker.connections.fetch_sub(1, Ordering::Relaxed);
            return self.turn_away(stream);
        };
        // Linux inherits it from the listener; elsewhere it is set here.
        #[cfg(not(target_os = "linux"))]
        let _ = stream.set_nodelay(true);
        let seat = worker.seats.take();
        let index = seat.index();
        let arrival = Arrival { stream, peer, secure: self.terms.secure, place };
        let task = tokio::task::spawn_local(connection::serve(Rc::clone(worker), arrival, seat));
        worker.seats.assign(index, task.abort_handle());
    }

    /// Has a connection without a request leave, if there is one.
    fn make_room(&self) -> bool {
        let made = self.worker.seats.make_room();
        self.worker.metrics.shed_idle.add(u64::from(made));
        made
    }

    fn turn_away(&self, stream: TcpStream) {
        self.worker.metrics.shed.add(1);
        // Without a handshake there is nothing that could be said over TLS.
        if !self.terms.secure {
            self.door.turn_away(stream);
        }
    }
}

impl Drop for Accepting {
    fn drop(&mut self) {
        if self.terms.inherited {
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
