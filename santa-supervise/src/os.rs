//! The interface to the operating system: waiting, signals, children. The only
//! module with `unsafe` and raw system calls; it decides nothing. `linux.rs` is
//! what runs in the container, `portable.rs` what runs on other Unix systems
//! (and here under `SANTA_SUPERVISE_OS=portable`), `spawn.rs` is fork and exec.

mod activation;
mod calls;
mod fork;
#[cfg(target_os = "linux")]
mod guard;
#[cfg(target_os = "linux")]
mod linux;
mod mark;
mod notify;
mod portable;
#[cfg(target_os = "linux")]
mod procfs;
mod report;
#[cfg(target_os = "linux")]
mod resident;
mod spawn;
mod users;
mod worker;

use std::collections::BTreeSet;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::rc::Rc;
use std::time::Duration;

use crate::machine::Exit;

pub use activation::{InheritedKind, inherited_kind, take_inherited};
pub use calls::{peer_uid, pipe, processor_time, seal_inherited_descriptors, signal_process};
pub use mark::{Family, Mark, TAG, Tag};
pub use notify::notify_socket;
pub use report::{Progress, Report, StartError, Step};
pub use spawn::{Launch, Program, ResourceLimits, Started, start};
pub use users::{Credentials, look_up as look_up_user};
pub use worker::{Worker, fork_reader, fork_worker, inherited};

/// A budget of CPU time: on a busy machine as much work is done at a time as on an
/// idle one.
#[derive(Debug, Clone, Copy)]
pub struct Allowance(Duration);

impl Allowance {
    /// From now on.
    #[must_use]
    pub fn of(time: Duration) -> Self {
        Self(processor_time() + time)
    }

    /// Whether it is used up.
    #[must_use]
    pub fn is_spent(self) -> bool {
        self.0 <= processor_time()
    }
}

/// Process number.
pub type Pid = i32;

/// Identifies a registered descriptor; chosen by the caller, never reused.
pub type Token = u64;

/// Signals that ask us to end.
pub const ENDING: [i32; 3] = [libc::SIGTERM, libc::SIGINT, libc::SIGQUIT];

/// Variable that selects another implementation, for tests.
pub const CHOICE: &str = "SANTA_SUPERVISE_OS";

/// What to wait for on a descriptor; hang-ups are always reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Interest {
    /// It can be read.
    Read,
    /// It can be written.
    Write,
    /// Both.
    Both,
    /// Nothing but that the other end is closed.
    HangUp,
}

/// Why [`Os::wait`] returned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wake {
    /// This descriptor can be read or written, or was hung up.
    Io(Token),
    /// This signal was received.
    Signal(i32),
    /// Some child may have ended: see [`Os::next_exit`].
    Child,
}

/// The process tree of one spawn.
#[derive(Debug, Clone, Copy)]
pub struct Tree<'a> {
    /// The main process: leader of the tree's session and process group.
    pub main: Pid,
    /// Whether it has not been seen to end.
    pub main_alive: bool,
    /// What its members are recognized by.
    pub tag: &'a Tag,
}

/// Processes that became ours when their parents ended, at one moment.
#[derive(Debug, Default)]
pub struct Orphans {
    found: Vec<Orphan>,
    /// Whether there are more, about which nothing is known yet.
    more: bool,
    /// Those of which only the environment can tell.
    unread: Vec<Pid>,
}

impl Orphans {
    /// Those whose [environment](environment_tag) has to be read, which may hang.
    #[must_use]
    pub fn unread(&self) -> &[Pid] {
        &self.unread
    }
}

/// The value of [`TAG`] in the environment of a process. It may never return.
#[must_use]
pub fn environment_tag(pid: Pid) -> Option<String> {
    #[cfg(target_os = "linux")]
    return procfs::variable(pid);
    #[cfg(not(target_os = "linux"))]
    None
}

/// One of them.
#[derive(Debug)]
struct Orphan {
    pid: Pid,
    session: Pid,
    origin: Origin,
}

/// Where a process comes from, as far as it is marked.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Origin {
    Mark(Mark),
    Variable(Rc<[u8]>),
    Unknown,
}

impl Origin {
    fn is(&self, tag: &Tag) -> bool {
        match self {
            Self::Mark(mark) => *mark == tag.mark,
            Self::Variable(value) => **value == *tag.variable.as_bytes(),
            Self::Unknown => false,
        }
    }
}

/// What a process tree uses.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// Resident memory in bytes; shared pages count once for each process.
    pub rss: u64,
    /// CPU time of the living processes.
    pub cpu: Duration,
    /// How many they are.
    pub processes: u32,
}

/// What is read from a notify socket.
#[derive(Debug, PartialEq, Eq)]
pub enum NotifyMessage {
    /// Nothing more for now.
    Nothing,
    /// Something that does not come from the tree, where this system can tell.
    Foreign,
    /// What the tree says.
    Said(Vec<u8>),
}

/// What differs between operating systems.
pub trait Os {
    /// Its name in `status` and in the log.
    fn name(&self) -> &'static str;

    /// What it cannot do here although it should, and the remedy.
    fn shortcoming(&self) -> Option<String> {
        None
    }

    /// Registers `fd`. It must be [forgotten](Self::forget) before it is closed.
    ///
    /// # Errors
    /// The system's refusal (no memory, too many descriptors).
    fn watch(&mut self, fd: BorrowedFd<'_>, token: Token, interest: Interest) -> io::Result<()>;

    /// Waits for something else on a registered descriptor.
    ///
    /// # Errors
    /// The system's refusal.
    fn rewatch(&mut self, fd: BorrowedFd<'_>, token: Token, interest: Interest) -> io::Result<()>;

    /// Ends the registration of `fd`.
    fn forget(&mut self, fd: BorrowedFd<'_>, token: Token);

    /// Waits until something happens or `timeout` is over; adds to `wakes`.
    ///
    /// # Errors
    /// Only what makes further waiting impossible.
    fn wait(&mut self, timeout: Option<Duration>, wakes: &mut Vec<Wake>) -> io::Result<()>;

    /// Makes the exit of a child of ours wake [`Self::wait`].
    fn adopt(&mut self, child: Pid);

    /// Takes the next child that has ended off the process table, whether it
    /// was adopted or is an orphan of one that was.
    fn next_exit(&mut self) -> Option<(Pid, Exit)>;

    /// Sends `signal` to a living child of ours.
    ///
    /// # Errors
    /// The system's refusal (no such process, not permitted).
    fn signal_child(&self, child: Pid, signal: i32) -> io::Result<()>;

    /// The current orphans. `known` are our living children that are none. The time
    /// it takes is bounded: of thousands of new ones it does not find all at once.
    fn orphans(&mut self, known: &BTreeSet<Pid>) -> Orphans;

    /// Takes in the value of [`TAG`] in the environment of an orphan that was
    /// [unread](Orphans::unread), if it has one.
    fn learn(&mut self, pid: Pid, variable: Option<&str>);

    /// Sends `signal` to the process group of a tree.
    fn signal_group(&self, tree: Tree<'_>, signal: i32);

    /// Sends `signal` to the process group of a tree and to what else is found of
    /// it, but not to `done`; the receivers are added there. Some dozens at a
    /// time: thousands that end at once would take the CPU from everything else.
    /// Returns whether no others were found.
    fn signal_tree(
        &self,
        tree: Tree<'_>,
        orphans: &Orphans,
        signal: i32,
        done: &mut BTreeSet<Pid>,
    ) -> bool;

    /// Kills a part of a tree, to be repeated until nothing is left. `killed` keeps
    /// whose turn it was: some that cannot die now must not protect the others.
    fn kill_tree(&self, tree: Tree<'_>, orphans: &Orphans, killed: &mut BTreeSet<Pid>) {
        // Each time: it may have new members.
        killed.remove(&tree.main);
        if self.signal_tree(tree, orphans, libc::SIGKILL, killed) {
            killed.clear();
        }
    }

    /// Whether anything but the main process may be left of a tree.
    fn has_leftovers(&self, tree: Tree<'_>, orphans: &Orphans) -> bool;

    /// How many processes of a tree are known; those below others are not counted.
    fn count(&self, tree: Tree<'_>, orphans: &Orphans) -> usize;

    /// What a tree uses now; `None` where this system does not tell, or where it
    /// has more processes than there is time to look at.
    fn usage(&self, tree: Tree<'_>, orphans: &Orphans) -> Option<Usage>;

    /// How many processes the kernel has killed because memory ran out, as far
    /// as this system tells: in our control group, else on the whole machine.
    fn oom_kills(&self) -> Option<u64>;

    /// Kills whatever still descends from this process.
    fn kill_descendants(&self);

    /// The next message in a datagram socket made by [`notify_socket`]. `last`
    /// keeps what was found out about the last sender from one message to the
    /// next of the same turn.
    fn next_notify_message(
        &self,
        socket: BorrowedFd<'_>,
        tree: Tree<'_>,
        last: &mut Option<(Pid, bool)>,
    ) -> NotifyMessage;

    /// Which process listens on a Unix socket of ours: `Some(true)` when it
    /// belongs to `tree`, `None` when this system cannot tell.
    fn listens(&self, socket: BorrowedFd<'_>, tree: Tree<'_>) -> Option<bool>;
}

/// The implementation for this system, with all signals routed to it.
///
/// # Errors
/// When signals or the waiting itself cannot be set up.
pub fn open() -> io::Result<Box<dyn Os>> {
    // A launcher may have ignored some: an ignored SIGCHLD reaps every child
    // unseen, and others would never arrive.
    calls::default_ignored_signals();
    let choice = std::env::var(CHOICE).unwrap_or_default();
    #[cfg(target_os = "linux")]
    if choice != "portable" {
        return Ok(Box::new(linux::Linux::open(choice != "linux-without-pidfd")?));
    }
    let _ = choice;
    Ok(Box::new(portable::Portable::open()?))
}

/// The process that [`start_guard`] has started.
#[derive(Debug)]
pub struct Guard {
    /// Its process, in a session of its own.
    pub pid: Pid,
    /// Closed when santa-supervise ends, however it ends.
    _lifeline: OwnedFd,
}

/// Starts a process that kills all processes with marks of `family` when this one
/// has ended, in whatever way; for as long as the returned value is kept. None for PID 1,
/// with which everything ends anyway, and on systems without marks.
///
/// Must be called after [`open`]. It keeps a copy of what is in memory by then.
///
/// # Errors
/// There is no room for another process.
pub fn start_guard(family: Family) -> io::Result<Option<Guard>> {
    #[cfg(target_os = "linux")]
    if std::process::id() != 1 {
        return guard::start(family).map(Some);
    }
    let _ = family;
    Ok(None)
}

/// Releases memory that only the start needed, where this system counts
/// such pages as ours.
pub fn give_back_start() {
    #[cfg(target_os = "linux")]
    resident::give_back_code();
}

/// Whether something has run out that others may free again: descriptors,
/// processes, memory.
#[must_use]
pub fn is_shortage(error: &io::Error) -> bool {
    use rustix::io::Errno;
    let shortages = [Errno::MFILE, Errno::NFILE, Errno::NOMEM, Errno::AGAIN, Errno::NOBUFS];
    // Memory that the standard library asks for fails without a number.
    error.kind() == io::ErrorKind::OutOfMemory
        || shortages.iter().any(|one| Some(one.raw_os_error()) == error.raw_os_error())
}

/// Makes `fd` non-blocking.
///
/// # Errors
/// The system's refusal.
pub fn set_nonblocking(fd: impl AsFd) -> io::Result<()> {
    let flags = rustix::fs::fcntl_getfl(&fd)?;
    Ok(rustix::fs::fcntl_setfl(fd, flags | rustix::fs::OFlags::NONBLOCK)?)
}
