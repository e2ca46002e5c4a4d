//! The guard: a process beside santa-supervise that waits for its end. The kernel
//! kills our children when we are killed, but not what they have started, unless we
//! are PID 1. So the guard then kills every process with our mark. In an orderly
//! stop it is ended like all other processes.

use std::io::{self, Read};
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use super::fork::{fork, keep_only, nothing};
use super::mark::Family;
use super::spawn::default_signals;
use super::{Guard, calls, mark, procfs};

/// Longest that the guard looks for what is left; only what SIGKILL does not
/// reach takes that long.
const TIMEOUT: Duration = Duration::from_secs(10);
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// Starts the guard. It kills when the returned value is dropped, which happens at
/// the latest when this process ends.
///
/// # Errors
/// There is no room for another process.
pub(super) fn start(family: Family) -> io::Result<Guard> {
    let null = nothing()?;
    let (read, lifeline) = calls::pipe()?;
    let live = || {
        let (mut read, _) = keep_only(&null, &read, &[]);
        // Only SIGKILL ends it, and signals that mean a defect.
        default_signals();
        let _ = calls::block(&calls::all_signals());
        // Nobody writes: the end of the file is that of santa-supervise.
        while read.read(&mut [0]).is_err_and(|error| error.kind() == io::ErrorKind::Interrupted) {}
        kill_all(family);
    };
    Ok(Guard { pid: fork(&live)?, _lifeline: lifeline })
}

/// Kills until nothing is left: what is killed may have forked meanwhile.
fn kill_all(family: Family) {
    let begun = Instant::now();
    while kill_once(family) && begun.elapsed() < TIMEOUT {
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
        // One that has just ended needs no signal.
        match handle {
            Ok(handle) => drop(pidfd_send_signal(handle, Signal::KILL)),
            Err(_) => drop(calls::signal_process(pid, libc::SIGKILL)),
        }
    }
    found
}
