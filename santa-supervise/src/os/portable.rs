//! Any Unix: poll, signal handlers that write to a pipe, waitpid. Trees are
//! process groups here: what makes a session of its own is not found again.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, IntoRawFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::Duration;

use super::{Interest, NotifyMessage, Orphans, Os, Pid, Token, Tree, Usage, Wake, calls};
use crate::machine::Exit;

/// Where the handler writes the number of the signal.
static HANDLER_PIPE: AtomicI32 = AtomicI32::new(-1);

extern "C" fn on_signal(signal: i32) {
    let byte = u8::try_from(signal).unwrap_or(0);
    calls::write_byte(HANDLER_PIPE.load(Ordering::Relaxed), byte);
}

/// See the module.
pub(super) struct Portable {
    signals: OwnedFd,
    watched: BTreeMap<Token, (RawFd, Interest)>,
}

impl Portable {
    pub(super) fn open() -> io::Result<Self> {
        let (signals, write) = calls::pipe()?;
        super::set_nonblocking(&signals)?;
        // A full pipe must not block the handler; what is in it wakes us anyway.
        super::set_nonblocking(&write)?;
        HANDLER_PIPE.store(write.into_raw_fd(), Ordering::Relaxed);
        let handler = on_signal as extern "C" fn(i32) as libc::sighandler_t;
        for signal in [libc::SIGTERM, libc::SIGINT, libc::SIGQUIT, libc::SIGHUP, libc::SIGCHLD] {
            calls::handle(signal, handler)?;
        }
        for signal in [libc::SIGUSR1, libc::SIGUSR2, libc::SIGPIPE, libc::SIGALRM, libc::SIGTSTP] {
            calls::handle(signal, libc::SIG_IGN)?;
        }
        calls::unblock_signals()?;
        Ok(Self { signals, watched: BTreeMap::new() })
    }

    fn read_signals(&self, wakes: &mut Vec<Wake>) {
        let mut bytes = [0u8; 64];
        while let Ok(read @ 1..) = rustix::io::read(&self.signals, &mut bytes) {
            for signal in bytes[..read].iter().map(|byte| i32::from(*byte)) {
                wakes.push(if signal == libc::SIGCHLD {
                    Wake::Child
                } else {
                    Wake::Signal(signal)
                });
            }
        }
    }
}

fn events(interest: Interest) -> i16 {
    match interest {
        Interest::Read => libc::POLLIN,
        Interest::Write => libc::POLLOUT,
        Interest::Both => libc::POLLIN | libc::POLLOUT,
        Interest::HangUp => 0,
    }
}

impl Os for Portable {
    fn name(&self) -> &'static str {
        "portable"
    }

    fn watch(&mut self, fd: BorrowedFd<'_>, token: Token, interest: Interest) -> io::Result<()> {
        self.watched.insert(token, (calls::raw(fd), interest));
        Ok(())
    }

    fn rewatch(&mut self, fd: BorrowedFd<'_>, token: Token, interest: Interest) -> io::Result<()> {
        self.watch(fd, token, interest)
    }

    fn forget(&mut self, _fd: BorrowedFd<'_>, token: Token) {
        self.watched.remove(&token);
    }

    fn wait(&mut self, timeout: Option<Duration>, wakes: &mut Vec<Wake>) -> io::Result<()> {
        let entry = |fd, events| libc::pollfd { fd, events, revents: 0 };
        let mut fds = vec![entry(self.signals.as_raw_fd(), libc::POLLIN)];
        fds.extend(self.watched.values().map(|(fd, interest)| entry(*fd, events(*interest))));
        // Rounded up: waking a little early would spin until the deadline.
        let timeout = timeout.map_or(-1, |timeout| {
            i32::try_from(timeout.as_micros().div_ceil(1_000)).unwrap_or(i32::MAX)
        });
        calls::poll(&mut fds, timeout)?;
        self.read_signals(wakes);
        for (token, fd) in self.watched.keys().zip(&fds[1..]) {
            if fd.revents != 0 {
                wakes.push(Wake::Io(*token));
            }
        }
        Ok(())
    }

    fn adopt(&mut self, _child: Pid) {}

    fn next_exit(&mut self) -> Option<(Pid, Exit)> {
        calls::reap()
    }

    fn signal_child(&self, child: Pid, signal: i32) -> io::Result<()> {
        calls::signal_process(child, signal)
    }

    fn orphans(&mut self, _known: &BTreeSet<Pid>) -> Orphans {
        Orphans::default()
    }

    fn learn(&mut self, _pid: Pid, _variable: Option<&str>) {}

    fn signal_group(&self, tree: Tree<'_>, signal: i32) {
        calls::signal_group(tree.main, tree.main_alive, signal);
    }

    fn signal_tree(
        &self,
        tree: Tree<'_>,
        _orphans: &Orphans,
        signal: i32,
        done: &mut BTreeSet<Pid>,
    ) -> bool {
        if done.insert(tree.main) {
            self.signal_group(tree, signal);
        }
        true
    }

    fn has_leftovers(&self, tree: Tree<'_>, _orphans: &Orphans) -> bool {
        calls::has_group(tree.main, tree.main_alive)
    }

    fn count(&self, tree: Tree<'_>, _orphans: &Orphans) -> usize {
        usize::from(tree.main_alive)
    }

    fn usage(&self, _tree: Tree<'_>, _orphans: &Orphans) -> Option<Usage> {
        None
    }

    fn oom_kills(&self) -> Option<u64> {
        None
    }

    fn kill_descendants(&self) {}

    fn next_notify_message(
        &self,
        socket: BorrowedFd<'_>,
        _tree: Tree<'_>,
        _last: &mut Option<(Pid, bool)>,
    ) -> NotifyMessage {
        calls::receive(socket).map_or(NotifyMessage::Nothing, |(text, _)| NotifyMessage::Said(text))
    }

    fn listens(&self, _socket: BorrowedFd<'_>, _tree: Tree<'_>) -> Option<bool> {
        None
    }
}
