//! A process of our own code beside the loop, for what may hang: a thread that
//! hangs in the kernel would keep this process from ending.
#![expect(unsafe_code, reason = "fork, and descriptors by their numbers")]

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::spawn::{default_signals, die_with_parent};
use super::{Pid, calls};

/// A running worker.
#[derive(Debug)]
pub struct Worker {
    /// Its process, in a session of its own.
    pub pid: Pid,
    /// What it writes; non-blocking.
    pub output: OwnedFd,
}

/// Where a worker finds the pipe to us.
const OUTPUT: i32 = 3;

/// Forks a process that does `work`, which may write, and ends. What holds for
/// [`super::start`] holds here, too.
///
/// # Errors
/// There is no room for another process.
pub fn fork_worker(work: &dyn Fn(&mut File)) -> io::Result<Worker> {
    let null = OpenOptions::new().read(true).write(true).open("/dev/null")?;
    let (output, write) = calls::pipe()?;
    super::set_nonblocking(&output)?;
    let parent = std::process::id().cast_signed();
    // SAFETY: the child does its work and ends, without the parent's clean-up.
    match unsafe { libc::fork() } {
        -1 => Err(io::Error::last_os_error()),
        0 => {
            let live = || {
                // SAFETY: numbers of open descriptors; the last one gets an owner.
                let mut write = unsafe {
                    libc::setsid();
                    let moved = libc::fcntl(write.as_raw_fd(), libc::F_DUPFD, OUTPUT + 1);
                    for standard in 0..OUTPUT {
                        libc::dup2(null.as_raw_fd(), standard);
                    }
                    libc::dup2(moved, OUTPUT);
                    File::from_raw_fd(OUTPUT)
                };
                calls::close_from(OUTPUT + 1);
                default_signals();
                if die_with_parent(parent).is_ok() {
                    work(&mut write);
                }
            };
            let ended = catch_unwind(AssertUnwindSafe(live));
            // SAFETY: ends this process at once.
            unsafe { libc::_exit(ended.is_err().into()) }
        }
        pid => Ok(Worker { pid, output }),
    }
}
