//! Linux: epoll, signalfd, pidfd, and /proc for what leaves a tree.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use rustix::event::{Timespec, epoll};
use rustix::process::{Pid as ChildId, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use super::{
    Allowance, Interest, NotifyMessage, Orphans, Os, Pid, Token, Tree, Usage, Wake, calls, procfs,
};
use crate::machine::Exit;

/// Tokens of our own, out of the way of the callers'.
const SIGNALS: Token = Token::MAX;
const CHILDREN: Token = Token::MAX - 1;

/// Most signals before others get their turn.
const SIGNALS_A_TURN: usize = 64;

/// Most processes of a tree that are signaled at a time, and the time after which
/// the others are left to the next time: who is woken to end takes the processor.
const MOST_SIGNALS: usize = 64;
const SIGNAL_FOR: Duration = Duration::from_millis(3);

/// See the module.
pub(super) struct Linux {
    epoll: OwnedFd,
    signals: OwnedFd,
    /// Living children; without a pidfd where the kernel or a filter refuses it.
    children: BTreeMap<Pid, Option<OwnedFd>>,
    /// Why orphans do not become our children.
    no_subreaper: Option<io::Error>,
    use_pidfd: bool,
    origins: procfs::Origins,
    events: Vec<epoll::Event>,
}

impl Linux {
    pub(super) fn open(use_pidfd: bool) -> io::Result<Self> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let signals = calls::signal_descriptor(&calls::all_signals())?;
        epoll::add(&epoll, &signals, epoll::EventData::new_u64(SIGNALS), epoll::EventFlags::IN)?;
        // Orphans of our services become our children. Refused where even
        // prctl is filtered; then PID 1 of the container gets them.
        let own = rustix::process::getpid();
        let refused = rustix::process::set_child_subreaper(Some(own)).err();
        let refused = refused.filter(|_| !own.is_init()).map(io::Error::from);
        Ok(Self {
            epoll,
            signals,
            children: BTreeMap::new(),
            no_subreaper: refused,
            use_pidfd,
            origins: procfs::Origins::default(),
            events: Vec::with_capacity(64),
        })
    }

    fn read_signals(&self, wakes: &mut Vec<Wake>) {
        // Real-time signals queue up; what is left wakes again.
        for _ in 0..SIGNALS_A_TURN {
            let Some(signal) = calls::next_signal(&self.signals) else { return };
            wakes.push(if signal == libc::SIGCHLD { Wake::Child } else { Wake::Signal(signal) });
        }
    }
}

fn flags(interest: Interest) -> epoll::EventFlags {
    match interest {
        Interest::Read => epoll::EventFlags::IN,
        Interest::Write => epoll::EventFlags::OUT,
        Interest::Both => epoll::EventFlags::IN | epoll::EventFlags::OUT,
        Interest::HangUp => epoll::EventFlags::empty(),
    }
}

impl Os for Linux {
    fn name(&self) -> &'static str {
        if self.use_pidfd { "linux" } else { "linux-without-pidfd" }
    }

    fn shortcoming(&self) -> Option<String> {
        let error = self.no_subreaper.as_ref()?;
        Some(format!(
            "orphans of services cannot be taken in (PR_SET_CHILD_SUBREAPER: {error}), so what leaves its service's process group is not stopped with it; run santa-supervise as PID 1 or allow prctl"
        ))
    }

    fn watch(&mut self, fd: BorrowedFd<'_>, token: Token, interest: Interest) -> io::Result<()> {
        Ok(epoll::add(&self.epoll, fd, epoll::EventData::new_u64(token), flags(interest))?)
    }

    fn rewatch(&mut self, fd: BorrowedFd<'_>, token: Token, interest: Interest) -> io::Result<()> {
        Ok(epoll::modify(&self.epoll, fd, epoll::EventData::new_u64(token), flags(interest))?)
    }

    fn forget(&mut self, fd: BorrowedFd<'_>, _token: Token) {
        // Fails only for what was never registered.
        let _ = epoll::delete(&self.epoll, fd);
    }

    fn wait(&mut self, timeout: Option<Duration>, wakes: &mut Vec<Wake>) -> io::Result<()> {
        let timeout = timeout.map(|timeout| {
            Timespec::try_from(timeout).unwrap_or(Timespec { tv_sec: 3_600, tv_nsec: 0 })
        });
        self.events.clear();
        match epoll::wait(
            &self.epoll,
            rustix::buffer::spare_capacity(&mut self.events),
            timeout.as_ref(),
        ) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        for event in &self.events {
            match event.data.u64() {
                SIGNALS => self.read_signals(wakes),
                CHILDREN => wakes.push(Wake::Child),
                token => wakes.push(Wake::Io(token)),
            }
        }
        Ok(())
    }

    fn adopt(&mut self, child: Pid) {
        let pidfd = ChildId::from_raw(child)
            .filter(|_| self.use_pidfd)
            .and_then(|id| pidfd_open(id, PidfdFlags::empty()).ok());
        if let Some(pidfd) = &pidfd {
            // Without it SIGCHLD still tells.
            let _ = epoll::add(
                &self.epoll,
                pidfd,
                epoll::EventData::new_u64(CHILDREN),
                epoll::EventFlags::IN,
            );
        }
        self.children.insert(child, pidfd);
    }

    fn next_exit(&mut self) -> Option<(Pid, Exit)> {
        let ended = calls::reap()?;
        // Closing it is not enough where a child that was forked meanwhile and
        // runs nothing yet holds it, too.
        if let Some(Some(pidfd)) = self.children.remove(&ended.0) {
            let _ = epoll::delete(&self.epoll, pidfd);
        }
        self.origins.forget(ended.0);
        Some(ended)
    }

    fn signal_child(&self, child: Pid, signal: i32) -> io::Result<()> {
        match (self.children.get(&child), Signal::from_named_raw(signal)) {
            (Some(Some(pidfd)), Some(signal)) => Ok(pidfd_send_signal(pidfd.as_fd(), signal)?),
            _ => calls::signal_process(child, signal),
        }
    }

    fn orphans(&mut self, known: &BTreeSet<Pid>) -> Orphans {
        self.origins.look(known)
    }

    fn learn(&mut self, pid: Pid, variable: Option<&str>) {
        self.origins.learn(pid, variable);
    }

    fn signal_group(&self, tree: Tree<'_>, signal: i32) {
        calls::signal_group(tree.main, tree.main_alive, signal);
    }

    fn signal_tree(
        &self,
        tree: Tree<'_>,
        orphans: &Orphans,
        signal: i32,
        done: &mut BTreeSet<Pid>,
    ) -> bool {
        if done.insert(tree.main) {
            self.signal_group(tree, signal);
        }
        let allowance = Allowance::of(SIGNAL_FOR);
        let mut members = procfs::members(tree, orphans, Some(allowance));
        for _ in 0..MOST_SIGNALS {
            let Some(pid) = members.find(|pid| !done.contains(pid)) else { return true };
            // A process that is gone needs no signal.
            let _ = calls::signal_process(pid, signal);
            done.insert(pid);
            if allowance.is_spent() {
                return false;
            }
        }
        false
    }

    fn has_leftovers(&self, tree: Tree<'_>, orphans: &Orphans) -> bool {
        calls::has_group(tree.main, tree.main_alive) || procfs::has_orphans(tree, orphans)
    }

    fn count(&self, tree: Tree<'_>, orphans: &Orphans) -> usize {
        procfs::count(tree, orphans)
    }

    fn usage(&self, tree: Tree<'_>, orphans: &Orphans) -> Option<Usage> {
        if procfs::has_many(tree, orphans) {
            return None;
        }
        let all: Vec<Pid> = procfs::members(tree, orphans, None).collect();
        if all.len() >= procfs::MOST_BELOW {
            return None;
        }
        let main = tree.main_alive.then_some(tree.main);
        let used = all.into_iter().chain(main).filter_map(procfs::usage);
        let sum = used.reduce(|sum, one| Usage {
            rss: sum.rss.saturating_add(one.rss),
            cpu: sum.cpu.saturating_add(one.cpu),
            processes: sum.processes + one.processes,
        });
        Some(sum.unwrap_or_default())
    }

    fn oom_kills(&self) -> Option<u64> {
        procfs::oom_kills()
    }

    fn kill_descendants(&self) {
        for pid in procfs::descendants(std::process::id().cast_signed(), usize::MAX, None) {
            let _ = calls::signal_process(pid, libc::SIGKILL);
        }
    }

    fn next_notify_message(
        &self,
        socket: BorrowedFd<'_>,
        tree: Tree<'_>,
        last: &mut Option<(Pid, bool)>,
    ) -> NotifyMessage {
        let Some((text, sender)) = calls::receive(socket) else { return NotifyMessage::Nothing };
        let Some(sender) = sender.filter(|pid| *pid > 0) else { return NotifyMessage::Foreign };
        let known = last.filter(|(pid, _)| *pid == sender);
        let (_, own) =
            *last.insert(known.unwrap_or_else(|| (sender, self.origins.belongs(sender, tree))));
        if own { NotifyMessage::Said(text) } else { NotifyMessage::Foreign }
    }

    fn listens(&self, socket: BorrowedFd<'_>, tree: Tree<'_>) -> Option<bool> {
        let (owner, _) = calls::peer(socket)?;
        Some(owner > 0 && self.origins.belongs(owner, tree))
    }
}
