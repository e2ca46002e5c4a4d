//! Which processes belong to which tree, by /proc. Everything here is a
//! snapshot: callers repeat until nothing is found any more.

use std::collections::BTreeSet;
use std::fs;
use std::time::Duration;

use super::{Pid, Tree, Usage, calls};
use crate::spawning::TAG;

/// What belongs to `tree` besides its main process and outside its process
/// group's reach: descendants that made sessions of their own. While the main
/// process lives these are below it; afterwards they are children of ours and
/// are known by the tag in their environment.
pub(super) fn members(tree: Tree<'_>, mains: &BTreeSet<Pid>) -> Vec<Pid> {
    let mut found = Vec::new();
    if tree.main_alive {
        found = descendants(tree.main);
    }
    let own = std::process::id().cast_signed();
    for child in children(own).into_iter().filter(|child| !mains.contains(child)) {
        if !is_zombie(child) && belongs(child, tree) {
            found.push(child);
            found.extend(descendants(child));
        }
    }
    found.retain(|pid| *pid != tree.main);
    found
}

/// Everything below `root`, nearest first.
pub(super) fn descendants(root: Pid) -> Vec<Pid> {
    let mut found = children(root);
    let mut next = 0;
    while next < found.len() {
        let below = children(found[next]);
        found.extend(below.into_iter().filter(|pid| *pid != root));
        next += 1;
    }
    found
}

/// Whether `pid` is the main process of `tree`, in its session, below it, or
/// marked as its own.
pub(super) fn belongs(pid: Pid, tree: Tree<'_>) -> bool {
    // A main process that has been reaped may have left its number to a stranger.
    let by_number =
        || pid == tree.main || calls::session(pid) == tree.main || is_below(pid, tree.main);
    (tree.main_alive || !calls::exists(tree.main)) && by_number() || has_tag(pid, tree.tag)
}

fn is_below(mut pid: Pid, ancestor: Pid) -> bool {
    // Deeper trees do not exist; a reused number must not make a circle.
    for _ in 0..64 {
        match parent(pid) {
            Some(parent) if parent == ancestor => return true,
            Some(parent) if parent > 1 => pid = parent,
            _ => return false,
        }
    }
    false
}

fn has_tag(pid: Pid, tag: &str) -> bool {
    let Ok(environment) = fs::read(format!("/proc/{pid}/environ")) else { return false };
    environment.split(|byte| *byte == 0).any(|entry| {
        entry.strip_prefix(TAG.as_bytes()).and_then(|rest| rest.strip_prefix(b"="))
            == Some(tag.as_bytes())
    })
}

/// What one process uses: fields 14, 15 and 24 of its stat (proc(5)).
pub(super) fn usage(pid: Pid) -> Option<Usage> {
    let rest = stat_fields(pid)?;
    let field = |number: usize| rest.split(' ').nth(number - 3)?.parse::<u64>().ok();
    let ticks = field(14)? + field(15)?;
    let cpu = Duration::from_millis(ticks * 1_000 / rustix::param::clock_ticks_per_second());
    let rss = field(24)? * u64::try_from(rustix::param::page_size()).ok()?;
    Some(Usage { rss, cpu, processes: 1 })
}

/// The fields after the name in parentheses, from the third on.
fn stat_fields(pid: Pid) -> Option<String> {
    let stat = fs::read(format!("/proc/{pid}/stat")).ok()?;
    // The name may hold anything, even parentheses: look for the last one.
    let end = stat.iter().rposition(|byte| *byte == b')')?;
    Some(String::from_utf8_lossy(stat.get(end + 2..)?).into_owned())
}

/// State letter and parent.
fn stat(pid: Pid) -> Option<(u8, Pid)> {
    let rest = stat_fields(pid)?;
    let mut fields = rest.split(' ');
    let state = *fields.next()?.as_bytes().first()?;
    Some((state, fields.next()?.parse().ok()?))
}

fn parent(pid: Pid) -> Option<Pid> {
    stat(pid).map(|(_, parent)| parent)
}

fn is_zombie(pid: Pid) -> bool {
    stat(pid).is_none_or(|(state, _)| state == b'Z')
}

/// Children of `pid`, of all its threads.
fn children(pid: Pid) -> Vec<Pid> {
    let Ok(threads) = fs::read_dir(format!("/proc/{pid}/task")) else { return Vec::new() };
    let mut found = Vec::new();
    for thread in threads.filter_map(Result::ok) {
        match fs::read_to_string(thread.path().join("children")) {
            Ok(list) => {
                found.extend(list.split_whitespace().filter_map(|pid| pid.parse::<Pid>().ok()))
            }
            // Kernels without CONFIG_PROC_CHILDREN; a thread that just ended
            // makes one search too many, which does no harm.
            Err(_) => return children_by_search(pid),
        }
    }
    found
}

fn children_by_search(of: Pid) -> Vec<Pid> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    let numbers = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<Pid>().ok());
    numbers.filter(|pid| parent(*pid) == Some(of)).collect()
}

/// Kills for want of memory: by our control group of either version (a container
/// may see it as the root), else by the whole machine's count.
pub(super) fn oom_kills() -> Option<u64> {
    let groups = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let path_of = |controllers: &str| {
        let mut lines = groups.lines().filter_map(|line| line.split_once(':'));
        lines.find_map(|(_, rest)| rest.strip_prefix(controllers)?.strip_prefix(':'))
    };
    let second = path_of("")
        .into_iter()
        .flat_map(|path| [path, ""].map(|path| format!("/sys/fs/cgroup{path}/memory.events")));
    let first = path_of("memory").into_iter().flat_map(|path| {
        [path, ""].map(|path| format!("/sys/fs/cgroup/memory{path}/memory.oom_control"))
    });
    let whole = std::iter::once("/proc/vmstat".to_owned());
    second.chain(first).chain(whole).find_map(|file| {
        let text = fs::read_to_string(file).ok()?;
        let count = text.lines().find_map(|line| line.strip_prefix("oom_kill "))?;
        count.trim().parse().ok()
    })
}
