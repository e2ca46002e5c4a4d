//! What services say of themselves through `NOTIFY_SOCKET` (sd_notify(3)). Every
//! generation has a socket of its own, so nothing that an older one says is
//! taken for the newer one's; messages of other processes are ignored.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::machine::Generation;
use crate::os::{self, Interest, Token, Tree};
use crate::plan::Blueprint;

use super::io::{Io, Source};

/// Most messages of one socket before others get their turn, including those of
/// other processes.
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
    /// Its last `STATUS=`.
    status: Option<String>,
    /// When it is read again.
    paused_until: Option<Instant>,
}

/// What a service has said that others must know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Notification {
    /// `READY=1`
    Ready,
    /// `WATCHDOG=1`
    Watchdog,
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

    /// Makes the socket of a service that uses one. The child binds it.
    ///
    /// # Errors
    /// There is no room for another descriptor.
    pub(super) fn open(
        &mut self,
        io: &mut Io,
        blueprint: &Blueprint,
        generation: Generation,
    ) -> io::Result<()> {
        if !blueprint.notifies() {
            return Ok(());
        }
        let fd = os::notify_socket()?;
        let token = io.watch(fd.as_fd(), Interest::Read, Source::Notify)?;
        let path = self.path(generation);
        let socket = NotifySocket { token, fd, path, status: None, paused_until: None };
        self.open.insert(generation, socket);
        Ok(())
    }

    fn path(&self, generation: Generation) -> PathBuf {
        let mut path = self.control.clone().into_os_string();
        path.push(format!("-n{}", generation.0));
        path.into()
    }

    /// Closes the socket of a generation; its file has to be removed.
    #[must_use]
    pub(super) fn close(&mut self, io: &mut Io, generation: Generation) -> Option<PathBuf> {
        let socket = self.open.remove(&generation)?;
        io.forget(socket.fd.as_fd(), socket.token);
        Some(socket.path)
    }

    /// Whose socket it is.
    pub(super) fn owner(&self, token: Token) -> Option<Generation> {
        let mut open = self.open.iter();
        open.find(|(_, socket)| socket.token == token).map(|(generation, _)| *generation)
    }

    /// Reads what the processes of `tree` say.
    pub(super) fn read(
        &mut self,
        io: &mut Io,
        generation: Generation,
        tree: Tree<'_>,
    ) -> Vec<Notification> {
        let mut received = Vec::new();
        let Some(socket) = self.open.get_mut(&generation) else { return received };
        let mut last = None;
        for _ in 0..MESSAGES_A_TURN {
            match io.os().next_notify_message(socket.fd.as_fd(), tree, &mut last) {
                os::NotifyMessage::Nothing => return received,
                os::NotifyMessage::Foreign => {}
                os::NotifyMessage::Said(text) => {
                    socket.take(&String::from_utf8_lossy(&text), &mut received);
                }
            }
            if io.turn().is_over() {
                break;
            }
        }
        socket.paused_until = Some(Instant::now() + PAUSE);
        io.pause(socket.fd.as_fd(), socket.token);
        received
    }

    /// Reads sockets again that were left alone for a moment.
    pub(super) fn resume(&mut self, io: &mut Io, now: Instant) {
        for socket in self.open.values_mut() {
            if socket.paused_until.is_some_and(|until| until <= now) {
                let watched = io.resume(socket.fd.as_fd(), socket.token);
                // Without memory for it, later.
                socket.paused_until = watched.is_err().then(|| now + PAUSE);
            }
        }
    }
}

impl NotifySocket {
    fn take(&mut self, text: &str, received: &mut Vec<Notification>) {
        for line in text.lines() {
            match line.split_once('=') {
                Some(("READY", "1")) => received.push(Notification::Ready),
                Some(("WATCHDOG", "1")) => received.push(Notification::Watchdog),
                Some(("STATUS", status)) => {
                    let end = status.floor_char_boundary(LONGEST_STATUS);
                    self.status = Some(status[..end].to_owned());
                }
                // The protocol has more, and unknown assignments are to be ignored.
                _ => {}
            }
        }
    }
}
