//! Which processes belong to which tree, by /proc. Everything here is a
//! snapshot: callers repeat until nothing is found any more.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::time::Duration;

use super::{Allowance, Origin, Pid, Stray, Strays, Tree, Usage, calls, mark};
use crate::spawning::TAG;

/// Most processes below others that are looked for at a time: each takes some
/// microseconds, and nothing else goes on meanwhile. A kill is repeated until
/// nothing is found any more; what is killed makes those below it our children.
pub(super) const MOST_BELOW: usize = 256;

/// Longest that the origins of new strays are read in one look; one is read in
/// any case.
const READ_FOR: Duration = Duration::from_millis(3);

/// Most strays of a tree that may be zombies before some of them are taken for
/// living ones without a look.
const MOST_ZOMBIES: usize = 64;

/// Where our children that no service is known for come from. It cannot change,
/// and the number of a child is given to nobody else before it is reaped.
#[derive(Debug, Default)]
pub(super) struct Origins(BTreeMap<Pid, Origin>);

impl Origins {
    pub(super) fn look(&mut self, mains: &BTreeSet<Pid>) -> Strays {
        let own = std::process::id().cast_signed();
        let mut strays = Strays::default();
        let allowance = Allowance::of(READ_FOR);
        let mut new = 0;
        for pid in children(own).into_iter().filter(|child| !mains.contains(child)) {
            let origin = match self.0.entry(pid) {
                Entry::Occupied(known) => known.get().clone(),
                Entry::Vacant(_) if new > 0 && allowance.is_spent() => {
                    strays.more = true;
                    continue;
                }
                Entry::Vacant(place) => {
                    new += 1;
                    place.insert(origin(pid)).clone()
                }
            };
            strays.found.push(Stray { pid, session: calls::session(pid), origin });
        }
        strays
    }

    pub(super) fn forget(&mut self, pid: Pid) {
        self.0.remove(&pid);
    }
}

fn origin(pid: Pid) -> Origin {
    if let Some(mark) = mark::of(pid) {
        return Origin::Mark(mark);
    }
    // The environment lies in the memory of the process: reading it waits for
    // whatever that memory waits for, a file on a mount that hangs for example.
    if mark::works() {
        return Origin::Unknown;
    }
    variable(pid).map_or(Origin::Unknown, |value| Origin::Variable(value.into()))
}

/// The strays of `tree`: known by their mark, or by their session as long as its
/// number belongs to nobody else.
fn strays_of<'a>(tree: Tree<'a>, strays: &'a Strays) -> impl Iterator<Item = Pid> + 'a {
    let by_session = has_own_number(tree);
    let is_own =
        move |stray: &&Stray| stray.origin.is(tree.tag) || by_session && stray.session == tree.main;
    strays.found.iter().filter(is_own).map(|stray| stray.pid).filter(move |pid| *pid != tree.main)
}

/// Whether a stray of `tree` lives, or may live.
pub(super) fn has_strays(tree: Tree<'_>, strays: &Strays) -> bool {
    let mut own = strays_of(tree, strays);
    strays.more
        || own.by_ref().take(MOST_ZOMBIES).any(|pid| !is_zombie(pid))
        || own.next().is_some()
}

/// How many processes of `tree` are known, without those below others.
pub(super) fn count(tree: Tree<'_>, strays: &Strays) -> usize {
    usize::from(tree.main_alive) + strays_of(tree, strays).count()
}

/// Whether `tree` has more strays than there is time to look at.
pub(super) fn has_many(tree: Tree<'_>, strays: &Strays) -> bool {
    strays.more || strays_of(tree, strays).nth(MOST_BELOW).is_some()
}

/// What belongs to `tree` besides its main process and outside its process
/// group's reach: what is below its main process, and its strays with what is
/// below them as far as `allowance` reaches. Each is looked for when it is asked for.
pub(super) fn members<'a>(
    tree: Tree<'a>,
    strays: &'a Strays,
    allowance: Option<Allowance>,
) -> impl Iterator<Item = Pid> + 'a {
    let mut left = MOST_BELOW;
    let mut below = move |root| {
        if left == 0 || is_spent(allowance) {
            return Vec::new();
        }
        let found = descendants(root, left, allowance);
        left = left.saturating_sub(found.len() + 1);
        found
    };
    let of_main = if tree.main_alive { below(tree.main) } else { Vec::new() };
    let of_strays =
        strays_of(tree, strays).flat_map(move |stray| std::iter::once(stray).chain(below(stray)));
    of_main.into_iter().chain(of_strays).filter(move |pid| *pid != tree.main)
}

fn is_spent(allowance: Option<Allowance>) -> bool {
    allowance.is_some_and(Allowance::is_spent)
}

/// What is below `root`, nearest first; not much more than `most`, and what is
/// found before `allowance` is spent.
pub(super) fn descendants(root: Pid, most: usize, allowance: Option<Allowance>) -> Vec<Pid> {
    let mut found = children(root);
    let mut next = 0;
    while next < found.len().min(most) && !is_spent(allowance) {
        let below = children(found[next]);
        found.extend(below.into_iter().filter(|pid| *pid != root));
        next += 1;
    }
    found
}

/// Whether the number of a tree's main process is not a stranger's: one that has
/// been reaped may have left it to somebody.
fn has_own_number(tree: Tree<'_>) -> bool {
    tree.main_alive || !calls::exists(tree.main)
}

/// Whether `pid` is the main process of `tree`, in its session, below it, or
/// marked as its own.
pub(super) fn belongs(pid: Pid, tree: Tree<'_>) -> bool {
    let by_number =
        || pid == tree.main || calls::session(pid) == tree.main || is_below(pid, tree.main);
    has_own_number(tree) && by_number() || origin(pid).is(tree.tag)
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

/// The value of [`TAG`] in the environment that a process was started with.
fn variable(pid: Pid) -> Option<Vec<u8>> {
    let environment = fs::read(format!("/proc/{pid}/environ")).ok()?;
    let mut entries = environment.split(|byte| *byte == 0);
    entries.find_map(|entry| {
        entry.strip_prefix(TAG.as_bytes())?.strip_prefix(b"=").map(<[u8]>::to_vec)
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

pub(super) fn is_zombie(pid: Pid) -> bool {
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
    all().into_iter().filter(|pid| parent(*pid) == Some(of)).collect()
}

/// Every process that is to be seen.
pub(super) fn all() -> Vec<Pid> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    let numbers = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<Pid>().ok());
    numbers.collect()
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
