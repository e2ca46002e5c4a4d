//! What a service leaves behind, however well it hides, ends with it; and
//! however much it is, nobody has to wait.

use std::collections::BTreeSet;
use std::fs;

use crate::support::preload::with_hung_files;
use crate::support::{FAKE, Supervisor, is_alive, kill};

/// Ways to hide from a supervisor that looks at sessions, groups, parents, open
/// descriptors or the environment. `$0` is what runs at last.
const HIDEOUTS: [&str; 4] = [
    "setsid env -i sh -c \"$0\" &",
    "setsid -f setsid -f env -i sh -c \"$0\"",
    "(setsid env -i nohup sh -c \"$0\" </dev/null >/dev/null 2>&1 &)",
    "env -u SANTA_SUPERVISE_ID setsid sh -c \"(exec env -i sh -c '$0') &\" &",
];

#[test]
fn an_orphan_without_session_and_environment_ends_with_its_service() {
    for os in ["linux", "linux-without-pidfd"] {
        for hideout in HIDEOUTS {
            let supervisor = Supervisor::new(os);
            let file = supervisor.path("orphan").display().to_string();
            let script = format!("{hideout}\nwhile sleep 1; do :; done");
            let runs = format!("echo $$ > {file}.new; mv {file}.new {file}; exec sleep 7777");
            let args = format!("args = [\"-c\", {script:?}, {runs:?}]\nrestart = \"always\"");
            let mut supervisor =
                supervisor.program("app", "/bin/sh", &args.replace('$', "$$")).start();
            let orphan = supervisor.number_in("orphan");
            supervisor.ctl_ok(&["signal", "app", "KILL"]);
            supervisor
                .until("it was restarted", || supervisor.service_status("app")["restarts"] == 1);
            assert!(!is_alive(orphan), "it survived: {hideout}");
            supervisor.until("another orphan runs", || supervisor.number_in("orphan") != orphan);
            let orphan = supervisor.number_in("orphan");
            assert_eq!(supervisor.stop(), 0);
            assert!(!is_alive(orphan), "it survived the stop: {hideout}");
        }
    }
}

#[test]
fn what_services_have_started_ends_with_a_killed_supervisor() {
    let mut supervisor = Supervisor::new("linux");
    let file = |name: &str| supervisor.path(name).display().to_string();
    let names = ["group", "session", "environment", "deaf"];
    let [group, session, _, deaf] = names.map(|name| format!("pid {}; forever", file(name)));
    let hides =
        format!("echo $$$$ > {0}.new; mv {0}.new {0}; exec sleep 7777", file("environment"));
    let sh =
        format!("args = [\"-c\", \"setsid env -i sh -c \\\"$$0\\\" & sleep 7777\", {hides:?}]");
    supervisor = supervisor
        .service("one", &[&format!("child {group}"), "forever"], "")
        .service("two", &[&format!("child setsid; {session}"), "forever"], "")
        .service("three", &[&format!("child setsid; child ignore-term; {deaf}"), "forever"], "")
        .program("four", "/bin/sh", &sh)
        .start();
    let pids = names.map(|name| supervisor.number_in(name));
    supervisor.signal(libc::SIGKILL);
    supervisor.wait();
    for (name, pid) in names.iter().zip(pids) {
        supervisor.until(&format!("{name} is gone"), || !is_alive(pid));
    }
}

/// Two services, of which `app` leaves an orphan behind, where processes cannot be
/// marked: a hard limit of file locks is in the way.
fn without_marks(supervisor: Supervisor) -> Supervisor {
    let orphan = supervisor.path("orphan").display().to_string();
    let runs = format!("echo $$$$ > {orphan}.new; mv {orphan}.new {orphan}; exec sleep 7777");
    let script = "setsid -f setsid -f sh -c \"$$0\"; sleep 7777";
    let supervisor = supervisor
        .program(
            "app",
            "/bin/sh",
            &format!("args = [\"-c\", {script:?}, {runs:?}]\nrestart = \"always\""),
        )
        .service("other", &["forever"], "restart = \"always\"")
        .start_through("prlimit", &["--locks=5:5"]);
    supervisor.wait_for_state("other", "ready");
    supervisor
}

#[test]
fn an_orphan_without_a_mark_is_known_by_its_environment() {
    let mut supervisor = without_marks(Supervisor::new("linux"));
    let orphan = supervisor.number_in("orphan");
    supervisor.ctl_ok(&["signal", "app", "KILL"]);
    supervisor.until("it was restarted", || supervisor.service_status("app")["restarts"] == 1);
    assert!(!is_alive(orphan), "it ended with its service");
    assert_eq!(supervisor.stop(), 0);
}

#[test]
fn an_orphan_without_a_mark_whose_memory_hangs_holds_up_nobody() {
    let supervisor = with_hung_files(Supervisor::new("linux"));
    let switch = supervisor.path("switch");
    fs::write(&switch, "*/environ").expect("switch");
    let mut supervisor = without_marks(supervisor.setting("HUNG_FROM", &switch));
    let orphan = supervisor.number_in("orphan");
    supervisor.ctl_ok(&["signal", "app", "KILL"]);
    supervisor.ctl_ok(&["restart", "other"]);
    supervisor.ctl_ok(&["signal", "other", "KILL"]);
    assert!(is_alive(orphan), "nobody knows whose it is");
    assert_eq!(supervisor.stop(), 0);
    supervisor.until("it ends with everything", || !is_alive(orphan));
}

/// The guard of a supervisor with the service `app` and nothing else.
fn guard_of(supervisor: &Supervisor) -> Option<i32> {
    let app = supervisor.service_pid("app");
    let children = children_of(supervisor.pid()).into_iter();
    let mut others = children.map(|pid| pid.parse().expect("a pid")).filter(|pid| *pid != app);
    let guard = others.next();
    assert_eq!(others.next(), None, "the service and the guard are all");
    guard.filter(|guard| is_alive(*guard))
}

#[test]
fn the_guard_ends_with_an_orderly_end() {
    let mut supervisor = Supervisor::new("linux").service("app", &["forever"], "").start();
    supervisor.wait_for_state("app", "ready");
    let guard = guard_of(&supervisor).expect("a guard");
    assert_eq!(supervisor.stop(), 0);
    supervisor.until("the guard has ended", || !is_alive(guard));
}

#[test]
fn a_guard_that_someone_kills_is_replaced() {
    for os in ["linux", "linux-without-pidfd", "portable"] {
        let supervisor = Supervisor::new(os);
        let orphan = supervisor.path("orphan").display().to_string();
        let steps = format!("child setsid; pid {orphan}; forever");
        let mut supervisor = supervisor.service("app", &[&steps, "forever"], "").start();
        supervisor.wait_for_state("app", "ready");
        let orphan = supervisor.number_in("orphan");
        for _ in 0..2 {
            let old = guard_of(&supervisor).expect("a guard");
            // It takes none of these for the end of santa-supervise.
            for signal in [libc::SIGTERM, libc::SIGHUP, libc::SIGUSR1, libc::SIGCHLD] {
                kill(old, signal);
            }
            kill(old, libc::SIGKILL);
            supervisor.until("it is replaced", || {
                guard_of(&supervisor).is_some_and(|guard| guard != old)
            });
        }
        assert!(is_alive(orphan));
        assert_eq!(supervisor.status()["supervisor"]["orphans_reaped"], 0);
        supervisor.signal(libc::SIGKILL);
        supervisor.wait();
        supervisor.until("the new guard has done its work", || !is_alive(orphan));
        assert!(supervisor.log().contains("the guard process has ended (ended by SIGKILL)"));
    }
}

fn children_of(pid: i32) -> BTreeSet<String> {
    let list = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    list.split_whitespace().map(str::to_owned).collect()
}

#[test]
fn however_much_probes_and_hooks_leave_behind_ends_with_them() {
    let supervisor = Supervisor::new("linux");
    let file = |name: &str| supervisor.path(name).display().to_string();
    let command = |steps: &[String]| format!("{:?}", [&[FAKE.to_owned()], steps].concat());
    let ready = command(&[format!("first-only {} breed 200", file("ready"))]);
    // The first one takes too long.
    let slow = command(&[
        format!("first-only {} breed 150", file("bred")),
        format!("first-only {} sleep 60000", file("slow")),
    ]);
    let told = command(&["breed 300".to_owned(), format!("pid {}", file("told"))]);
    let keys = format!(
        "ready = {{ kind = \"exec\", command = {ready} }}\n\
         liveness = {{ kind = \"exec\", command = {slow}, interval = \"50ms\", timeout = \"300ms\", failures = 1000 }}"
    );
    let hook = format!("[[hook]]\nname = \"told\"\nstates = [\"ready\"]\ncommand = {told}");
    let mut supervisor = supervisor.service("app", &["forever"], &keys).extra(&hook).start();
    supervisor.wait_for_state("app", "ready");
    supervisor.until("all have left something behind", || {
        ["ready", "slow", "told"].iter().all(|name| supervisor.path(name).exists())
    });
    supervisor
        .until("the service and the guard are left", || children_of(supervisor.pid()).len() == 2);
    assert_eq!(supervisor.service_status("app")["restarts"], 0);
    assert_eq!(supervisor.stop(), 0);
}

#[test]
fn hundreds_of_orphans_of_one_service_are_not_those_of_another() {
    // More than are looked at together; each needs the processor to end.
    const ORPHANS: usize = 300;
    let supervisor = Supervisor::new("linux");
    let marker = supervisor.path("marker").display().to_string();
    // The child in between ends and leaves them to santa-supervise.
    let breed = format!("first-only {marker} child breed {ORPHANS}");
    let mut supervisor = supervisor
        .service("breeder", &[&breed, "forever"], "restart = \"always\"")
        .service("other", &["forever"], "restart = \"always\"")
        .start();
    supervisor.wait_for_state("other", "ready");
    let count = || children_of(supervisor.pid()).len();
    supervisor.until("they are all there", || count() >= ORPHANS + 2);
    supervisor.ctl_ok(&["signal", "other", "KILL"]);
    supervisor.until("it was restarted", || supervisor.service_status("other")["restarts"] == 1);
    supervisor.wait_for_state("other", "ready");
    assert!(count() >= ORPHANS + 2, "those of the living service live");
    supervisor.ctl_ok(&["signal", "breeder", "KILL"]);
    supervisor.until("it was restarted", || supervisor.service_status("breeder")["restarts"] == 1);
    supervisor.wait_for_state("breeder", "ready");
    assert!(count() < ORPHANS, "they ended with their service");
    assert_eq!(supervisor.stop(), 0);
}
