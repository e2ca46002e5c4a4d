//! A program under load, with all its children: CPU time and memory as the
//! kernel counts them.

use std::collections::BTreeMap;
use std::fs;
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};
use xtask::{run, wait};

/// Longest that a subject may take to answer, and to end.
const TIMEOUT: Duration = Duration::from_secs(30);
const TICK: Duration = Duration::from_millis(20);
/// The core that subjects run on; load has the others.
pub(crate) const SERVER_CORE: usize = 0;

/// A running program and its children; stopped when dropped.
pub(crate) struct Subject {
    /// Its name in the report.
    pub(crate) name: String,
    child: Child,
    log: PathBuf,
}

/// Memory of all its processes, in bytes.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Memory {
    /// Pages in memory; those shared by several processes are counted each time.
    pub(crate) resident: u64,
    /// The same, shared pages divided among those who share them.
    pub(crate) proportional: u64,
}

impl Subject {
    /// Starts a program on the subjects' core. Its output goes to a file in `folder`.
    pub(crate) fn start(name: &str, folder: &Path, program: &Path, args: &[&str]) -> Result<Self> {
        let mut command = pinned(SERVER_CORE, program);
        command.args(args).current_dir(folder);
        Self::launch(name, folder, command)
    }

    /// Starts what a command says. Its output goes to a file in `folder`.
    pub(crate) fn launch(name: &str, folder: &Path, mut command: Command) -> Result<Self> {
        let log = folder.join("output.log");
        let output =
            fs::File::create(&log).with_context(|| format!("cannot write {}", log.display()))?;
        let child = command
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output)
            .spawn()
            .with_context(|| format!("cannot start {name}"))?;
        Ok(Self { name: name.to_owned(), child, log })
    }

    /// Waits until a connection to `ADDRESS:PORT` or `unix:/path` is taken.
    pub(crate) fn wait_for(&mut self, address: &str) -> Result<()> {
        let taken = || match address.strip_prefix("unix:") {
            Some(path) => UnixStream::connect(path).is_ok(),
            None => TcpStream::connect(address).is_ok(),
        };
        let mut ended = false;
        let there = wait::until(TIMEOUT, TICK, || {
            ended = self.child.try_wait()?.is_some();
            Ok(ended || taken())
        })?;
        if ended || !there {
            bail!("{} does not listen on {address}:\n{}", self.name, self.last_words());
        }
        Ok(())
    }

    /// The last lines of its output.
    pub(crate) fn last_words(&self) -> String {
        run::tail(&fs::read_to_string(&self.log).unwrap_or_default())
    }

    /// CPU time used so far by all threads of all processes.
    pub(crate) fn cpu(&self) -> Result<Duration> {
        let mut total = 0;
        for process in self.processes()? {
            for thread in numbers(&format!("/proc/{process}/task"))? {
                let path = format!("/proc/{process}/task/{thread}/schedstat");
                // A thread that has just ended took its count with it.
                total += fs::read_to_string(path).map_or(0, |text| run_time(&text));
            }
        }
        Ok(Duration::from_nanos(total))
    }

    /// Memory of all processes.
    pub(crate) fn memory(&self) -> Result<Memory> {
        memory_of(self.child.id())
    }

    /// The numbers of its processes, parents before their children.
    pub(crate) fn processes(&self) -> Result<Vec<u32>> {
        processes(self.child.id())
    }
}

/// Memory of a process and all that descend from it.
pub(crate) fn memory_of(root: u32) -> Result<Memory> {
    let mut total = Memory::default();
    for process in processes(root)? {
        let path = format!("/proc/{process}/smaps_rollup");
        let text = fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))?;
        let one = memory(&text);
        total.resident += one.resident;
        total.proportional += one.proportional;
    }
    Ok(total)
}

fn processes(root: u32) -> Result<Vec<u32>> {
    let mut parents = BTreeMap::new();
    for process in numbers("/proc")? {
        if let Ok(text) = fs::read_to_string(format!("/proc/{process}/stat")) {
            parents.insert(process, parent(&text));
        }
    }
    Ok(family(root, &parents))
}

impl Drop for Subject {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Subject {
    /// Stops it and waits for its end.
    pub(crate) fn stop(&mut self) {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        // It may have exited already.
        let _ = pid.map(|pid| kill_process(pid, Signal::TERM));
        let deadline = Instant::now() + TIMEOUT;
        while matches!(self.child.try_wait(), Ok(None)) {
            if Instant::now() > deadline {
                let _ = self.child.kill();
            }
            std::thread::sleep(TICK);
        }
    }
}

/// A command that stays on one core. Without `taskset` or a second core it runs anywhere.
pub(crate) fn pinned(core: usize, program: &Path) -> Command {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    match run::find("taskset") {
        Some(taskset) if cores > 1 => {
            let mut command = Command::new(taskset);
            command.arg("-c").arg(core.to_string()).arg(program);
            command
        }
        _ => Command::new(program),
    }
}

/// The entries of a folder that are numbers.
fn numbers(folder: &str) -> Result<Vec<u32>> {
    let entries = fs::read_dir(folder).with_context(|| format!("cannot read {folder}"))?;
    Ok(entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect())
}

/// The parent in `/proc/PID/stat`; the name before it may hold anything.
fn parent(stat: &str) -> u32 {
    let behind = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    behind.split_whitespace().nth(1).and_then(|text| text.parse().ok()).unwrap_or(0)
}

/// Nanoseconds on a core, the first number of `schedstat`.
fn run_time(schedstat: &str) -> u64 {
    schedstat.split_whitespace().next().and_then(|text| text.parse().ok()).unwrap_or(0)
}

/// A process and all that descend from it.
fn family(root: u32, parents: &BTreeMap<u32, u32>) -> Vec<u32> {
    let mut found = vec![root];
    let mut next = 0;
    while let Some(parent) = found.get(next).copied() {
        found.extend(parents.iter().filter(|(_, of)| **of == parent).map(|(process, _)| *process));
        next += 1;
    }
    found
}

/// The two sums of `/proc/PID/smaps_rollup`.
fn memory(rollup: &str) -> Memory {
    let sum = |name: &str| {
        let line = rollup.lines().find_map(|line| line.strip_prefix(name));
        let kib = line.and_then(|rest| rest.split_whitespace().next()?.parse().ok());
        kib.unwrap_or(0u64) * 1024
    };
    Memory { resident: sum("Rss:"), proportional: sum("Pss:") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_counts_with_all_its_descendants() {
        let parents = BTreeMap::from([(1, 0), (10, 1), (11, 10), (12, 11), (20, 1)]);
        assert_eq!(family(10, &parents), [10, 11, 12]);
    }

    #[test]
    fn the_kernels_files_are_read_as_they_are_written() {
        assert_eq!(parent("42 (a) b (c)) S 7 42 42 0"), 7);
        assert_eq!(run_time("1234567 89 3\n"), 1_234_567);
        let rollup = "5581-7ffd ---p 0 00:00 0 [rollup]\nRss:    1024 kB\nPss:     512 kB\nPss_Dirty: 9 kB\n";
        assert_eq!(memory(rollup), Memory { resident: 1 << 20, proportional: 1 << 19 });
    }

    #[test]
    fn our_own_figures_can_be_read() {
        let stat = fs::read_to_string("/proc/self/stat").expect("stat");
        assert_eq!(
            parent(&stat),
            rustix::process::getppid().map_or(0, |pid| pid.as_raw_nonzero().get().unsigned_abs())
        );
        let rollup = fs::read_to_string("/proc/self/smaps_rollup").expect("rollup");
        assert!(memory(&rollup).resident > 0);
    }
}
