//! What runs out: descriptors, processes, memory, room on a disk.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use crate::support::preload::with_scarce_files;
use crate::support::privileged::{after_mounting, is_root};
use crate::support::{FAKE, Supervisor, ticks};
use rustix::process::{Pid, Resource, Rlimit, prlimit};
use serde_json::Value;

/// The services in this state.
fn names(supervisor: &Supervisor, state: &str) -> Vec<String> {
    let status = supervisor.status();
    let all = status["services"].as_array().expect("services").iter();
    let found = all.filter(|one| one["state"] == state);
    found.map(|one| one["name"].as_str().expect("name").to_owned()).collect()
}

fn count(supervisor: &Supervisor, state: &str) -> usize {
    names(supervisor, state).len()
}

/// `amount` services that try again only when asked to.
fn patient_services(mut supervisor: Supervisor, amount: usize) -> Supervisor {
    for number in 0..amount {
        supervisor = supervisor.service(
            &format!("s{number}"),
            &["forever"],
            "backoff = { initial = \"1h\", max = \"1h\" }",
        );
    }
    supervisor
}

#[test]
fn without_descriptors_some_services_wait_and_the_rest_runs() {
    let supervisor = patient_services(Supervisor::new("linux"), 30);
    let mut supervisor = supervisor.start_through("prlimit", &["--nofile=40:4096"]);
    supervisor.wait_for_control();
    supervisor.until("every service runs or waits", || {
        count(&supervisor, "ready") + count(&supervisor, "backoff") == 30
    });
    let (running, waiting) = (count(&supervisor, "ready"), count(&supervisor, "backoff"));
    assert!(running >= 5 && waiting >= 5, "{running} run, {waiting} wait");
    let why = supervisor.service_status("s29")["why"].as_str().expect("why").to_owned();
    assert!(why.contains("Too many open files") && why.contains("retrying"), "{why}");

    // It waits for its clock and does not spin on what it cannot have.
    let (before, pause) = (ticks(supervisor.pid()), std::time::Duration::from_millis(500));
    std::thread::sleep(pause);
    assert!(ticks(supervisor.pid()) - before < 25, "it used more than half of a processor");

    let enough = Rlimit { current: Some(4_096), maximum: Some(4_096) };
    prlimit(Pid::from_raw(supervisor.pid()), Resource::Nofile, enough).expect("prlimit");
    for number in 0..30 {
        supervisor.ctl_ok(&["start", &format!("s{number}")]);
    }
    assert_eq!(count(&supervisor, "ready"), 30);
    assert_eq!(supervisor.stop(), 0);
}

#[test]
fn a_passing_shortage_of_descriptors_is_no_failure_of_a_service() {
    let mut supervisor = Supervisor::new("linux");
    for number in 0..30 {
        let once = "start_retries = 0\nbackoff = { initial = \"20ms\", max = \"100ms\" }";
        supervisor = supervisor.service(&format!("s{number}"), &["forever"], once);
    }
    let mut supervisor = supervisor.start_through("prlimit", &["--nofile=40:4096"]);
    supervisor.wait_for_control();
    supervisor.until("it was tried several times", || {
        // In the log, which stays: each of its states lasts for 100 ms at most.
        supervisor
            .log()
            .lines()
            .any(|line| line.contains("\"s29: ") && line.contains("(failure 4)"))
    });
    assert_eq!(count(&supervisor, "failed"), 0);
    let enough = Rlimit { current: Some(4_096), maximum: Some(4_096) };
    prlimit(Pid::from_raw(supervisor.pid()), Resource::Nofile, enough).expect("prlimit");
    supervisor.until("all run by themselves", || count(&supervisor, "ready") == 30);
    assert_eq!(supervisor.stop(), 0);
}

/// Services that need a file, a program of their `PATH` or a user, and never try
/// again to make up for a failure of their own.
fn needy_services(mut supervisor: Supervisor) -> (Supervisor, PathBuf, Vec<&'static str>) {
    let folder = supervisor.path("hung");
    fs::create_dir(&folder).expect("folder");
    fs::write(folder.join("vars"), "A=1\n").expect("variables");
    fs::write(folder.join("key"), "secret\n").expect("secret");
    symlink(FAKE, folder.join("some-program")).expect("link");
    let program = folder.join("some-program").display().to_string();
    let mut needs = vec![
        ("by-variables", FAKE, "env_files = [\"{dir}/hung/vars\"]"),
        ("by-secret", FAKE, "secrets = { KEY = \"{dir}/hung/key\" }"),
        ("by-directory", FAKE, "directory = \"{dir}/hung\""),
        ("by-program", &program, ""),
        ("by-path", "some-program", "env = { PATH = \"{dir}/hung\" }"),
    ];
    if is_root() {
        needs.push(("by-user", FAKE, "user = \"root\""));
        // The number of a user with a name is not looked up by the name.
        needs.push(("by-groups", FAKE, "user = \"0\""));
    }
    let once = "start_retries = 0\nbackoff = { initial = \"20ms\", max = \"50ms\" }";
    for (name, program, keys) in &needs {
        supervisor =
            supervisor.program(name, program, &format!("args = [\"forever\"]\n{keys}\n{once}"));
    }
    let (supervisor, orders) = with_scarce_files(supervisor);
    (supervisor, orders, needs.into_iter().map(|(name, ..)| name).collect())
}

const SHORTAGES: [i32; 5] = [libc::EMFILE, libc::ENFILE, libc::ENOMEM, libc::EAGAIN, libc::ENOBUFS];

/// Lets files and look-ups fail with this error from now on.
fn order(orders: &Path, error: i32) {
    let next = orders.with_extension("next");
    fs::write(&next, error.to_string()).expect("orders");
    fs::rename(&next, orders).expect("orders");
}

#[test]
fn a_probe_that_a_passing_shortage_keeps_from_starting_kills_nobody() {
    let supervisor = Supervisor::new("linux");
    let folder = supervisor.path("hung");
    fs::create_dir(&folder).expect("folder");
    symlink(FAKE, folder.join("probe")).expect("link");
    let keys = "restart = \"always\"\nliveness = { kind = \"exec\", command = [\"{dir}/hung/probe\"], interval = \"20ms\", failures = 1 }";
    let (supervisor, orders) = with_scarce_files(supervisor.service("app", &["forever"], keys));
    order(&orders, SHORTAGES[0]);
    let mut supervisor = supervisor.start();
    supervisor.wait_for_control();
    for error in SHORTAGES {
        order(&orders, error);
        supervisor.until("it was to be looked at", || {
            let status = supervisor.service_status("app");
            assert_eq!(status["restarts"], 0, "{status}");
            status["why"].as_str().is_some_and(|why| why.contains(&format!("(os error {error})")))
        });
    }
    order(&orders, libc::EACCES);
    supervisor.until("a probe that never runs counts", || {
        supervisor.service_status("app")["restarts"].as_u64() > Some(0)
    });
    fs::remove_file(&orders).expect("orders");
    supervisor.wait_for_state("app", "ready");
    assert_eq!(supervisor.stop(), 0);
}

#[test]
fn a_passing_shortage_in_a_child_on_its_way_is_no_failure_of_a_service() {
    let (supervisor, orders, all) = needy_services(Supervisor::new("linux"));
    order(&orders, libc::EMFILE);
    let mut supervisor = supervisor.start();
    supervisor.wait_for_control();
    for error in SHORTAGES {
        order(&orders, error);
        for name in &all {
            supervisor.until("it was tried and is to be tried again", || {
                let status = supervisor.service_status(name);
                assert_ne!(status["state"], "failed", "{status}");
                let why = status["why"].as_str().unwrap_or_default();
                why.contains(&format!("(os error {error}); retrying"))
            });
        }
    }
    fs::remove_file(&orders).expect("orders");
    all.iter().for_each(|name| supervisor.wait_for_state(name, "ready"));
    assert_eq!(supervisor.stop(), 0);
}

#[test]
fn a_refusal_that_does_not_pass_is_a_failure_at_once() {
    let (supervisor, orders, all) = needy_services(Supervisor::new("linux"));
    fs::write(orders, libc::EACCES.to_string()).expect("orders");
    let mut supervisor = supervisor.start();
    supervisor.wait_for_control();
    all.iter().for_each(|name| supervisor.wait_for_state(name, "failed"));
    assert_eq!(supervisor.stop(), 0);
}

#[test]
fn a_refused_fork_is_tried_again_when_there_is_room() {
    if !is_root() {
        return;
    }
    // A real user of its own, whose processes are counted; what may exceed the
    // limit is taken away. As the effective user it stays root, so that it may
    // read where the tests are built.
    let supervisor = patient_services(Supervisor::new("linux"), 10);
    let caged = ["--ruid=54333", "--euid=0", "--bounding-set=-sys_resource,-sys_admin"];
    let mut supervisor =
        supervisor.start_through("prlimit", &[&["--nproc=6", "setpriv"], &caged[..]].concat());
    supervisor.wait_for_control();
    supervisor.until("every service runs or waits", || {
        count(&supervisor, "ready") + count(&supervisor, "backoff") == 10
    });
    assert!(count(&supervisor, "ready") >= 1 && count(&supervisor, "backoff") >= 1);
    let why = supervisor.service_status("s9")["why"].as_str().expect("why").to_owned();
    assert!(why.contains("cannot create a process: Resource temporarily unavailable"), "{why}");
    let (running, waiting) = (names(&supervisor, "ready"), names(&supervisor, "backoff"));
    supervisor.ctl_ok(&["stop", &running[0]]);
    supervisor.ctl_ok(&["start", &waiting[0]]);
    assert_eq!(supervisor.state(&waiting[0]), "ready");
    assert_eq!(supervisor.stop(), 0);
}

#[test]
fn on_a_read_only_file_system_it_runs_without_a_control_socket() {
    let supervisor = Supervisor::new("linux").service("app", &["print hello", "forever"], "");
    let read_only =
        "mount --bind \"$DIR\" \"$DIR\"; mount -o remount,bind,ro \"$DIR\"; exec \"$@\"";
    let Some(mut supervisor) = after_mounting(supervisor, read_only) else { return };
    supervisor.until("the service runs", || supervisor.log().contains("hello"));
    assert!(supervisor.errors().contains("is read-only, so there is no control socket"));
    assert_eq!(supervisor.stop(), 0);
    assert!(supervisor.messages("supervise").contains(&"app is ready".to_owned()));
}

#[test]
fn a_full_disk_under_the_log_stops_nothing_and_is_told_when_there_is_room() {
    let supervisor = Supervisor::new("linux")
        .service(
            "chatty",
            &["flood 20000 a line that finds no room on the disk", "print the end", "forever"],
            "ready = { kind = \"log\", pattern = \"the end\" }",
        )
        .service("app", &["forever"], "restart = \"always\"");
    let small = "mkdir \"$DIR/small\"; mount -t tmpfs -o size=64k none \"$DIR/small\"; exec \"$@\" >> \"$DIR/small/log\"";
    let Some(mut supervisor) = after_mounting(supervisor, small) else { return };
    // Its log as the mount namespace shows it.
    let inside = supervisor.dir.path().strip_prefix("/").expect("absolute").join("small/log");
    let log = PathBuf::from(format!("/proc/{}/root", supervisor.pid())).join(inside);
    supervisor.wait_for_state("chatty", "ready");
    supervisor.until("each line is written or counted as lost", || {
        whole_lines(&read(&log), "chatty") + dropped_lines(&supervisor, "chatty") == 20_001
    });
    supervisor.ctl_ok(&["restart", "app"]);
    supervisor.ctl_ok(&["signal", "app", "KILL"]);
    supervisor.until("it was restarted", || supervisor.service_status("app")["restarts"] == 2);
    assert!(dropped_lines(&supervisor, "chatty") > 10_000);

    OpenOptions::new().write(true).truncate(true).open(&log).expect("log");
    supervisor.ctl_ok(&["restart", "app"]);
    supervisor.until("the loss is told", || read(&log).contains("No space left on device"));
    // The record that filled the disk is torn; none after it is. A record that is
    // being written just now may be seen in part.
    let mut records = None;
    supervisor.until("only whole records are there", || {
        records = records_in(&read(&log));
        records.is_some()
    });
    let records = records.expect("whole records");
    let note = records.iter().find(|record| record["name"] == "chatty").expect("a note");
    assert!(note["lines"].as_u64() > Some(10_000), "{note}");
    assert!(note["message"].as_str().expect("text").contains("No space left on device"), "{note}");
    assert_eq!(supervisor.stop(), 0);
}

fn whole_lines(log: &str, service: &str) -> u64 {
    let records = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    records.filter(|record| record["service"] == service).count() as u64
}

fn dropped_lines(supervisor: &Supervisor, service: &str) -> u64 {
    let usage: Value = serde_json::from_str(&supervisor.ctl_ok(&["top", "--json"])).expect("JSON");
    let all = usage.as_array().expect("services");
    let found = all.iter().find(|one| one["name"] == service).expect("known service");
    found["dropped_lines"].as_u64().expect("a number")
}

/// The records of a log, or nothing if one of them is torn.
fn records_in(log: &str) -> Option<Vec<Value>> {
    log.lines()
        .filter(|line| !line.is_empty())
        .map(|line| serde_json::from_str(line).ok())
        .collect()
}

fn read(path: &Path) -> String {
    fs::read(path).map(|bytes| crate::support::text(&bytes)).unwrap_or_default()
}

/// A control group with little memory, removed at the end.
struct LittleMemory(PathBuf);

impl LittleMemory {
    /// By either version of control groups.
    fn new() -> Option<Self> {
        let versions =
            [("/sys/fs/cgroup/memory", "memory.limit_in_bytes"), ("/sys/fs/cgroup", "memory.max")];
        let found = versions.into_iter().find_map(|(root, limit)| {
            // Refused where it has been done, or where the first version rules.
            let _ = fs::write(Path::new(root).join("cgroup.subtree_control"), "+memory");
            let path = Path::new(root).join(format!("santa-supervise-{}", std::process::id()));
            fs::create_dir(&path).ok()?;
            let group = Self(path);
            fs::write(group.0.join(limit), (64 << 20).to_string()).ok().map(|()| group)
        });
        assert!(found.is_some() || std::env::var_os("CI").is_none(), "no control group for memory");
        found
    }
}

impl Drop for LittleMemory {
    fn drop(&mut self) {
        let _ = fs::remove_dir(&self.0);
    }
}

#[test]
fn a_service_that_takes_all_memory_is_killed_alone_and_starts_again() {
    let Some(group) = LittleMemory::new() else { return };
    let mut supervisor = Supervisor::new("linux");
    let marker = supervisor.path("marker").display().to_string();
    supervisor = supervisor
        .service(
            "greedy",
            &[&format!("first-only {marker} hoard 200"), "forever"],
            "restart = \"always\"",
        )
        .service("app", &["forever"], "");
    let script = format!("echo $$ > {}/cgroup.procs; exec \"$@\"", group.0.display());
    let mut supervisor = supervisor.start_through("sh", &["-c", &script, "sh"]);
    supervisor.wait_for_control();
    supervisor.until("the greedy one was killed and is back", || {
        let greedy = supervisor.service_status("greedy");
        greedy["restarts"] == 1 && greedy["state"] == "ready"
    });
    assert_eq!(supervisor.service_status("greedy")["last_exit"], "ended by SIGKILL");
    let explained = supervisor.ctl_ok(&["explain", "greedy"]);
    assert!(explained.contains("probably out of memory"), "{explained}");
    assert_eq!(supervisor.service_status("app")["restarts"], 0, "its neighbor lives on");
    assert_eq!(supervisor.stop(), 0);
}
