//! What the kernel tells of processes: who belongs to a supervisor, what they
//! take, how often they run. Linux only.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

/// What a group of processes takes.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Memory {
    /// Resident, shared pages counted for each process, in bytes.
    pub(super) rss: u64,
    /// Resident, shared pages divided among those who share them, in bytes.
    pub(super) pss: u64,
}

/// What a group of processes has done so far.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Activity {
    /// Voluntary and involuntary, of all threads.
    pub(super) context_switches: u64,
    pub(super) cpu: Duration,
}

fn read(pid: i32, file: &str) -> String {
    // A process that has ended has nothing to tell.
    fs::read_to_string(format!("/proc/{pid}/{file}")).unwrap_or_default()
}

/// The number behind `key` in lines of `key: number unit`.
fn field(text: &str, key: &str) -> u64 {
    let line = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'));
    line.and_then(|rest| rest.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}

/// A process and everything below it.
pub(super) fn tree(root: i32) -> BTreeSet<i32> {
    let mut found = BTreeSet::from([root]);
    let mut next = vec![root];
    while let Some(pid) = next.pop() {
        for thread in threads(pid) {
            let children = fs::read_to_string(thread.join("children")).unwrap_or_default();
            let children = children.split_whitespace().filter_map(|child| child.parse().ok());
            next.extend(children.filter(|child| found.insert(*child)));
        }
    }
    found
}

fn threads(pid: i32) -> Vec<PathBuf> {
    let entries = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten();
    entries.filter_map(|entry| Some(entry.ok()?.path())).collect()
}

/// Whether it exists and has not ended.
pub(super) fn lives(pid: i32) -> bool {
    let stat = read(pid, "stat");
    stat.rsplit(") ").next().is_some_and(|rest| !rest.is_empty() && !rest.starts_with('Z'))
}

pub(super) fn memory(pids: &BTreeSet<i32>) -> Memory {
    pids.iter().fold(Memory::default(), |sum, pid| {
        let text = read(*pid, "smaps_rollup");
        Memory {
            rss: sum.rss + field(&text, "Rss") * 1024,
            pss: sum.pss + field(&text, "Pss") * 1024,
        }
    })
}

/// The most that any one of them has had resident, added up, in bytes.
pub(super) fn peak(pids: &BTreeSet<i32>) -> u64 {
    pids.iter().map(|pid| field(&read(*pid, "status"), "VmHWM") * 1024).sum()
}

pub(super) fn activity(pids: &BTreeSet<i32>) -> Activity {
    pids.iter().fold(Activity::default(), |sum, pid| {
        threads(*pid).into_iter().fold(sum, |sum, thread| {
            let status = fs::read_to_string(thread.join("status")).unwrap_or_default();
            let switches = field(&status, "voluntary_ctxt_switches")
                + field(&status, "nonvoluntary_ctxt_switches");
            // Nanoseconds on a processor (Documentation/scheduler/sched-stats).
            let ran = fs::read_to_string(thread.join("schedstat")).unwrap_or_default();
            let ran = ran.split(' ').next().and_then(|ran| ran.parse().ok()).unwrap_or(0);
            Activity {
                context_switches: sum.context_switches + switches,
                cpu: sum.cpu + Duration::from_nanos(ran),
            }
        })
    })
}

/// Sends a signal to a process, which may have ended.
pub(super) fn signal(pid: i32, signal: Signal) {
    if let Some(pid) = Pid::from_raw(pid) {
        let _ = kill_process(pid, signal);
    }
}
