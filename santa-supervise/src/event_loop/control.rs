//! The control socket: who may speak, bounded requests, answers that never make
//! anybody wait. What a request means is in `requests.rs` below.

mod requests;

use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;

use rustix::io::Errno;
use santa_config::Address;

use crate::machine::{CommandId, Event};
use crate::os::{self, Interest, Token};
use crate::sockets::{self, Listener};

use super::{EventLoop, Source};

/// Permission bits and backlog of the control socket.
pub(crate) const CONTROL_MODE: u32 = 0o600;
pub(crate) const CONTROL_BACKLOG: i32 = 64;

/// Most connections at a time.
const CLIENTS: usize = 64;

/// Longest request.
const LONGEST_REQUEST: usize = 64 * 1024;

/// What may wait for a client that reads slowly, before it is dropped.
const LONGEST_ANSWER: usize = 4 * 1024 * 1024;

/// For clients of other users.
const REFUSAL: &str =
    "{\"ok\":false,\"message\":\"only root and the user of santa-supervise may command it\"}\n";

/// What a client wants to see as it comes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Follow {
    /// Nothing.
    Nothing,
    /// Lines of one service or of all.
    Lines(Option<String>),
    /// What santa-supervise tells.
    Events,
}

/// One connection.
#[derive(Debug)]
pub(super) struct Client {
    fd: OwnedFd,
    input: Vec<u8>,
    output: Vec<u8>,
    follow: Follow,
    /// Closed as soon as `output` is sent.
    leaving: bool,
}

/// All connections.
#[derive(Debug)]
pub(super) struct Control {
    listener: Option<Listener>,
    path: PathBuf,
    token: Token,
    clients: BTreeMap<Token, Client>,
    /// Who waits for the answer to a command.
    asked: BTreeMap<CommandId, Token>,
    last_command: u64,
    /// Given up for a moment when no other descriptor is left.
    spare: Option<OwnedFd>,
}

impl Control {
    pub(super) fn new(listener: Option<Listener>, path: PathBuf) -> Self {
        Self {
            listener,
            path,
            token: 0,
            clients: BTreeMap::new(),
            asked: BTreeMap::new(),
            last_command: 0,
            spare: spare(),
        }
    }

    /// Takes a connection only to close it. One that just waits would wake the
    /// listener for ever.
    fn turn_away(&mut self) {
        self.spare = None;
        if let Some(listener) = &self.listener {
            let _ = rustix::net::accept(listener.fd());
        }
        self.spare = spare();
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
        let token = self.sources.add(Source::Control);
        self.control.token = token;
        self.os.watch(listener.fd(), token, Interest::Read)
    }

    /// Binds the control socket again when somebody has removed its file.
    pub(super) fn restore_control(&mut self) {
        let Some(listener) = self.control.listener.as_ref().filter(|one| one.is_lost()) else {
            return;
        };
        let path = Address::Unix(self.control.path.clone());
        let bound = match sockets::bind(&path, CONTROL_MODE, CONTROL_BACKLOG) {
            Ok(bound) => bound,
            Err(problem) => return self.warn(&format!(
                "the control socket was removed by somebody and cannot be bound again: {problem}"
            )),
        };
        self.os.forget(listener.fd(), self.control.token);
        self.sources.remove(self.control.token);
        self.control.listener = Some(bound);
        if let Err(error) = self.open_control() {
            self.warn(&format!("the control socket cannot be waited on: {error}"));
        }
    }

    pub(super) fn close_control(&mut self) {
        let clients: Vec<Token> = self.control.clients.keys().copied().collect();
        for token in clients {
            self.send_output(token);
            self.drop_client(token);
        }
        self.control.listener = None;
    }

    pub(super) fn accept_clients(&mut self) {
        let Some(listener) = &self.control.listener else { return };
        // The listener wakes again for the next one.
        let fd = match rustix::net::accept(listener.fd()) {
            Ok(fd) => fd,
            Err(Errno::MFILE | Errno::NFILE) => return self.control.turn_away(),
            Err(_) => return,
        };
        if self.control.clients.len() >= CLIENTS {
            return;
        }
        if !is_trusted(&fd) {
            // A new connection has room for this; if not, silence will do.
            let _ = rustix::io::write(&fd, REFUSAL.as_bytes());
            return self.warn("a client of another user was refused on the control socket");
        }
        let ready = rustix::io::fcntl_setfd(&fd, rustix::io::FdFlags::CLOEXEC)
            .map_err(io::Error::from)
            .and_then(|()| os::set_nonblocking(&fd));
        let token = self.sources.add(Source::Client);
        if ready.and_then(|()| self.os.watch(fd.as_fd(), token, Interest::Read)).is_err() {
            return self.sources.remove(token);
        }
        let client = Client {
            fd,
            input: Vec::new(),
            output: Vec::new(),
            follow: Follow::Nothing,
            leaving: false,
        };
        self.control.clients.insert(token, client);
    }

    /// A client sent something, takes something, or left.
    pub(super) fn serve_client(&mut self, token: Token) {
        self.send_output(token);
        let mut buffer = [0u8; 4_096];
        let Some(client) = self.control.clients.get_mut(&token) else { return };
        match rustix::io::read(&client.fd, &mut buffer) {
            Ok(0) => return self.drop_client(token),
            Ok(read) => client.input.extend_from_slice(&buffer[..read]),
            Err(Errno::AGAIN | Errno::INTR) => return,
            Err(_) => return self.drop_client(token),
        }
        if client.input.len() > LONGEST_REQUEST {
            self.answer(token, false, "the request is too long".to_owned());
            return self.leave_when_sent(token);
        }
        while let Some(line) = self.next_line(token) {
            self.take_request(token, &line);
        }
    }

    fn next_line(&mut self, token: Token) -> Option<Vec<u8>> {
        let input = &mut self.control.clients.get_mut(&token)?.input;
        let end = memchr::memchr(b'\n', input)?;
        Some(input.drain(..=end).collect())
    }

    /// Queues bytes for a client and sends what goes at once.
    fn give(&mut self, token: Token, bytes: &[u8]) {
        let Some(client) = self.control.clients.get_mut(&token).filter(|client| !client.leaving)
        else {
            return;
        };
        if client.output.len() + bytes.len() > LONGEST_ANSWER {
            // Telling it would only give the other followers more to read.
            return self.drop_client(token);
        }
        client.output.extend_from_slice(bytes);
        self.send_output(token);
    }

    fn send_output(&mut self, token: Token) {
        let Some(client) = self.control.clients.get_mut(&token) else { return };
        while !client.output.is_empty() {
            match rustix::io::write(&client.fd, &client.output) {
                Ok(sent) => drop(client.output.drain(..sent)),
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
        let _ = self.os.rewatch(client.fd.as_fd(), token, interest);
    }

    fn leave_when_sent(&mut self, token: Token) {
        if let Some(client) = self.control.clients.get_mut(&token) {
            client.leaving = true;
        }
        self.send_output(token);
    }

    fn drop_client(&mut self, token: Token) {
        if let Some(client) = self.control.clients.remove(&token) {
            self.os.forget(client.fd.as_fd(), token);
        }
        self.sources.remove(token);
        let left = self.control.asked.extract_if(.., |_, asker| *asker == token);
        self.events.extend(left.map(|(id, _)| Event::Withdrawn(id)));
    }
}
