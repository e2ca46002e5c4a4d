//! Workers: forked processes that do what may hang. A thread that hangs in the
//! kernel would keep santa-supervise from ending.
#![expect(unsafe_code, reason = "descriptors by their numbers")]

use std::fs::File;
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd, RawFd};

use super::fork::{fork, keep_only, nothing};
use super::spawn::{default_signals, die_with_parent};
use super::{Pid, calls};

/// A running worker.
#[derive(Debug)]
pub struct Worker {
    /// Its process, in a session of its own unless it [reads](fork_reader).
    pub pid: Pid,
    /// What it writes; non-blocking.
    pub output: OwnedFd,
}

impl Worker {
    /// Takes it off the process table if it has ended: for one that the event loop
    /// knows nothing of.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        calls::reap_one(self.pid)
    }

    /// Ends it.
    pub fn kill(&self) {
        // One that has just ended needs no signal.
        let _ = calls::signal_process(self.pid, libc::SIGKILL);
    }
}

/// Forks a process that does `work`, which may write, and ends. It holds nothing
/// of ours but `fds`, whose numbers it is told. What holds for [`super::start`]
/// holds here, too.
///
/// # Errors
/// There is no room for another process.
pub fn fork_worker(fds: &[RawFd], work: &dyn Fn(&mut File, &[RawFd])) -> io::Result<Worker> {
    let null = nothing()?;
    let (output, write) = calls::pipe()?;
    super::set_nonblocking(&output)?;
    let parent = std::process::id().cast_signed();
    let live = || {
        let (mut write, fds) = keep_only(&null, &write, fds);
        default_signals();
        if die_with_parent(parent).is_ok() {
            work(&mut write, &fds);
        }
    };
    Ok(Worker { pid: fork(&live)?, output })
}

/// In a worker: a descriptor that it was given, which is open until it ends.
#[must_use]
pub fn inherited(fd: RawFd) -> BorrowedFd<'static> {
    // SAFETY: nothing in a worker closes what `fork_worker` has given it.
    unsafe { BorrowedFd::borrow_raw(fd) }
}

/// The same with everything that is open here, by the same numbers: what is to
/// be read may be one of them.
///
/// # Errors
/// There is no room for another process.
pub fn fork_reader(work: &dyn Fn(&mut File)) -> io::Result<Worker> {
    let (output, write) = calls::pipe()?;
    super::set_nonblocking(&output)?;
    let parent = std::process::id().cast_signed();
    let live = || {
        default_signals();
        if let (Ok(write), Ok(())) = (write.try_clone(), die_with_parent(parent)) {
            work(&mut File::from(write));
        }
    };
    Ok(Worker { pid: fork(&live)?, output })
}
