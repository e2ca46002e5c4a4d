//! The control socket: who may use it, bounded requests, answers that never block.
//! Requests are carried out by the loop.

mod accept;
mod clients;

use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use rustix::io::Errno;
use santa_config::Address;
use serde::Serialize;

use crate::machine::{CommandId, Event};
use crate::os::{self, Interest, Token};
use crate::protocol::{Answer, Request};
use crate::record::{Chunk, OWN_NAME, Style};
use crate::sockets::{Listener, SocketFile};

use super::io::{Io, Source};
use accept::Acceptor;
use clients::{Client, Clients, Follow};

pub(super) use accept::Accepted;

/// Permission bits and backlog of the control socket.
pub(crate) const CONTROL_MODE: u32 = 0o600;
pub(crate) const CONTROL_BACKLOG: i32 = 64;

/// What the kernel may hold for a client that does not read, in bytes.
const SEND_BUFFER: usize = 64 * 1024;

/// Longest request.
const LONGEST_REQUEST: usize = 64 * 1024;

/// The listener and all connections.
#[derive(Debug)]
pub(super) struct Control {
    acceptor: Acceptor,
    clients: Clients,
    /// Who waits for the answer to a command.
    asked: BTreeMap<CommandId, Token>,
    last_command: u64,
    /// Commands whose askers have left, until the loop takes them.
    withdrawn: Vec<CommandId>,
}

impl Control {
    pub(super) fn new(listener: Option<Listener>, path: PathBuf) -> Self {
        Self {
            acceptor: Acceptor::new(listener, path),
            clients: Clients::default(),
            asked: BTreeMap::new(),
            last_command: 0,
            withdrawn: Vec::new(),
        }
    }

    /// When something is due.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.clients.next_deadline().into_iter().chain(self.acceptor.paused_until()).min()
    }

    /// Waits for connections.
    ///
    /// # Errors
    /// The control socket cannot be waited on.
    pub(super) fn open(&mut self, io: &mut Io) -> io::Result<()> {
        self.acceptor.open(io)
    }

    /// The file of the control socket, if it has one.
    pub(super) fn file(&self) -> Option<SocketFile> {
        self.acceptor.file()
    }

    pub(super) fn address(&self) -> Address {
        self.acceptor.address()
    }

    /// Takes over a control socket that was bound again.
    ///
    /// # Errors
    /// It cannot be waited on, in words.
    pub(super) fn renew(&mut self, io: &mut Io, listener: Listener) -> Result<(), String> {
        self.acceptor.renew(io, listener)
    }

    /// Sends what goes at once and closes all connections.
    pub(super) fn close(&mut self, io: &mut Io) {
        for token in self.clients.tokens() {
            self.send_output(io, token);
            self.drop_client(io, token);
        }
    }

    /// The next connection that waits.
    pub(super) fn accept(&mut self, io: &mut Io) -> Accepted {
        self.acceptor.accept(io)
    }

    /// Adds a client; one that has to make room for it is dropped.
    pub(super) fn add(&mut self, io: &mut Io, fd: OwnedFd) -> Option<Token> {
        if let Some(evicted) = self.client_to_evict() {
            self.drop_client(io, evicted);
        }
        rustix::io::fcntl_setfd(&fd, rustix::io::FdFlags::CLOEXEC).ok()?;
        os::set_nonblocking(&fd).ok()?;
        // Where it cannot be set, the default will do.
        let _ = rustix::net::sockopt::set_socket_send_buffer_size(&fd, SEND_BUFFER);
        let token = io.watch(fd.as_fd(), Interest::Read, Source::Client).ok()?;
        self.clients.add(token, Client::new(fd, Instant::now()));
        Some(token)
    }

    /// Who has to make room for the next client.
    pub(super) fn client_to_evict(&self) -> Option<Token> {
        let asked = &self.asked;
        self.clients.to_evict(|token| asked.values().any(|asker| *asker == token))
    }

    /// Closes connections whose requests take too long to arrive, and takes new ones
    /// again after a refusal by the system. Tells what is to be reported.
    pub(super) fn run_timers(&mut self, io: &mut Io, now: Instant) -> Option<String> {
        for token in self.clients.late(now) {
            self.drop_client(io, token);
        }
        self.acceptor.resume(io, now)
    }

    /// A client sent something, takes something, or left; its next request.
    pub(super) fn next_request(&mut self, io: &mut Io, token: Token) -> Option<Request> {
        let client = self.clients.get_mut(token)?;
        if !client.has_request() {
            let mut buffer = [0u8; 4_096];
            match rustix::io::read(&client.fd, &mut buffer) {
                Ok(read @ 1..) => client.received(&buffer[..read], Instant::now()),
                Err(Errno::AGAIN | Errno::INTR) => return None,
                Ok(0) | Err(_) => {
                    self.drop_client(io, token);
                    return None;
                }
            }
            if client.input.len() > LONGEST_REQUEST {
                client.input.clear();
                self.answer(io, token, false, "the request is too long".to_owned());
                self.leave_when_sent(io, token);
                return None;
            }
        }
        let line = client.request(Instant::now())?;
        match serde_json::from_slice(&line) {
            Ok(request) => Some(request),
            Err(error) => {
                self.answer(io, token, false, format!("invalid request: {error}"));
                None
            }
        }
    }

    /// Whether a client has sent another request already.
    pub(super) fn has_request(&mut self, token: Token) -> bool {
        self.clients.get_mut(token).is_some_and(|client| client.has_request())
    }

    /// The number of a command that a client waits for.
    pub(super) fn await_command(&mut self, token: Token) -> CommandId {
        self.last_command += 1;
        let id = CommandId(self.last_command);
        self.asked.insert(id, token);
        id
    }

    /// Commands whose askers have left since the last time.
    pub(super) fn take_withdrawn(&mut self) -> impl Iterator<Item = Event> {
        std::mem::take(&mut self.withdrawn).into_iter().map(Event::Withdrawn)
    }

    /// The core's answer to a command; its asker may have left.
    pub(super) fn reply(&mut self, io: &mut Io, id: CommandId, outcome: Result<String, String>) {
        if let Some(token) = self.asked.remove(&id) {
            let ok = outcome.is_ok();
            self.answer(io, token, ok, outcome.unwrap_or_else(|problem| problem));
        }
    }

    pub(super) fn answer(&mut self, io: &mut Io, token: Token, ok: bool, message: String) {
        self.give_json(io, token, &Answer { ok, message });
    }

    pub(super) fn give_json(&mut self, io: &mut Io, token: Token, value: &impl Serialize) {
        // Our own types always have a JSON form.
        if let Ok(mut text) = serde_json::to_vec(value) {
            text.push(b'\n');
            self.give(io, token, &text.into());
        }
    }

    /// Queues bytes for a client and sends what goes at once.
    pub(super) fn give(&mut self, io: &mut Io, token: Token, bytes: &Rc<[u8]>) {
        if self.clients.get_mut(token).is_none_or(|client| client.leaving) {
            return;
        }
        if !self.clients.push(token, Rc::clone(bytes)) {
            // Reporting it would only give the other followers more to read.
            return self.drop_client(io, token);
        }
        self.send_output(io, token);
        while let Some(slow) = self.clients.too_slow() {
            self.drop_client(io, slow);
        }
    }

    /// Sends a client what waits for it, as far as it goes.
    pub(super) fn send_output(&mut self, io: &mut Io, token: Token) {
        let Some(client) = self.clients.get_mut(token) else { return };
        while !client.output.is_empty() {
            match rustix::io::write(&client.fd, client.output.next()) {
                Ok(sent) => client.output.took(sent),
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => break,
                Err(_) => return self.drop_client(io, token),
            }
        }
        if client.output.is_empty() && client.leaving {
            return self.drop_client(io, token);
        }
        let interest = if client.output.is_empty() { Interest::Read } else { Interest::Both };
        // A failure shows as silence, which the client's own timeout ends.
        let _ = io.rewatch(client.fd.as_fd(), token, interest);
    }

    /// Closes a connection as soon as everything is sent.
    pub(super) fn leave_when_sent(&mut self, io: &mut Io, token: Token) {
        if let Some(client) = self.clients.get_mut(token) {
            client.leaving = true;
        }
        self.send_output(io, token);
    }

    fn drop_client(&mut self, io: &mut Io, token: Token) {
        let Some(client) = self.clients.remove(token) else { return };
        io.forget(client.fd.as_fd(), token);
        let left = self.asked.extract_if(.., |_, asker| *asker == token);
        self.withdrawn.extend(left.map(|(id, _)| id));
    }

    /// Shows a client lines of one service, or of all, from now on.
    pub(super) fn follow_lines(&mut self, token: Token, name: Option<String>) {
        self.follow(token, Follow::Lines(name));
    }

    /// Shows a client events of santa-supervise from now on.
    pub(super) fn follow_events(&mut self, token: Token) {
        self.follow(token, Follow::Events);
    }

    fn follow(&mut self, token: Token, what: Follow) {
        if let Some(client) = self.clients.get_mut(token) {
            client.follow = what;
        }
    }

    /// Shows new output to everybody who follows it.
    pub(super) fn show(&mut self, io: &mut Io, chunk: &Arc<Chunk>) {
        let wants = |follow: &Follow| match follow {
            Follow::Nothing => false,
            Follow::Events => &*chunk.service == OWN_NAME,
            Follow::Lines(name) => name.as_deref().is_none_or(|name| is_of(&chunk.service, name)),
        };
        let tokens = self.clients.who(wants);
        if tokens.is_empty() {
            return;
        }
        let mut text = Vec::new();
        chunk.write(Style::Json, &mut text);
        let text = text.into();
        for token in tokens {
            self.give(io, token, &text);
        }
    }
}

/// Whether the output of `label` is meant by `NAME` or `NAME:INSTANCE`.
pub(super) fn is_of(label: &str, name: &str) -> bool {
    label == name || label.split_once(':').is_some_and(|(service, _)| service == name)
}
