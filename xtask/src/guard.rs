//! What xtask starts must not outlive it. Each program runs in a process group of its
//! own; Ctrl-C is passed on to all of them, and a second process, the guard, ends
//! them when xtask itself is killed and can do nothing any more.

use std::collections::BTreeSet;
use std::io::{BufRead as _, Write as _};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};

use crate::run::own_program;

/// The hidden command that runs the guard.
pub(crate) const COMMAND: &str = "guard";

/// How long an interrupted program may take before it is asked again, and killed.
const GRACE: Duration = Duration::from_secs(10);
/// How long the programs of a killed xtask may take.
const ORPHANS_GRACE: Duration = Duration::from_millis(500);

struct Running {
    groups: BTreeSet<i32>,
    guard: Option<ChildStdin>,
}

static RUNNING: Mutex<Running> = Mutex::new(Running { groups: BTreeSet::new(), guard: None });

/// A program that is looked after until this is dropped, which is after its end.
pub(crate) struct Guarded(i32);

/// Starts the guard, so that it knows of a program as soon as that is started.
pub(crate) fn prepare() {
    change(|running| _ = running.guard());
}

/// Looks after a child that was started in a process group of its own.
pub(crate) fn watch(child: &Child) -> Option<Guarded> {
    let group = i32::try_from(child.id()).ok()?;
    change(|running| {
        running.groups.insert(group);
        running.tell(format_args!("+{group}"));
    });
    Some(Guarded(group))
}

impl Drop for Guarded {
    fn drop(&mut self) {
        change(|running| {
            running.groups.remove(&self.0);
            running.tell(format_args!("-{}", self.0));
        });
    }
}

/// Passes Ctrl-C on to what runs; what does not end is killed.
pub(crate) fn interrupt() {
    let asked = signal_all(|_| true, Signal::INT);
    std::thread::spawn(move || {
        for signal in [Signal::TERM, Signal::KILL] {
            std::thread::sleep(GRACE);
            signal_all(|group| asked.contains(&group), signal);
        }
    });
}

fn signal_all(chosen: impl Fn(i32) -> bool, signal: Signal) -> BTreeSet<i32> {
    let mut groups = BTreeSet::new();
    change(|running| {
        groups = running.groups.iter().copied().filter(|group| chosen(*group)).collect();
        groups.iter().for_each(|group| send(*group, signal));
    });
    groups
}

fn send(group: i32, signal: Signal) {
    // It may just have ended by itself, which is as good.
    let _ = Pid::from_raw(group).map(|pid| kill_process_group(pid, signal));
}

fn change(change: impl FnOnce(&mut Running)) {
    change(&mut RUNNING.lock().unwrap_or_else(PoisonError::into_inner));
}

impl Running {
    /// The guard, which is started with the first program. Without one, only a kill of
    /// xtask leaves something behind.
    fn guard(&mut self) -> Option<&mut ChildStdin> {
        // The program of a unit test is not xtask.
        if self.guard.is_none() && !cfg!(test) {
            self.guard = start();
        }
        self.guard.as_mut()
    }

    fn tell(&mut self, line: std::fmt::Arguments<'_>) {
        if let Some(guard) = self.guard() {
            let _ = writeln!(guard, "{line}");
        }
    }
}

fn start() -> Option<ChildStdin> {
    let mut command = Command::new(own_program().ok()?);
    // The terminal's Ctrl-C is for xtask alone.
    command.arg(COMMAND).stdin(Stdio::piped()).stdout(Stdio::null()).process_group(0);
    command.stderr(Stdio::null()).current_dir("/").spawn().ok()?.stdin.take()
}

/// The guard itself: follows which groups run, and ends them when its input does.
pub(crate) fn run() {
    let mut groups = BTreeSet::new();
    for line in std::io::stdin().lock().lines().map_while(Result::ok) {
        match (line.split_at_checked(1), line.get(1..).and_then(|rest| rest.parse().ok())) {
            (Some(("+", _)), Some(group)) => _ = groups.insert(group),
            (Some(("-", _)), Some(group)) => _ = groups.remove(&group),
            _ => {}
        }
    }
    if !groups.is_empty() {
        groups.iter().for_each(|group| send(*group, Signal::TERM));
        std::thread::sleep(ORPHANS_GRACE);
        groups.iter().for_each(|group| send(*group, Signal::KILL));
    }
}
