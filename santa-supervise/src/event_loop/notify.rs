//! What services say of themselves through `NOTIFY_SOCKET` (sd_notify(3)). Every
//! generation has a socket of its own, so nothing that an older one says is
//! taken for the newer one's; strangers are passed over.

use std::collections::BTreeMap;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::machine::{Event, Generation};
use crate::os::{self, Interest, Token};
use crate::plan::{Blueprint, ProbeKind};

use super::{EventLoop, Source};

/// Most messages of one socket before others get their turn, strangers' too.
const MESSAGES_A_TURN: usize = 32;

/// How long a socket with that many is left alone: nobody has to say more, and
/// whoever floods it waits when its queue is full.
const PAUSE: Duration = Duration::from_millis(20);

/// How much of a `STATUS=` is kept, in bytes.
const LONGEST_STATUS: usize = 400;

#[derive(Debug)]
struct NotifySocket {
    token: Token,
    fd: OwnedFd,
    path: PathBuf,
    /// What it last said of itself.
    status: Option<String>,
    /// When it is read again.
    paused_until: Option<Instant>,
}

/// The sockets, by generation.
#[derive(Debug)]
pub(super) struct NotifySockets {
    control: PathBuf,
    open: BTreeMap<Generation, NotifySocket>,
}

impl NotifySockets {
    /// They lie beside the control socket.
    pub(super) fn beside(control: PathBuf) -> Self {
        Self { control, open: BTreeMap::new() }
    }

    pub(super) fn status_of(&self, generation: Generation) -> Option<&str> {
        self.open.get(&generation)?.status.as_deref()
    }

    /// The socket of a generation that has one, and where it is to be bound.
    pub(super) fn socket_of(&self, generation: Generation) -> Option<(BorrowedFd<'_>, &Path)> {
        self.open.get(&generation).map(|socket| (socket.fd.as_fd(), socket.path.as_path()))
    }

    /// Where all sockets are.
    pub(super) fn paths(&self) -> Vec<PathBuf> {
        self.open.values().map(|socket| socket.path.clone()).collect()
    }

    /// When a socket is read again.
    pub(super) fn next_check(&self) -> Option<Instant> {
        self.open.values().filter_map(|socket| socket.paused_until).min()
    }

    fn path(&self, generation: Generation) -> PathBuf {
        let mut path = self.control.clone().into_os_string();
        path.push(format!("-n{}", generation.0));
        path.into()
    }
}

impl EventLoop {
    /// Makes the socket for a service that is to be told of one. The child binds it.
    pub(super) fn open_notify_socket(&mut self, blueprint: &Blueprint, generation: Generation) {
        if !blueprint.notifies() {
            return;
        }
        match self.make_notify_socket() {
            Ok((token, fd)) => {
                let path = self.monitors.notify.path(generation);
                let socket = NotifySocket { token, fd, path, status: None, paused_until: None };
                self.monitors.notify.open.insert(generation, socket);
            }
            Err(error) => {
                let label = blueprint.spec.label();
                self.warn(&format!("cannot create the NOTIFY_SOCKET of {label}: {error}"));
            }
        }
    }

    fn make_notify_socket(&mut self) -> std::io::Result<(Token, OwnedFd)> {
        let fd = os::notify_socket()?;
        let token = self.io.sources.add(Source::Notify);
        self.io.os.watch(fd.as_fd(), token, Interest::Read).inspect_err(|_| {
            self.io.sources.remove(token);
        })?;
        Ok((token, fd))
    }

    pub(super) fn close_notify_socket(&mut self, generation: Generation) {
        if let Some(socket) = self.monitors.notify.open.remove(&generation) {
            self.io.os.forget(socket.fd.as_fd(), socket.token);
            self.io.sources.remove(socket.token);
            self.sockets.remove_path(socket.path);
        }
    }

    /// Reads what a service says.
    pub(super) fn read_notify_socket(&mut self, token: Token) {
        let mut open = self.monitors.notify.open.iter();
        let Some(generation) =
            open.find(|(_, socket)| socket.token == token).map(|(generation, _)| *generation)
        else {
            return;
        };
        let mut last = None;
        for _ in 0..MESSAGES_A_TURN {
            let (Some(socket), Some(child)) = (
                self.monitors.notify.open.get(&generation),
                self.processes.children.get(generation),
            ) else {
                return;
            };
            match self.io.os.next_notify_message(socket.fd.as_fd(), child.tree(), &mut last) {
                os::NotifyMessage::Nothing => return,
                os::NotifyMessage::Foreign => {}
                os::NotifyMessage::Said(text) => {
                    self.handle_notify_message(generation, &String::from_utf8_lossy(&text));
                }
            }
            if self.io.turn.is_over() {
                break;
            }
        }
        if let Some(socket) = self.monitors.notify.open.get_mut(&generation) {
            socket.paused_until = Some(Instant::now() + PAUSE);
            self.io.os.forget(socket.fd.as_fd(), token);
        }
    }

    /// Reads sockets again that were left alone for a moment.
    pub(super) fn resume_notify_sockets(&mut self, now: Instant) {
        for socket in self.monitors.notify.open.values_mut() {
            if socket.paused_until.is_some_and(|until| until <= now) {
                let watched = self.io.os.watch(socket.fd.as_fd(), socket.token, Interest::Read);
                // Without memory for it, later.
                socket.paused_until = watched.is_err().then(|| now + PAUSE);
            }
        }
    }

    fn handle_notify_message(&mut self, generation: Generation, text: &str) {
        for line in text.lines() {
            match line.split_once('=') {
                Some(("READY", "1")) => self.notify_ready(generation),
                Some(("WATCHDOG", "1")) => self.watchdog_ping(generation),
                Some(("STATUS", status)) => {
                    let end = status.floor_char_boundary(LONGEST_STATUS);
                    if let Some(socket) = self.monitors.notify.open.get_mut(&generation) {
                        socket.status = Some(status[..end].to_owned());
                    }
                }
                // The protocol has more, and asks to pass over what is not known.
                _ => {}
            }
        }
    }

    fn notify_ready(&mut self, generation: Generation) {
        if let Some(child) = self.processes.children.get(generation)
            && child.blueprint.probe == Some(ProbeKind::Notify)
        {
            self.core.events.push_back(Event::Ready(child.slot, generation));
        }
    }
}
