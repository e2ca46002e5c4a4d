//! Forks without exec: workers and the guard. They may do what a child of
//! [`super::start`] may do before exec.
#![expect(unsafe_code, reason = "fork, and descriptors by their numbers")]

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::{Pid, calls};

/// The number of the one descriptor that such a process keeps.
const OWN: RawFd = 3;

/// Forks a process that runs `live` and ends.
///
/// # Errors
/// There is no room for another process.
pub(super) fn fork(live: &dyn Fn()) -> io::Result<Pid> {
    // SAFETY: the child does its work and ends, without the parent's clean-up.
    match unsafe { libc::fork() } {
        -1 => Err(io::Error::last_os_error()),
        0 => {
            let ended = catch_unwind(AssertUnwindSafe(live));
            // SAFETY: ends this process at once.
            unsafe { libc::_exit(ended.is_err().into()) }
        }
        pid => Ok(pid),
    }
}

/// What takes the place of a forked process's standard input and outputs.
pub(super) fn nothing() -> io::Result<File> {
    OpenOptions::new().read(true).write(true).open("/dev/null")
}

/// In a forked process: begins a session of its own, in which `own` and those of
/// `more` are all that is open. They come with their new numbers.
pub(super) fn keep_only(null: &File, own: &OwnedFd, more: &[RawFd]) -> (File, Vec<RawFd>) {
    let end = OWN + 1 + RawFd::try_from(more.len()).unwrap_or(0);
    // It leads no group yet, so this cannot fail.
    let _ = rustix::process::setsid();
    // SAFETY: numbers of open descriptors; the first one gets an owner. Sources
    // first go above all targets, because one may sit on another's target.
    let own = unsafe {
        let aside = |fd| libc::fcntl(fd, libc::F_DUPFD, end);
        let moved: Vec<RawFd> = [own.as_raw_fd()].iter().chain(more).map(|fd| aside(*fd)).collect();
        for standard in 0..OWN {
            libc::dup2(null.as_raw_fd(), standard);
        }
        for (fd, target) in moved.into_iter().zip(OWN..) {
            libc::dup2(fd, target);
        }
        File::from_raw_fd(OWN)
    };
    calls::close_from(end);
    (own, (OWN + 1..end).collect())
}
