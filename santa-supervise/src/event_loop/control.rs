//! The control socket: who may speak, bounded requests, answers that never make
//! anybody wait. What a request means is in `requests.rs` below.

mod clients;
mod requests;

use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::rc::Rc;
use std::time::{Duration, Instant};

use rustix::io::Errno;
use santa_config::Address;

use crate::machine::{CommandId, Event};
use crate::os::{self, Interest, Token};
use crate::sockets::{Listener, SocketFile};

use super::{EventLoop, Source};
use clients::{Client, Clients};

/// Permission bits and backlog of the control socket.
pub(crate) const CONTROL_MODE: u32 = 0o600;
pub(crate) const CONTROL_BACKLOG: i32 = 64;

/// Most connections taken before others get their turn, and the time after which
/// they get it anyway: some ask what takes its time.
const ACCEPTS_A_TURN: usize = 16;
const ACCEPT_FOR: Duration = Duration::from_millis(3);

/// How long no connections are taken after the system has refused one.
const ACCEPT_PAUSE: Duration = Duration::from_secs(1);

/// What the kernel may hold for a client that does not read, in bytes.
const SEND_BUFFER: usize = 64 * 1024;

/// Longest request.
const LONGEST_REQUEST: usize = 64 * 1024;

/// For clients of other users.
const REFUSAL: &str =
    "{\"ok\":false,\"message\":\"only root and the user of santa-supervise may command it\"}\n";

/// All connections.
#[derive(Debug)]
pub(super) struct Control {
    listener: Option<Listener>,
    path: PathBuf,
    token: Token,
    clients: Clients,
    /// Who waits for the answer to a command.
    asked: BTreeMap<CommandId, Token>,
    last_command: u64,
    /// Given up for a moment when no other descriptor is left.
    spare: Option<OwnedFd>,
    /// When connections are taken again, after a refusal by the system.
    paused_until: Option<Instant>,
    /// Whether that has been told.
    refusal_told: bool,
}

impl Control {
    pub(super) fn new(listener: Option<Listener>, path: PathBuf) -> Self {
        Self {
            listener,
            path,
            token: 0,
            clients: Clients::default(),
            asked: BTreeMap::new(),
            last_command: 0,
            spare: spare(),
            paused_until: None,
            refusal_told: false,
        }
    }

    /// When something is due.
    pub(super) fn next_end(&self) -> Option<Instant> {
        self.clients.next_deadline().into_iter().chain(self.paused_until).min()
    }

    /// Takes a connection only to close it; whether that was possible. One that
    /// just waits would wake the listener for ever.
    fn turn_away(&mut self) -> bool {
        self.spare = None;
        let taken = self.listener.as_ref().map(|listener| rustix::net::accept(listener.fd()));
        self.spare = spare();
        matches!(taken, Some(Ok(_)))
    }
}

fn spare() -> Option<OwnedFd> {
    std::fs::File::open("/dev/null").map(OwnedFd::from).ok()
}

/// Whoever runs as root or as our own user may command us.
fn is_trusted(fd: &OwnedFd) -> bool {
    let own = rustix::process::geteuid().as_raw();
    os::peer_uid(fd.as_fd()).is_some_and(|uid| uid == 0 || uid == own)
}

impl EventLoop {
    pub(super) fn open_control(&mut self) -> io::Result<()> {
        let Some(listener) = &self.control.listener else { return Ok(()) };
        os::set_nonblocking(listener.fd())?;
        let token = self.io.sources.add(Source::Control);
        self.control.token = token;
        self.io.os.watch(listener.fd(), token, Interest::Read)
    }

    /// The file of the control socket, if it has one.
    pub(super) fn control_file(&self) -> Option<SocketFile> {
        self.control.listener.as_ref()?.file().cloned()
    }

    pub(super) fn control_address(&self) -> Address {
        Address::Unix(self.control.path.clone())
    }

    /// Takes over a control socket that was bound again.
    pub(super) fn renew_control(&mut self, listener: Listener) -> Result<(), String> {
        if let Some(old) = self.control.listener.replace(listener) {
            self.io.os.forget(old.fd(), self.control.token);
            self.io.sources.remove(self.control.token);
        }
        self.open_control().map_err(|error| format!("it cannot be waited on: {error}"))
    }

    pub(super) fn close_control(&mut self) {
        for token in self.control.clients.tokens() {
            self.send_output(token);
            self.drop_client(token);
        }
    }

    pub(super) fn accept_clients(&mut self) {
        let end = Instant::now() + ACCEPT_FOR;
        for _ in 0..ACCEPTS_A_TURN {
            if end <= Instant::now() {
                // Those who still wait wake the next turn.
                return;
            }
            let Some(listener) = &self.control.listener else { return };
            match rustix::net::accept(listener.fd()) {
                Ok(fd) => self.accept_client(fd),
                // It was in a hurry and has left.
                Err(Errno::INTR | Errno::CONNABORTED) => {}
                Err(Errno::AGAIN) => return,
                Err(Errno::MFILE | Errno::NFILE) if self.control.turn_away() => {}
                Err(error) => return self.pause_accepting(error.into()),
            }
            self.control.refusal_told = false;
        }
    }

    /// Leaves the listener alone for a while: it would wake us again at once.
    fn pause_accepting(&mut self, error: io::Error) {
        if let Some(listener) = &self.control.listener {
            self.io.os.forget(listener.fd(), self.control.token);
            self.control.paused_until = Some(Instant::now() + ACCEPT_PAUSE);
        }
        if !std::mem::replace(&mut self.control.refusal_told, true) {
            self.warn(&format!(
                "the control socket cannot accept connections: {error}; retrying every {ACCEPT_PAUSE:?}"
            ));
        }
    }

    fn accept_client(&mut self, fd: OwnedFd) {
        if !is_trusted(&fd) {
            // A new connection has room for this; if not, silence will do.
            let _ = rustix::io::write(&fd, REFUSAL.as_bytes());
            return self.warn("a client of another user was refused on the control socket");
        }
        if let Some(silent) = self.client_to_evict() {
            // What it has asked just now counts.
            self.serve_client(silent);
        }
        if let Some(evicted) = self.client_to_evict() {
            self.drop_client(evicted);
        }
        let ready = rustix::io::fcntl_setfd(&fd, rustix::io::FdFlags::CLOEXEC)
            .map_err(io::Error::from)
            .and_then(|()| os::set_nonblocking(&fd));
        // Where it cannot be set, the default will do.
        let _ = rustix::net::sockopt::set_socket_send_buffer_size(&fd, SEND_BUFFER);
        let token = self.io.sources.add(Source::Client);
        if ready.and_then(|()| self.io.os.watch(fd.as_fd(), token, Interest::Read)).is_err() {
            return self.io.sources.remove(token);
        }
        self.control.clients.add(token, Client::new(fd, Instant::now()));
        // Most have asked already.
        self.serve_client(token);
    }

    fn client_to_evict(&self) -> Option<Token> {
        let asked = &self.control.asked;
        self.control.clients.to_evict(|token| asked.values().any(|asker| *asker == token))
    }

    /// Closes connections whose requests take too long to arrive.
    pub(super) fn end_silent_clients(&mut self, now: Instant) {
        for token in self.control.clients.late(now) {
            self.drop_client(token);
        }
        if self.control.paused_until.is_some_and(|until| until <= now) {
            self.control.paused_until = None;
            self.control.spare = self.control.spare.take().or_else(spare);
            if let Some(listener) = &self.control.listener
                && let Err(error) =
                    self.io.os.watch(listener.fd(), self.control.token, Interest::Read)
            {
                self.pause_accepting(error);
            }
        }
    }

    /// A client sent something, takes something, or left. One request a turn,
    /// because some of them take their time.
    pub(super) fn serve_client(&mut self, token: Token) {
        self.send_output(token);
        if self.monitors.usages.is_waited_for(token) {
            // Answers come in the order of the requests.
            return;
        }
        let Some(client) = self.control.clients.get_mut(token) else { return };
        if !client.has_request() {
            let mut buffer = [0u8; 4_096];
            match rustix::io::read(&client.fd, &mut buffer) {
                Ok(0) => return self.drop_client(token),
                Ok(read) => client.received(&buffer[..read], Instant::now()),
                Err(Errno::AGAIN | Errno::INTR) => return,
                Err(_) => return self.drop_client(token),
            }
            if client.input.len() > LONGEST_REQUEST {
                self.answer(token, false, "the request is too long".to_owned());
                return self.leave_when_sent(token);
            }
        }
        let Some(line) = client.request(Instant::now()) else { return };
        self.take_request(token, &line);
        if self.control.clients.get_mut(token).is_some_and(|client| client.has_request()) {
            self.io.turn.leave(token);
        }
    }

    /// Queues bytes for a client and sends what goes at once.
    fn give(&mut self, token: Token, bytes: &Rc<[u8]>) {
        if self.control.clients.get_mut(token).is_none_or(|client| client.leaving) {
            return;
        }
        if !self.control.clients.push(token, Rc::clone(bytes)) {
            // Telling it would only give the other followers more to read.
            return self.drop_client(token);
        }
        self.send_output(token);
        while let Some(slow) = self.control.clients.too_slow() {
            self.drop_client(slow);
        }
    }

    fn send_output(&mut self, token: Token) {
        let Some(client) = self.control.clients.get_mut(token) else { return };
        while !client.output.is_empty() {
            match rustix::io::write(&client.fd, client.output.next()) {
                Ok(sent) => client.output.took(sent),
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => break,
                Err(_) => return self.drop_client(token),
            }
        }
        if client.output.is_empty() && client.leaving {
            return self.drop_client(token);
        }
        let interest = if client.output.is_empty() { Interest::Read } else { Interest::Both };
        // A failure shows as silence, which the client's own timeout ends.
        let _ = self.io.os.rewatch(client.fd.as_fd(), token, interest);
    }

    fn leave_when_sent(&mut self, token: Token) {
        if let Some(client) = self.control.clients.get_mut(token) {
            client.leaving = true;
        }
        self.send_output(token);
    }

    fn drop_client(&mut self, token: Token) {
        if let Some(client) = self.control.clients.remove(token) {
            self.io.os.forget(client.fd.as_fd(), token);
        }
        self.io.sources.remove(token);
        let left = self.control.asked.extract_if(.., |_, asker| *asker == token);
        self.core.events.extend(left.map(|(id, _)| Event::Withdrawn(id)));
    }
}
