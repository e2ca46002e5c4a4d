//! fork and exec. The parent never waits for the child: everything that may hang
//! (files on a network mount, a look-up of a user, exec itself) happens in the
//! child, which reports its progress through a pipe: see [`super::report`].
//!
//! Between fork and exec the child allocates and reads files. That is safe here
//! although this process has a second thread, the writer of the log: the C
//! libraries keep malloc and the look-ups usable after a fork, and the child
//! takes no lock that the writer could have held.
#![expect(unsafe_code, reason = "fork, exec and what must happen between them")]

use std::ffi::{CString, OsStr, c_char, c_int};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use rustix::process::{Resource, Rlimit, setrlimit};

use super::mark::{self, Mark};
use super::report::{Progress, Reporter, StartError, Step};
use super::{Credentials, Pid, calls};
use crate::machine::{Retry, SpawnFailure};

/// What the child finds out by itself: what to run, how, and as whom.
#[derive(Debug)]
pub struct Program {
    /// Path; relative ones start at the directory of the launch.
    pub path: CString,
    /// Arguments, the program's name first.
    pub arguments: Vec<CString>,
    /// Environment as `NAME=value`.
    pub environment: Vec<CString>,
    /// User and groups, if others than ours.
    pub credentials: Option<Credentials>,
}

/// Finds out what to run, in the child; it may hang.
pub(super) type Prepare<'a> = dyn Fn() -> Result<Program, SpawnFailure> + 'a;

/// A process to be started.
pub struct Launch<'a> {
    /// What it becomes.
    pub prepare: &'a Prepare<'a>,
    /// Marks it and everything that it starts.
    pub mark: Mark,
    /// Working directory, if another than ours.
    pub directory: Option<CString>,
    /// Limits other than ours, each soft and hard.
    pub limits: ResourceLimits,
    /// Permission bits taken away from files it makes, if not ours.
    pub umask: Option<u32>,
    /// Standard input, if anything is to be read there.
    pub input: Option<OwnedFd>,
    /// Standard output and standard error.
    pub output: (OwnedFd, OwnedFd),
    /// Handed over as descriptors 3, 4, …
    pub sockets: Vec<RawFd>,
    /// Its `NOTIFY_SOCKET` and the path that it binds it to.
    pub notify: Option<(RawFd, &'a Path)>,
}

/// Limits of one process; none means ours. Units as in setrlimit(2).
#[derive(Debug, Clone, Copy, Default)]
pub struct ResourceLimits {
    /// Open files.
    pub nofile: Option<u64>,
    /// Size of core dumps in bytes.
    pub core: Option<u64>,
    /// Processes and threads of the user.
    pub nproc: Option<u64>,
    /// Address space in bytes.
    pub address_space: Option<u64>,
    /// How soon the kernel picks it when memory runs out (proc_pid_oom_score_adj(5)).
    pub oom_score_adj: Option<i32>,
}

/// A child on its way to its program.
#[derive(Debug)]
pub struct Started {
    /// Its process.
    pub pid: Pid,
    /// How far it is.
    pub progress: Progress,
}

/// Forks; the child goes on by itself.
///
/// Must be called on the thread that lives as long as this process: on Linux
/// children are killed when the thread that forked them ends.
///
/// # Errors
/// There is no room for another process.
pub fn start(launch: &Launch<'_>) -> Result<Started, StartError> {
    let at = |step| move |error: io::Error| StartError { step, error };
    let null =
        std::fs::OpenOptions::new().read(true).open("/dev/null").map_err(at(Step::Output))?;
    let (report, reporter) = calls::pipe().map_err(at(Step::Process))?;
    super::set_nonblocking(&report).map_err(at(Step::Process))?;
    let child = Child {
        launch,
        input: launch.input.as_ref().map_or(null.as_raw_fd(), AsRawFd::as_raw_fd),
        reporter: reporter.as_raw_fd(),
        parent: std::process::id().cast_signed(),
    };
    // SAFETY: the child runs `become_program` and nothing else; see the module.
    match unsafe { libc::fork() } {
        -1 => Err(at(Step::Process)(io::Error::last_os_error())),
        0 => become_program(child),
        pid => Ok(Started { pid, progress: Progress::new(report) }),
    }
}

/// What the child needs from its parent.
struct Child<'a> {
    launch: &'a Launch<'a>,
    input: RawFd,
    reporter: RawFd,
    parent: Pid,
}

/// Everything that the child does before its program.
fn become_program(mut child: Child<'_>) -> ! {
    // A panic must not reach the parent's code, which would end all services.
    let ended = catch_unwind(AssertUnwindSafe(|| attempt(&mut child)));
    let reporter = Reporter(child.reporter);
    match ended {
        Ok(Ok(never)) => match never {},
        Ok(Err(Failure::At(step, error))) => reporter.failed(step, &error),
        Ok(Err(Failure::Refused(refusal))) => reporter.refused(&refusal),
        Err(_) => reporter.refused(&SpawnFailure {
            message: "an internal error in santa-supervise; see its standard error".to_owned(),
            retry: Retry::Never,
            code: 126,
        }),
    }
    // SAFETY: ends this process at once, without the parent's clean-up.
    unsafe { libc::_exit(127) }
}

pub(super) enum Failure {
    At(Step, io::Error),
    Refused(SpawnFailure),
}

/// Does all steps until the program runs.
fn attempt(child: &mut Child<'_>) -> Result<std::convert::Infallible, Failure> {
    rustix::process::setsid().map_err(|error| Failure::At(Step::Session, error.into()))?;
    die_with_parent(child.parent)?;
    mark::put_on(child.launch.mark);
    default_signals();
    connect(child)?;
    let reporter = Reporter(child.reporter);
    bind_notify_socket(child, reporter)?;
    reporter.at(Step::Preparation);
    let program = (child.launch.prepare)().map_err(Failure::Refused)?;
    set_limits(&child.launch.limits)?;
    change_user(program.credentials.as_ref(), child.parent)?;
    if let Some(umask) = child.launch.umask {
        rustix::process::umask(rustix::fs::Mode::from_raw_mode(umask as _));
    }
    if let Some(directory) = &child.launch.directory {
        reporter.at(Step::Directory);
        std::env::set_current_dir(OsStr::from_bytes(directory.to_bytes()))
            .map_err(|error| Failure::At(Step::Directory, error))?;
    }
    reporter.at(Step::Program);
    let (argv, envp) = (pointers(&program.arguments), pointers(&program.environment));
    // Last, so that no signal can end the child half-way unseen. Cannot fail.
    let _ = calls::unblock_signals();
    // SAFETY: texts that end in NUL, in lists that end in NULL.
    unsafe { libc::execve(program.path.as_ptr(), argv.as_ptr(), envp.as_ptr()) };
    Err(Failure::At(Step::Program, io::Error::last_os_error()))
}

/// Binds its notify socket, which santa-supervise reads.
fn bind_notify_socket(child: &Child<'_>, reporter: Reporter) -> Result<(), Failure> {
    let Some((_, path)) = child.launch.notify else { return Ok(()) };
    reporter.at(Step::Notify);
    // SAFETY: it is open until exec; see `connect`.
    let fd = unsafe { BorrowedFd::borrow_raw(child.reporter + 1) };
    super::notify::bind_notify_socket(fd, path).map_err(|error| Failure::At(Step::Notify, error))
}

fn pointers(texts: &[CString]) -> Vec<*const c_char> {
    texts.iter().map(|text| text.as_ptr()).chain([std::ptr::null()]).collect()
}

fn require(step: Step, result: c_int) -> Result<c_int, Failure> {
    if result == -1 { Err(Failure::At(step, io::Error::last_os_error())) } else { Ok(result) }
}

/// A program must not inherit that we ignore or handle signals.
pub(super) fn default_signals() {
    for signal in 1..=calls::LAST_SIGNAL {
        // SAFETY: SIG_DFL needs no handler; KILL and STOP refuse harmlessly.
        unsafe { libc::signal(signal, libc::SIG_DFL) };
    }
}

/// Puts input and output at 0 to 2, the sockets at 3, 4, …, the report pipe and the
/// notify socket behind them; closes everything else. Sources first go above all targets,
/// because one may sit on another's target.
fn connect(child: &mut Child<'_>) -> Result<(), Failure> {
    let launch = child.launch;
    let end = 3 + c_int::try_from(launch.sockets.len()).unwrap_or(0);
    // SAFETY: numbers of open descriptors; dup2 clears close-on-exec.
    unsafe {
        let aside = |step, fd| require(step, libc::fcntl(fd, libc::F_DUPFD_CLOEXEC, end + 2));
        child.reporter = aside(Step::Output, child.reporter)?;
        let notify = launch.notify.map(|(fd, _)| aside(Step::Notify, fd)).transpose()?;
        let (out, err) = (launch.output.0.as_raw_fd(), launch.output.1.as_raw_fd());
        for (fd, target) in [child.input, out, err].into_iter().zip(0..) {
            require(Step::Output, libc::dup2(fd, target))?;
        }
        let moved = launch.sockets.iter().map(|socket| aside(Step::Sockets, *socket));
        let moved = moved.collect::<Result<Vec<_>, _>>()?;
        for (fd, target) in moved.into_iter().zip(3..) {
            require(Step::Sockets, libc::dup2(fd, target))?;
        }
        for (fd, target) in [child.reporter].into_iter().chain(notify).zip(end..) {
            require(Step::Sockets, libc::dup2(fd, target))?;
            require(Step::Sockets, libc::fcntl(target, libc::F_SETFD, libc::FD_CLOEXEC))?;
        }
    }
    child.reporter = end;
    // A child that takes its time must hold nothing of ours: not the sockets of
    // other services, and no process descriptor whose end we wait for.
    calls::close_from(end + 1 + c_int::from(launch.notify.is_some()));
    Ok(())
}

fn set_limits(limits: &ResourceLimits) -> Result<(), Failure> {
    let all = [
        (Resource::Nofile, limits.nofile),
        (Resource::Core, limits.core),
        (Resource::Nproc, limits.nproc),
        (Resource::As, limits.address_space),
    ];
    for (resource, value) in all.into_iter().filter(|(_, value)| value.is_some()) {
        setrlimit(resource, Rlimit { current: value, maximum: value })
            .map_err(|error| Failure::At(Step::Limits, error.into()))?;
    }
    let Some(adjustment) = limits.oom_score_adj else { return Ok(()) };
    std::fs::write("/proc/self/oom_score_adj", adjustment.to_string())
        .map_err(|error| Failure::At(Step::Limits, error))
}

fn change_user(credentials: Option<&Credentials>, parent: Pid) -> Result<(), Failure> {
    if let Some(credentials) = credentials {
        give_output_to(credentials);
        let groups: *const libc::gid_t = credentials.groups.as_ptr();
        // SAFETY: the list of groups outlives the call.
        unsafe {
            require(Step::User, libc::setgroups(credentials.groups.len() as _, groups))?;
            require(Step::User, libc::setgid(credentials.gid))?;
            require(Step::User, libc::setuid(credentials.uid))?;
        }
    }
    // The change of user has cleared the setting.
    die_with_parent(parent)
}

/// Lets the user open `/dev/stdout` and `/dev/stderr`: that is a pipe opened by
/// its owner. Only pipes: `/dev/null` belongs to everybody. Refused in some user
/// namespaces; then only descriptors 1 and 2 themselves work.
fn give_output_to(credentials: &Credentials) {
    use rustix::fs::{FileType, Gid, Uid, fchown, fstat};
    for number in [1, 2] {
        // SAFETY: both are open; see `connect`.
        let fd = unsafe { BorrowedFd::borrow_raw(number) };
        if fstat(fd).is_ok_and(|about| FileType::from_raw_mode(about.st_mode) == FileType::Fifo) {
            let (user, group) = (Uid::from_raw(credentials.uid), Gid::from_raw(credentials.gid));
            let _ = fchown(fd, Some(user), Some(group));
        }
    }
}

#[cfg(target_os = "linux")]
pub(super) fn die_with_parent(parent: Pid) -> Result<(), Failure> {
    rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL))
        .map_err(|error| Failure::At(Step::Session, error.into()))?;
    // The parent may have died before that.
    if rustix::process::Pid::as_raw(rustix::process::getppid()) != parent {
        // SAFETY: ends this process at once.
        unsafe { libc::_exit(127) };
    }
    Ok(())
}

#[cfg(not(target_os = "linux"))]
pub(super) fn die_with_parent(_parent: Pid) -> Result<(), Failure> {
    Ok(())
}
