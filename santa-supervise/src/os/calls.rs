//! Thin, safe wrappers around single system calls.
#![expect(unsafe_code, reason = "no safe call: any signal number, signal masks, process number 0")]

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::time::Duration;

use rustix::io::{FdFlags, fcntl_setfd};
use rustix::process::WaitOptions;

use super::Pid;
use crate::machine::Exit;

/// A pipe (read end, write end) that no child inherits by accident.
///
/// # Errors
/// No descriptor is left.
pub fn pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    let (read, write) = rustix::pipe::pipe()?;
    // Not atomic where pipe2 is missing; nothing forks in between, because only
    // this thread forks.
    fcntl_setfd(&read, FdFlags::CLOEXEC)?;
    fcntl_setfd(&write, FdFlags::CLOEXEC)?;
    Ok((read, write))
}

/// Keeps descriptors that this process was started with from its children.
pub fn seal_inherited_descriptors() {
    let Ok(entries) = std::fs::read_dir("/dev/fd") else { return };
    let numbers =
        entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<RawFd>().ok());
    for fd in numbers.filter(|fd| *fd > 2) {
        // SAFETY: changes a flag of a number; a closed number gives EBADF.
        unsafe { libc::fcntl(fd, libc::F_SETFD, libc::FD_CLOEXEC) };
    }
}

/// Closes every descriptor from `first` on, in a freshly forked child.
pub(super) fn close_from(first: RawFd) {
    #[cfg(target_os = "linux")]
    {
        let (first, last, flags) = (first.cast_unsigned(), u32::MAX, 0u32);
        // SAFETY: nothing in the child owns one of these any more.
        if unsafe { libc::syscall(libc::SYS_close_range, first, last, flags) } == 0 {
            return;
        }
    }
    // Kernels before 5.9, and other systems.
    let Ok(entries) = std::fs::read_dir("/dev/fd") else { return };
    let numbers =
        entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<RawFd>().ok());
    for fd in numbers.filter(|fd| *fd >= first).collect::<Vec<_>>() {
        // SAFETY: as above; that of the listing is closed already.
        unsafe { libc::close(fd) };
    }
}

/// Sends a signal to a process, or to a group when `pid` is negative.
///
/// # Errors
/// The system's refusal (no such process, not permitted).
pub fn signal_process(pid: Pid, signal: i32) -> io::Result<()> {
    // SAFETY: no memory is involved.
    match unsafe { libc::kill(pid, signal) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Whether a process group (or, for a positive number, a process) exists.
pub(super) fn exists(pid: Pid) -> bool {
    let id = rustix::process::Pid::from_raw(pid.abs());
    let asked = id.map(|id| match pid {
        ..0 => rustix::process::test_kill_process_group(id),
        _ => rustix::process::test_kill_process(id),
    });
    matches!(asked, Some(Ok(()) | Err(rustix::io::Errno::PERM)))
}

/// Whether the process group of a tree, by the number of its main process, is
/// there and still the tree's. The kernel gives the number to nobody else as
/// long as the main process is not reaped or a member of its group or session
/// lives; so a process that has it later is a stranger, and the group with it.
pub(super) fn has_group(main: Pid, main_alive: bool) -> bool {
    exists(-main) && (main_alive || !exists(main))
}

/// Sends `signal` to the process group of a tree; one that is gone needs none.
pub(super) fn signal_group(main: Pid, main_alive: bool, signal: i32) {
    if has_group(main, main_alive) {
        let _ = signal_process(-main, signal);
    }
}

/// Session of a process; 0 when its leader is not visible from our namespace, which
/// rustix has no value for; -1 when there is no such process.
#[cfg(target_os = "linux")]
pub(super) fn session(pid: Pid) -> Pid {
    // SAFETY: no memory is involved.
    unsafe { libc::getsid(pid) }
}

/// Takes one child that has ended off the process table.
pub(super) fn reap() -> Option<(Pid, Exit)> {
    let (child, status) = rustix::process::wait(WaitOptions::NOHANG).ok()??;
    let exit = match status.terminating_signal() {
        Some(signal) => Exit::Signal(signal),
        None => Exit::Code(status.exit_status().unwrap_or_default()),
    };
    Some((child.as_raw_pid(), exit))
}

/// Takes this child off the process table; whether it has ended.
pub(super) fn reap_one(child: Pid) -> bool {
    let child = rustix::process::Pid::from_raw(child);
    !matches!(rustix::process::waitpid(child, WaitOptions::NOHANG), Ok(None))
}

/// Process and user at the other end of a Unix connection; of a listening
/// socket, those that called `listen` last. The process is 0 when it is not
/// visible from our namespace, which rustix has no value for.
#[cfg(target_os = "linux")]
pub(super) fn peer(fd: BorrowedFd<'_>) -> Option<(Pid, u32)> {
    let mut peer = libc::ucred { pid: 0, uid: u32::MAX, gid: u32::MAX };
    let mut size = size_of::<libc::ucred>() as libc::socklen_t;
    // SAFETY: pointer and size are those of `peer`.
    let done = unsafe {
        let into = (&raw mut peer).cast();
        libc::getsockopt(fd.as_raw_fd(), libc::SOL_SOCKET, libc::SO_PEERCRED, into, &raw mut size)
    };
    (done == 0).then_some((peer.pid, peer.uid))
}

/// Longest message that is read from a datagram socket, in bytes.
pub(super) const LONGEST_DATAGRAM: usize = 4_096;

/// The next datagram and, where the system tells, the process that sent it (0
/// when it is not visible from our namespace). Descriptors sent along are closed.
pub(super) fn receive(fd: BorrowedFd<'_>) -> Option<(Vec<u8>, Option<Pid>)> {
    let mut text = vec![0u8; LONGEST_DATAGRAM];
    // Words, so that the headers in it are aligned.
    let mut control = [0u64; 16];
    let mut part = libc::iovec { iov_base: text.as_mut_ptr().cast(), iov_len: text.len() };
    // SAFETY: every pointer in the message and every length are those of the
    // buffers above, which outlive the call; the headers are walked as cmsg(3)
    // says.
    unsafe {
        let mut message: libc::msghdr = std::mem::zeroed();
        message.msg_iov = &raw mut part;
        message.msg_iovlen = 1;
        message.msg_control = control.as_mut_ptr().cast();
        message.msg_controllen = size_of_val(&control) as _;
        let read = libc::recvmsg(fd.as_raw_fd(), &raw mut message, libc::MSG_DONTWAIT);
        text.truncate(usize::try_from(read).ok()?);
        let sender = take_ancillary(&message);
        Some((text, sender))
    }
}

/// The sender's process; closes descriptors that came along.
#[cfg(target_os = "linux")]
unsafe fn take_ancillary(message: &libc::msghdr) -> Option<Pid> {
    let mut sender = None;
    // SAFETY: `message` was filled by recvmsg; a header's data follows it.
    unsafe {
        let mut header = libc::CMSG_FIRSTHDR(message);
        while !header.is_null() {
            let data = libc::CMSG_DATA(header);
            match ((*header).cmsg_level, (*header).cmsg_type) {
                (libc::SOL_SOCKET, libc::SCM_CREDENTIALS) => {
                    sender = Some(data.cast::<libc::ucred>().read_unaligned().pid);
                }
                (libc::SOL_SOCKET, libc::SCM_RIGHTS) => {
                    let bytes = (*header).cmsg_len as usize - libc::CMSG_LEN(0) as usize;
                    for index in 0..bytes / size_of::<RawFd>() {
                        libc::close(data.cast::<RawFd>().add(index).read_unaligned());
                    }
                }
                _ => {}
            }
            header = libc::CMSG_NXTHDR(message, header);
        }
    }
    sender
}

#[cfg(not(target_os = "linux"))]
unsafe fn take_ancillary(_message: &libc::msghdr) -> Option<Pid> {
    None
}

/// The user at the other end of a Unix connection.
#[cfg(target_os = "linux")]
#[must_use]
pub fn peer_uid(fd: BorrowedFd<'_>) -> Option<u32> {
    peer(fd).map(|(_, uid)| uid)
}

/// The user at the other end of a Unix connection.
#[cfg(not(target_os = "linux"))]
#[must_use]
pub fn peer_uid(fd: BorrowedFd<'_>) -> Option<u32> {
    let (mut uid, mut gid) = (0, 0);
    // SAFETY: getpeereid writes two integers.
    let done = unsafe { libc::getpeereid(fd.as_raw_fd(), &raw mut uid, &raw mut gid) };
    (done == 0).then_some(uid)
}

/// What this thread has had of a processor so far.
#[must_use]
pub fn processor_time() -> Duration {
    // SAFETY: the structure is written by the call; zeros are a valid time.
    let time = unsafe {
        let mut time: libc::timespec = std::mem::zeroed();
        libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time);
        time
    };
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or_default())
}

/// Every signal but those that report a fault of this very thread.
#[cfg(target_os = "linux")]
pub(super) fn all_signals() -> libc::sigset_t {
    // SAFETY: sigfillset initializes the set; the rest works on that set.
    unsafe {
        let mut set: libc::sigset_t = std::mem::zeroed();
        libc::sigfillset(&raw mut set);
        for fault in
            [libc::SIGSEGV, libc::SIGBUS, libc::SIGILL, libc::SIGFPE, libc::SIGABRT, libc::SIGTRAP]
        {
            libc::sigdelset(&raw mut set, fault);
        }
        set
    }
}

/// Blocks `signals` and no others, whatever was inherited, for this thread and
/// those it makes from now on, and turns them into reads from the returned
/// descriptor.
#[cfg(target_os = "linux")]
pub(super) fn signal_descriptor(signals: &libc::sigset_t) -> io::Result<OwnedFd> {
    use std::os::fd::FromRawFd;
    // SAFETY: the set is initialized; the new descriptor has no other owner.
    unsafe {
        block(signals)?;
        match libc::signalfd(-1, signals, libc::SFD_CLOEXEC | libc::SFD_NONBLOCK) {
            -1 => Err(io::Error::last_os_error()),
            fd => Ok(OwnedFd::from_raw_fd(fd)),
        }
    }
}

/// The next signal of a signal descriptor.
#[cfg(target_os = "linux")]
pub(super) fn next_signal(fd: &OwnedFd) -> Option<i32> {
    let mut info = [0u8; size_of::<libc::signalfd_siginfo>()];
    let read = rustix::io::read(fd, &mut info).ok()?;
    // The number is the first field of signalfd_siginfo.
    (read == info.len()).then(|| i32::from_ne_bytes([info[0], info[1], info[2], info[3]]))
}

/// Blocks these signals and no others.
pub(super) fn block(signals: &libc::sigset_t) -> io::Result<()> {
    // SAFETY: the set is initialized.
    match unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, signals, std::ptr::null_mut()) } {
        0 => Ok(()),
        error => Err(io::Error::from_raw_os_error(error)),
    }
}

/// Blocks no signal any more, whatever was inherited.
pub(super) fn unblock_signals() -> io::Result<()> {
    // SAFETY: sigemptyset initializes the set.
    let none = unsafe {
        let mut none: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&raw mut none);
        none
    };
    block(&none)
}

/// The highest number of a signal.
pub(super) const LAST_SIGNAL: i32 = if cfg!(target_os = "linux") { 64 } else { 31 };

/// Gives signals that are ignored since before our start their default meaning.
/// SIGPIPE is ignored by our own runtime.
pub(super) fn default_ignored_signals() {
    for signal in (1..=LAST_SIGNAL).filter(|signal| *signal != libc::SIGPIPE) {
        // SAFETY: both actions are initialized; a signal that nobody may change
        // is refused.
        unsafe {
            let mut action: libc::sigaction = std::mem::zeroed();
            let asked = libc::sigaction(signal, std::ptr::null(), &raw mut action);
            if asked == 0 && action.sa_sigaction == libc::SIG_IGN {
                let default: libc::sigaction = std::mem::zeroed();
                libc::sigaction(signal, &raw const default, std::ptr::null_mut());
            }
        }
    }
}

/// Installs `handler` (or `SIG_IGN`) for `signal`.
pub(super) fn handle(signal: i32, handler: libc::sighandler_t) -> io::Result<()> {
    // SAFETY: the action is fully initialized; the handlers given here only
    // call write(2), which is allowed in a signal handler.
    let done = unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = handler;
        action.sa_flags = libc::SA_RESTART;
        libc::sigemptyset(&raw mut action.sa_mask);
        libc::sigaction(signal, &raw const action, std::ptr::null_mut())
    };
    if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Waits on `fds`; their `revents` tell what happened.
pub(super) fn poll(fds: &mut [libc::pollfd], timeout_ms: i32) -> io::Result<()> {
    let count = libc::nfds_t::try_from(fds.len()).unwrap_or(libc::nfds_t::MAX);
    // SAFETY: pointer and length come from one slice.
    let ready = unsafe { libc::poll(fds.as_mut_ptr(), count, timeout_ms) };
    match ready {
        -1 if io::Error::last_os_error().kind() == io::ErrorKind::Interrupted => {
            fds.iter_mut().for_each(|fd| fd.revents = 0);
            Ok(())
        }
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}

/// Writes one byte from inside a signal handler.
pub(super) fn write_byte(fd: RawFd, byte: u8) {
    // SAFETY: write(2) may be called in a handler; one byte is read from `byte`.
    unsafe { libc::write(fd, (&raw const byte).cast(), 1) };
}

/// For callers that hold a borrowed descriptor.
pub(super) fn raw(fd: BorrowedFd<'_>) -> RawFd {
    fd.as_raw_fd()
}
