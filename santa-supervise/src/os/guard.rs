//! The guard: a process beside santa-supervise that does nothing until its end.
//! Our children die with us, as the kernel promises; what they have started does
//! not, unless we are PID 1. So when we are killed the guard kills whatever is
//! marked as ours. In an orderly end we end it like all other processes.
#![expect(unsafe_code, reason = "a fork without exec")]

use std::fs;
use std::io::{self, Read};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use super::mark::Family;
use super::{calls, mark, procfs};

/// Where the guard waits for our end.
const LIFELINE: i32 = 3;

/// Longest that the guard looks for what is left; only what SIGKILL does not
/// reach takes that long.
const PATIENCE: Duration = Duration::from_secs(10);
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// Starts the guard. It takes what it is given for our end when the returned
/// descriptor is closed, which happens with us at the latest.
///
/// Must be called while this process has no other thread, with signals blocked.
///
/// # Errors
/// There is no room for another process.
pub(super) fn start(family: Family) -> io::Result<OwnedFd> {
    let null = fs::OpenOptions::new().read(true).write(true).open("/dev/null")?;
    let (read, lifeline) = calls::pipe()?;
    // SAFETY: the child does its work and ends, without the parent's clean-up.
    match unsafe { libc::fork() } {
        -1 => Err(io::Error::last_os_error()),
        0 => {
            let live = || {
                // SAFETY: numbers of open descriptors; the last one gets an owner.
                let mut read = unsafe {
                    libc::setsid();
                    let moved = libc::fcntl(read.as_raw_fd(), libc::F_DUPFD, LIFELINE + 1);
                    for standard in 0..LIFELINE {
                        libc::dup2(null.as_raw_fd(), standard);
                    }
                    libc::dup2(moved, LIFELINE);
                    fs::File::from_raw_fd(LIFELINE)
                };
                calls::close_from(LIFELINE + 1);
                // Nobody writes: this is the end of the file, and of santa-supervise.
                let _ = read.read(&mut [0]);
                kill_all(family);
            };
            let ended = catch_unwind(AssertUnwindSafe(live));
            // SAFETY: ends this process at once.
            unsafe { libc::_exit(ended.is_err().into()) }
        }
        _ => Ok(lifeline),
    }
}

/// Kills until nothing is left: what is killed may have forked meanwhile.
fn kill_all(family: Family) {
    let begun = Instant::now();
    while kill_once(family) && begun.elapsed() < PATIENCE {
        sleep(LOOK_EVERY);
    }
}

/// Whether anything was found.
fn kill_once(family: Family) -> bool {
    let mut found = false;
    for pid in procfs::all() {
        // Opened first, so that what is killed is what was looked at.
        let Some(process) = Pid::from_raw(pid) else { continue };
        let handle = pidfd_open(process, PidfdFlags::empty());
        let is_ours = mark::of(pid).is_some_and(|mark| mark.is_of(family));
        if !is_ours || procfs::is_zombie(pid) {
            continue;
        }
        found = true;
        // Whoever has just ended needs no signal.
        match handle {
            Ok(handle) => drop(pidfd_send_signal(handle, Signal::KILL)),
            Err(_) => drop(calls::signal_process(pid, libc::SIGKILL)),
        }
    }
    found
}
