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
use crate::support::{House, holds_in_time, is_alive};
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
    let mut house = House::new("linux");
    let marker = house.path("marker").display().to_string();
    house = house
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
    let (house, orders) = with_odd_clock(house);
    let mut house = house.start();
    house.wait_for_state("patient", "backoff");
    house.wait_for_state("stubborn", "ready");
    for (restarts, shift) in [(1, DAY), (2, -DAY), (3, 400 * DAY)] {
        order(&orders, &format!("shift {shift}"));
        house.ctl_ok(&["signal", "app", "KILL"]);
        house.until("it starts again", || house.service_status("app")["restarts"] == restarts);
        house.ctl_ok(&["restart", "stubborn"]);
        assert_eq!(house.service_status("stubborn")["last_exit"], "ended by SIGKILL");
        assert_eq!(house.state("patient"), "backoff", "an hour has not passed");
    }
    assert_eq!(house.stop(), 0);
    let years: std::collections::BTreeSet<String> = house
        .records()
        .iter()
        .map(|record| record["ts"].as_str().expect("ts")[..10].to_owned())
        .collect();
    assert_eq!(years.len(), 4, "the jumps were seen: {years:?}");
}

#[test]
fn a_stranger_with_a_number_that_was_ours_is_left_alone() {
    let mut house = House::new("linux");
    let dir = house.dir.path().display().to_string();
    // A leftover in a session of its own keeps the tree from being gone, while
    // nothing holds the number of its main process any more.
    house = house
        .service(
            "app",
            &[
                &format!("pid {dir}/main"),
                &format!("child setsid; ignore-term; pid {dir}/stray; forever"),
                &format!("wait-for {dir}/stray"),
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
    let Some((mut house, pid_1)) = as_pid_1(house) else { return };
    let (main, stray) = (house.number_in("main"), house.number_in("stray"));
    let lives = |number: i32| {
        let stat = fs::read_to_string(format!("/proc/{pid_1}/root/proc/{number}/stat"));
        stat.is_ok_and(|stat| !stat.contains(") Z "))
    };
    house.until("its main process is gone", || !lives(main));
    // The next process of the namespace gets that number.
    let choose = format!("echo {} > /proc/sys/kernel/ns_last_pid; echo > {dir}/go", main - 1);
    let inside = pid_1.to_string();
    let chosen =
        Command::new("nsenter").args(["-t", &inside, "-p", "-m", "sh", "-c", &choose]).status();
    assert!(chosen.expect("nsenter runs").success());
    assert_eq!(house.number_in("stranger"), main, "the number has come again");
    house.wait_for_state("app", "failed");
    assert!(!lives(stray), "what is its own is gone");
    assert!(lives(main), "the stranger lives on");
    signal(pid_1, Signal::TERM);
    assert_eq!(house.wait().code(), Some(0));
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
    let mut house = House::new("linux").service("app", &["forever"], "").start();
    house.wait_for_state("app", "ready");
    let open = |path: &Path, mode| {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("chmod");
    };
    open(house.dir.path(), 0o711);
    let path = house.path("control.sock");
    let refused = ask_as(STRANGER, &path).expect_err("the file is closed to others");
    assert_eq!(refused.kind(), std::io::ErrorKind::PermissionDenied);
    // Even where somebody opens the file.
    open(&path, 0o666);
    let refused = ask_as(STRANGER, &path).expect("an answer");
    assert!(refused.contains("only root and the user of santa-supervise may command it"));
    assert_eq!(house.state("app"), "ready", "it was not stopped");
    assert!(ask_as(0, &path).expect("an answer").contains("\"ok\":true"), "root may");
    assert_eq!(house.stop(), 0);
    assert!(house.log().contains("a client of another user was refused"));
}

#[test]
fn started_without_standard_descriptors_it_works_and_so_do_its_services() {
    let mut house = House::new("linux");
    let file = house.path("state").display().to_string();
    house = house.service(
        "app",
        &[&format!("state {file}"), "print done", "forever"],
        "ready = { kind = \"log\", pattern = \"done\" }",
    );
    let closed = "exec \"$@\" <&- >&- 2>&-";
    let mut house = house.start_through("sh", &["-c", closed, "sh"]);
    house.wait_for_state("app", "ready");
    assert!(house.read("state").contains("fds [0, 1, 2]\n"), "{}", house.read("state"));
    house.ctl_ok(&["restart", "app"]);
    assert_eq!(house.stop(), 0);
}

#[test]
fn a_readiness_path_that_is_a_directory_is_a_reason_and_not_the_end() {
    let mut house = House::new("linux");
    let dir = house.dir.path().display().to_string();
    house = house
        .service("app", &["forever"],
            &format!("ready = {{ kind = \"unix\", path = \"{dir}\" }}\nstart_timeout = \"300ms\"\nstart_retries = 0"))
        .service("other", &["forever"], "")
        .start();
    house.wait_for_state("app", "failed");
    let log = house.ctl_ok(&["logs", "supervise", "-n", "100"]);
    assert!(log.contains("not ready within 300ms"), "{log}");
    assert_eq!(house.state("other"), "ready");
    assert_eq!(house.stop(), 0);
}

#[test]
fn an_error_output_that_takes_nothing_does_not_change_the_exit_code() {
    let house = House::new("linux").service("app", &["forever"], "unknown_key = 1");
    house.write();
    let full = fs::OpenOptions::new().write(true).open("/dev/full").expect("/dev/full");
    let status = house.command().arg("check").stderr(full).status();
    assert_eq!(status.expect("it runs").code(), house.ctl(&["check"]).status.code());
}

/// Lets santa-supervise panic at its next look at the clock.
fn break_clock(orders: &Path, house: &House, inner: i32) {
    order(orders, &format!("break {inner}"));
    // Whatever it does next takes the time.
    let _ = house.ctl(&["status"]);
}

#[test]
fn a_defect_of_our_own_ends_all_services_and_says_so() {
    let mut house = House::new("linux");
    let dir = house.dir.path().display().to_string();
    house = house.service(
        "app",
        &[
            &format!("child setsid; ignore-term; pid {dir}/stray; forever"),
            "ignore-term",
            "forever",
        ],
        "",
    );
    let (house, orders) = with_odd_clock(house);
    let mut house = house.start();
    house.wait_for_state("app", "ready");
    let (main, stray) = (house.service_pid("app"), house.number_in("stray"));
    break_clock(&orders, &house, house.pid());
    assert_eq!(house.wait().code(), Some(70));
    assert!(house.errors().contains("an internal error in santa-supervise"), "{}", house.errors());
    assert!(holds_in_time(|| !is_alive(main) && !is_alive(stray)));
}

#[test]
fn a_defect_of_our_own_ends_pid_1_too() {
    let house = House::new("linux").service("app", &["ignore-term", "forever"], "");
    let (house, orders) = with_odd_clock(house);
    let Some((mut house, _)) = as_pid_1(house) else { return };
    house.wait_for_state("app", "ready");
    break_clock(&orders, &house, 1);
    assert_eq!(house.wait().code(), Some(70));
}
