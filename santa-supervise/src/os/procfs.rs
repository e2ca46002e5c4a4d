//! Which processes belong to which tree, by /proc. Everything here is a
//! snapshot: callers repeat until nothing is found any more.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::time::Duration;

use super::{Allowance, Origin, Orphan, Orphans, Pid, TAG, Tree, Usage, calls, mark};

/// Most processes below others that are looked for at a time: each takes some
/// microseconds, and nothing else goes on meanwhile. A kill is repeated until
/// nothing is found any more; what is killed makes those below it our children.
pub(super) const MOST_BELOW: usize = 256;

/// Longest that the origins of new orphans are read in one look; one is read in
/// any case.
const READ_FOR: Duration = Duration::from_millis(3);

/// Most orphans of a tree that may be zombies before some of them are taken for
/// living ones without a look.
const MOST_ZOMBIES: usize = 64;

/// Where our children that no service is known for come from; nothing for those
/// whose environment has to be read. It cannot change, and the number of a child is
/// given to nobody else before it is reaped.
#[derive(Debug, Default)]
pub(super) struct Origins(BTreeMap<Pid, Option<Origin>>);

impl Origins {
    pub(super) fn look(&mut self, known: &BTreeSet<Pid>) -> Orphans {
        let own = std::process::id().cast_signed();
        let mut orphans = Orphans::default();
        let allowance = Allowance::of(READ_FOR);
        let mut new = 0;
        for pid in children(own).into_iter().filter(|child| !known.contains(child)) {
            let origin = match self.0.entry(pid) {
                Entry::Occupied(known) => known.get().clone(),
                Entry::Vacant(_) if new > 0 && allowance.is_spent() => {
                    orphans.more = true;
                    continue;
                }
                Entry::Vacant(place) => {
                    new += 1;
                    place.insert(origin(pid)).clone()
                }
            };
            if origin.is_none() {
                orphans.unread.push(pid);
                orphans.more = true;
            }
            let origin = origin.unwrap_or(Origin::Unknown);
            orphans.found.push(Orphan { pid, session: calls::session(pid), origin });
        }
        orphans
    }

    pub(super) fn forget(&mut self, pid: Pid) {
        self.0.remove(&pid);
    }

    /// Takes in what the environment of a process says, unless it has ended.
    pub(super) fn learn(&mut self, pid: Pid, variable: Option<&str>) {
        if let Some(origin @ None) = self.0.get_mut(&pid) {
            let variable = variable.map(|value| Origin::Variable(value.as_bytes().into()));
            *origin = Some(variable.unwrap_or(Origin::Unknown));
        }
    }

    /// Whether `pid` is the main process of `tree`, in its session, below it or one of
    /// its orphans, or marked as its own.
    pub(super) fn belongs(&self, pid: Pid, tree: Tree<'_>) -> bool {
        let own_number = has_own_number(tree);
        let is_own = |pid: Pid| {
            own_number && (pid == tree.main || calls::session(pid) == tree.main)
                || self
                    .0
                    .get(&pid)
                    .is_some_and(|known| known.as_ref().is_some_and(|known| known.is(tree.tag)))
        };
        mark::of(pid) == Some(tree.tag.mark) || ancestry(pid).any(is_own)
    }
}

/// Where a process comes from; nothing if only its environment can tell. That lies in
/// the memory of the process: reading it waits for whatever that memory waits for, a
/// file on a mount that hangs for example.
fn origin(pid: Pid) -> Option<Origin> {
    mark::works().then(|| mark::of(pid).map_or(Origin::Unknown, Origin::Mark))
}

/// The orphans of `tree`: known by their mark, or by their session as long as its
/// number belongs to nobody else.
fn orphans_of<'a>(tree: Tree<'a>, orphans: &'a Orphans) -> impl Iterator<Item = Pid> + 'a {
    let by_session = has_own_number(tree);
    let is_own = move |orphan: &&Orphan| {
        orphan.origin.is(tree.tag) || by_session && orphan.session == tree.main
    };
    orphans
        .found
        .iter()
        .filter(is_own)
        .map(|orphan| orphan.pid)
        .filter(move |pid| *pid != tree.main)
}

/// Whether an orphan of `tree` lives, or may live.
pub(super) fn has_orphans(tree: Tree<'_>, orphans: &Orphans) -> bool {
    let mut own = orphans_of(tree, orphans);
    orphans.more
        || own.by_ref().take(MOST_ZOMBIES).any(|pid| !is_zombie(pid))
        || own.next().is_some()
}

/// How many processes of `tree` are known, without those below others.
pub(super) fn count(tree: Tree<'_>, orphans: &Orphans) -> usize {
    usize::from(tree.main_alive) + orphans_of(tree, orphans).count()
}

/// Whether `tree` has more orphans than there is time to look at.
pub(super) fn has_many(tree: Tree<'_>, orphans: &Orphans) -> bool {
    orphans.more || orphans_of(tree, orphans).nth(MOST_BELOW).is_some()
}

/// What belongs to `tree` besides its main process and outside its process
/// group's reach: what is below its main process, and its orphans with what is
/// below them as far as `allowance` reaches. Each is looked for when it is asked for.
pub(super) fn members<'a>(
    tree: Tree<'a>,
    orphans: &'a Orphans,
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
    let of_orphans = orphans_of(tree, orphans)
        .flat_map(move |orphan| std::iter::once(orphan).chain(below(orphan)));
    of_main.into_iter().chain(of_orphans).filter(move |pid| *pid != tree.main)
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

/// Whether the number of a tree's main process still is its own: after it was
/// reaped another process may have the same number.
fn has_own_number(tree: Tree<'_>) -> bool {
    tree.main_alive || !calls::exists(tree.main)
}

/// A process, its parent, and so on.
fn ancestry(pid: Pid) -> impl Iterator<Item = Pid> {
    // Deeper trees do not exist; a reused number must not make a circle.
    std::iter::successors(Some(pid), |pid| parent(*pid).filter(|parent| *parent > 1)).take(64)
}

/// The value of [`TAG`] in the environment that a process was started with. Only a
/// worker reads it: it may hang.
pub(super) fn variable(pid: Pid) -> Option<String> {
    let environment = fs::read(format!("/proc/{pid}/environ")).ok()?;
    let mut entries = environment.split(|byte| *byte == 0);
    entries.find_map(|entry| {
        let value = entry.strip_prefix(TAG.as_bytes())?.strip_prefix(b"=")?;
        Some(String::from_utf8_lossy(value).into_owned())
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

/// Every visible process.
pub(super) fn all() -> Vec<Pid> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    let numbers = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<Pid>().ok());
    numbers.collect()
}

/// Kills because memory ran out: by our control group of either version (a container
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
