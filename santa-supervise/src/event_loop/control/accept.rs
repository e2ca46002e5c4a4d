//! The listener of the control socket: who is accepted, and what happens when the
//! system refuses connections.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use rustix::io::Errno;
use santa_config::Address;

use crate::os::{self, Interest, Token};
use crate::sockets::{Listener, SocketFile};

use super::super::io::{Io, Source};

/// How long no connections are taken after the system has refused one.
const ACCEPT_PAUSE: Duration = Duration::from_secs(1);

/// For clients of other users.
const REFUSAL: &str =
    "{\"ok\":false,\"message\":\"only root and the user of santa-supervise may command it\"}\n";

/// The listener, if there is one.
#[derive(Debug)]
pub(super) struct Acceptor {
    listener: Option<Listener>,
    path: PathBuf,
    /// Zero until the listener is waited on.
    token: Token,
    /// Given up for a moment when no other descriptor is left.
    spare: Option<OwnedFd>,
    /// When connections are taken again, after a refusal by the system.
    paused_until: Option<Instant>,
    /// Whether that has been reported.
    refusal_logged: bool,
}

/// What the listener has.
#[derive(Debug)]
pub(in super::super) enum Accepted {
    /// A client that may command us.
    Client(OwnedFd),
    /// Nobody: the client has left or was turned away.
    Nobody,
    /// A client that may not, to be reported.
    Refused(String),
    /// No more for now; a new problem is to be reported.
    Done(Option<String>),
}

impl Acceptor {
    pub(super) fn new(listener: Option<Listener>, path: PathBuf) -> Self {
        let (spare, paused_until) = (spare(), None);
        Self { listener, path, token: 0, spare, paused_until, refusal_logged: false }
    }

    pub(super) fn open(&mut self, io: &mut Io) -> io::Result<()> {
        let Some(listener) = &self.listener else { return Ok(()) };
        os::set_nonblocking(listener.fd())?;
        self.token = io.watch(listener.fd(), Interest::Read, Source::Control)?;
        Ok(())
    }

    /// The file of the control socket, if it has one.
    pub(super) fn file(&self) -> Option<SocketFile> {
        self.listener.as_ref()?.file().cloned()
    }

    pub(super) fn address(&self) -> Address {
        Address::Unix(self.path.clone())
    }

    /// Takes over a control socket that was bound again.
    pub(super) fn renew(&mut self, io: &mut Io, listener: Listener) -> Result<(), String> {
        if let Some(old) = self.listener.replace(listener) {
            io.forget(old.fd(), self.token);
        }
        self.open(io).map_err(|error| format!("it cannot be waited on: {error}"))
    }

    /// When connections are taken again.
    pub(super) fn paused_until(&self) -> Option<Instant> {
        self.paused_until
    }

    pub(super) fn accept(&mut self, io: &mut Io) -> Accepted {
        let Some(listener) = &self.listener else { return Accepted::Done(None) };
        let accepted = match rustix::net::accept(listener.fd()) {
            Ok(fd) if is_trusted(&fd) => Accepted::Client(fd),
            Ok(fd) => {
                // A new connection has room for this; if not, silence will do.
                let _ = rustix::io::write(&fd, REFUSAL.as_bytes());
                let refused = "a client of another user was refused on the control socket";
                Accepted::Refused(refused.to_owned())
            }
            // The client has left already.
            Err(Errno::INTR | Errno::CONNABORTED) => Accepted::Nobody,
            Err(Errno::AGAIN) => return Accepted::Done(None),
            Err(Errno::MFILE | Errno::NFILE) if self.turn_away() => Accepted::Nobody,
            Err(error) => return Accepted::Done(self.pause(io, &error.into())),
        };
        self.refusal_logged = false;
        accepted
    }

    /// Takes a connection only to close it; whether that was possible. One that
    /// just waits would wake the listener forever.
    fn turn_away(&mut self) -> bool {
        self.spare = None;
        let taken = self.listener.as_ref().map(|listener| rustix::net::accept(listener.fd()));
        self.spare = spare();
        matches!(taken, Some(Ok(_)))
    }

    /// Leaves the listener alone for a while: it would wake us again at once. Returns
    /// what is to be reported.
    fn pause(&mut self, io: &mut Io, error: &io::Error) -> Option<String> {
        if let Some(listener) = &self.listener {
            io.pause(listener.fd(), self.token);
            self.paused_until = Some(Instant::now() + ACCEPT_PAUSE);
        }
        let logged = std::mem::replace(&mut self.refusal_logged, true);
        (!logged).then(|| {
            format!(
                "the control socket cannot accept connections: {error}; retrying every {ACCEPT_PAUSE:?}"
            )
        })
    }

    /// Takes connections again when it is time to. Returns what is to be reported.
    pub(super) fn resume(&mut self, io: &mut Io, now: Instant) -> Option<String> {
        self.paused_until.take_if(|until| *until <= now)?;
        self.spare = self.spare.take().or_else(spare);
        let listener = self.listener.as_ref()?;
        let error = io.resume(listener.fd(), self.token).err()?;
        self.pause(io, &error)
    }
}

fn spare() -> Option<OwnedFd> {
    std::fs::File::open("/dev/null").map(OwnedFd::from).ok()
}

/// Clients of root and of our own user may send commands.
fn is_trusted(fd: &OwnedFd) -> bool {
    let own = rustix::process::geteuid().as_raw();
    os::peer_uid(fd.as_fd()).is_some_and(|uid| uid == 0 || uid == own)
}
