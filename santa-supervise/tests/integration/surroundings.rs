//! What is odd around santa-supervise: clocks, process numbers, users,
//! descriptors, and at last santa-supervise itself.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::Command;

use crate::support::preload::with_odd_clock;
use crate::support::privileged::{as_pid_1, is_root};
use crate::support::{Supervisor, holds_in_time, is_alive};
use rustix::process::{Pid, Signal, Uid};

/// The clock is read in one go, so it must be written in one go.
fn order(orders: &Path, order: &str) {
    let next = orders.with_extension("next");
    fs::write(&next, order).expect("order");
    fs::rename(&next, orders).expect("order");
}

#[test]
fn no_wait_is_shorter_or_longer_when_the_wall_clock_jumps() {
    const DAY: i64 = 86_400;
    let mut supervisor = Supervisor::new("linux");
    let marker = supervisor.path("marker").display().to_string();
    supervisor = supervisor
        .service(
            "patient",
            &[&format!("fail-once {marker}"), "forever"],
            "restart = \"always\"\nbackoff = { initial = \"1h\", max = \"1h\" }",
        )
        .service(
            "app",
            &["forever"],
            "restart = \"always\"\nbackoff = { initial = \"20ms\", max = \"20ms\" }",
        )
        .service(
            "stubborn",
            &["ignore-term", "print deaf", "forever"],
            "ready = { kind = \"log\", pattern = \"deaf\" }\nstop_timeout = \"200ms\"",
        );
    let (supervisor, orders) = with_odd_clock(supervisor);
    let mut supervisor = supervisor.start();
    supervisor.wait_for_state("patient", "backoff");
    supervisor.wait_for_state("stubborn", "ready");
    for (restarts, shift) in [(1, DAY), (2, -DAY), (3, 400 * DAY)] {
        order(&orders, &format!("shift {shift}"));
        supervisor.ctl_ok(&["signal", "app", "KILL"]);
        supervisor
            .until("it starts again", || supervisor.service_status("app")["restarts"] == restarts);
        supervisor.ctl_ok(&["restart", "stubborn"]);
        assert_eq!(supervisor.service_status("stubborn")["last_exit"], "ended by SIGKILL");
        assert_eq!(supervisor.state("patient"), "backoff", "an hour has not passed");
    }
    assert_eq!(supervisor.stop(), 0);
    let years: std::collections::BTreeSet<String> = supervisor
        .records()
        .iter()
        .map(|record| record["ts"].as_str().expect("ts")[..10].to_owned())
        .collect();
    assert_eq!(years.len(), 4, "the jumps were seen: {years:?}");
}

#[test]
fn a_stranger_with_a_number_that_was_ours_is_left_alone() {
    let mut supervisor = Supervisor::new("linux");
    let dir = supervisor.dir.path().display().to_string();
    // A leftover in a session of its own keeps the tree from being gone, while
    // nothing holds the number of its main process any more.
    supervisor = supervisor
        .service(
            "app",
            &[
                &format!("pid {dir}/main"),
                &format!("child setsid; ignore-term; pid {dir}/orphan; forever"),
                &format!("wait-for {dir}/orphan"),
                "exit 3",
            ],
            "restart = \"never\"",
        )
        .service(
            "other",
            &[
                &format!("wait-for {dir}/go"),
                &format!("child setsid; ignore-term; pid {dir}/stranger; forever"),
                "forever",
            ],
            "",
        );
    let Some((mut supervisor, pid_1)) = as_pid_1(supervisor) else { return };
    let (main, orphan) = (supervisor.number_in("main"), supervisor.number_in("orphan"));
    let lives = |number: i32| {
        let stat = fs::read_to_string(format!("/proc/{pid_1}/root/proc/{number}/stat"));
        stat.is_ok_and(|stat| !stat.contains(") Z "))
    };
    supervisor.until("its main process is gone", || !lives(main));
    // The next process of the namespace gets that number.
    let choose = format!("echo {} > /proc/sys/kernel/ns_last_pid; echo > {dir}/go", main - 1);
    let inside = pid_1.to_string();
    let chosen =
        Command::new("nsenter").args(["-t", &inside, "-p", "-m", "sh", "-c", &choose]).status();
    assert!(chosen.expect("nsenter runs").success());
    assert_eq!(supervisor.number_in("stranger"), main, "the number has come again");
    supervisor.wait_for_state("app", "failed");
    assert!(!lives(orphan), "what is its own is gone");
    assert!(lives(main), "the stranger lives on");
    signal(pid_1, Signal::TERM);
    assert_eq!(supervisor.wait().code(), Some(0));
}

fn signal(pid: i32, signal: Signal) {
    rustix::process::kill_process(Pid::from_raw(pid).expect("pid"), signal).expect("kill");
}

/// Speaks to the control socket as another user; gives the first line of the
/// answer.
fn ask_as(uid: u32, path: &Path) -> std::io::Result<String> {
    std::thread::scope(|scope| {
        let client = scope.spawn(|| {
            // Of this thread alone, which ends with it.
            rustix::thread::set_thread_res_uid(None, Some(Uid::from_raw(uid)), None)?;
            let mut stream = UnixStream::connect(path)?;
            // A refusal may come, and the connection end, before this is written.
            let _ = stream.write_all(b"{\"op\":\"stop\",\"name\":\"app\"}\n");
            let mut answer = String::new();
            BufReader::new(stream).read_line(&mut answer)?;
            Ok(answer)
        });
        client.join().expect("no panic")
    })
}

#[test]
fn a_client_of_another_user_is_refused_by_the_file_and_by_its_credentials() {
    if !is_root() {
        return;
    }
    const STRANGER: u32 = 54_349;
    let mut supervisor = Supervisor::new("linux").service("app", &["forever"], "").start();
    supervisor.wait_for_state("app", "ready");
    let open = |path: &Path, mode| {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("chmod");
    };
    open(supervisor.dir.path(), 0o711);
    let path = supervisor.path("control.sock");
    let refused = ask_as(STRANGER, &path).expect_err("the file is closed to others");
    assert_eq!(refused.kind(), std::io::ErrorKind::PermissionDenied);
    // Even where someone opens the file.
    open(&path, 0o666);
    let refused = ask_as(STRANGER, &path).expect("an answer");
    assert!(refused.contains("only root and the user of santa-supervise may command it"));
    assert_eq!(supervisor.state("app"), "ready", "it was not stopped");
    assert!(ask_as(0, &path).expect("an answer").contains("\"ok\":true"), "root may");
    assert_eq!(supervisor.stop(), 0);
    assert!(supervisor.log().contains("a client of another user was refused"));
}

#[test]
fn started_without_standard_descriptors_it_works_and_so_do_its_services() {
    let mut supervisor = Supervisor::new("linux");
    let file = supervisor.path("state").display().to_string();
    supervisor = supervisor.service(
        "app",
        &[&format!("state {file}"), "print done", "forever"],
        "ready = { kind = \"log\", pattern = \"done\" }",
    );
    let closed = "exec \"$@\" <&- >&- 2>&-";
    let mut supervisor = supervisor.start_through("sh", &["-c", closed, "sh"]);
    supervisor.wait_for_state("app", "ready");
    assert!(supervisor.read("state").contains("fds [0, 1, 2]\n"), "{}", supervisor.read("state"));
    supervisor.ctl_ok(&["restart", "app"]);
    assert_eq!(supervisor.stop(), 0);
}

#[test]
fn a_readiness_path_that_is_a_directory_is_a_reason_and_not_the_end() {
    let mut supervisor = Supervisor::new("linux");
    let dir = supervisor.dir.path().display().to_string();
    supervisor = supervisor
        .service("app", &["forever"],
            &format!("ready = {{ kind = \"unix\", path = \"{dir}\" }}\nstart_timeout = \"300ms\"\nstart_retries = 0"))
        .service("other", &["forever"], "")
        .start();
    supervisor.wait_for_state("app", "failed");
    let log = supervisor.ctl_ok(&["logs", "supervise", "-n", "100"]);
    assert!(log.contains("not ready within 300ms"), "{log}");
    assert_eq!(supervisor.state("other"), "ready");
    assert_eq!(supervisor.stop(), 0);
}

#[test]
fn an_error_output_that_takes_nothing_does_not_change_the_exit_code() {
    let supervisor = Supervisor::new("linux").service("app", &["forever"], "unknown_key = 1");
    supervisor.write();
    let full = fs::OpenOptions::new().write(true).open("/dev/full").expect("/dev/full");
    let status = supervisor.command().arg("check").stderr(full).status();
    assert_eq!(status.expect("it runs").code(), supervisor.ctl(&["check"]).status.code());
}

/// Lets santa-supervise panic at its next look at the clock.
fn break_clock(orders: &Path, supervisor: &Supervisor, inner: i32) {
    order(orders, &format!("break {inner}"));
    // Whatever it does next takes the time.
    let _ = supervisor.ctl(&["status"]);
}

#[test]
fn a_defect_of_our_own_ends_all_services_and_says_so() {
    let mut supervisor = Supervisor::new("linux");
    let dir = supervisor.dir.path().display().to_string();
    supervisor = supervisor.service(
        "app",
        &[
            &format!("child setsid; ignore-term; pid {dir}/orphan; forever"),
            "ignore-term",
            "forever",
        ],
        "",
    );
    let (supervisor, orders) = with_odd_clock(supervisor);
    let mut supervisor = supervisor.start();
    supervisor.wait_for_state("app", "ready");
    let (main, orphan) = (supervisor.service_pid("app"), supervisor.number_in("orphan"));
    break_clock(&orders, &supervisor, supervisor.pid());
    assert_eq!(supervisor.wait().code(), Some(70));
    assert!(
        supervisor.errors().contains("an internal error in santa-supervise"),
        "{}",
        supervisor.errors()
    );
    assert!(holds_in_time(|| !is_alive(main) && !is_alive(orphan)));
}

#[test]
fn a_defect_of_our_own_ends_pid_1_too() {
    let supervisor = Supervisor::new("linux").service("app", &["ignore-term", "forever"], "");
    let (supervisor, orders) = with_odd_clock(supervisor);
    let Some((mut supervisor, _)) = as_pid_1(supervisor) else { return };
    supervisor.wait_for_state("app", "ready");
    break_clock(&orders, &supervisor, 1);
    assert_eq!(supervisor.wait().code(), Some(70));
}
