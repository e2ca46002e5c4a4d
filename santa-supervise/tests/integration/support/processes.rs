//! Waiting, and processes by their numbers.

use std::fs;
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::TIMEOUT;

pub(crate) fn holds_in_time(mut condition: impl FnMut() -> bool) -> bool {
    let begun = Instant::now();
    while !condition() {
        if begun.elapsed() > TIMEOUT {
            return false;
        }
        sleep(Duration::from_millis(10));
    }
    true
}

pub(crate) fn kill(pid: i32, signal: i32) {
    let signal = rustix::process::Signal::from_named_raw(signal).expect("signal");
    let pid = rustix::process::Pid::from_raw(pid).expect("pid");
    rustix::process::kill_process(pid, signal).expect("kill");
}

/// Whether a process exists; one that waits to be reaped counts as gone.
pub(crate) fn is_alive(pid: i32) -> bool {
    if cfg!(target_os = "linux") {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        return stat
            .rsplit(')')
            .next()
            .is_some_and(|rest| !rest.trim().is_empty() && !rest.trim_start().starts_with('Z'));
    }
    let pid = rustix::process::Pid::from_raw(pid).expect("pid");
    rustix::process::test_kill_process(pid).is_ok()
}

/// CPU time of a process in ticks.
#[cfg(target_os = "linux")]
pub(crate) fn ticks(pid: i32) -> u64 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).expect("stat");
    let fields: Vec<&str> = stat.rsplit(") ").next().expect("fields").split(' ').collect();
    // utime and stime are fields 14 and 15; the first one here is the third.
    [11, 12].iter().map(|index| fields[*index].parse::<u64>().expect("ticks")).sum()
}
