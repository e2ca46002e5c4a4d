//! xtask from outside, in a clone of its own with fake slow downloads: what
//! happens when two run at once, when one is interrupted or killed, when the disk is
//! full, and when the program was compiled for another clone.

mod clone;
mod full_disk;
mod release;

use std::fs;
use std::process::Command;

use clone::{Clone, gone, text, wait_for};
use rustix::process::{Pid, Signal, kill_process};

const SLOW: &str = "echo $$ >\"$CLONE/pip.pid\"; exec sleep 300";

#[test]
fn ctrl_c_during_a_download_is_silent_and_ends_the_download() {
    for signal in [Signal::INT, Signal::TERM] {
        let clone = Clone::new();
        clone.python(SLOW);
        let child = clone.xtask(&["dev", "--port", "18601"]).spawn().expect("started");
        let download = clone.pid("pip.pid");
        let pid = Pid::from_raw(i32::try_from(child.id()).expect("small")).expect("a process");
        kill_process(pid, signal).expect("sent");
        let output = child.wait_with_output().expect("ended");
        assert_eq!(output.status.code(), Some(130), "{}", text(&output));
        // That the step has begun may have been said before.
        assert!(["", "… uv\n"].contains(&text(&output).as_str()), "{}", text(&output));
        wait_for("the download ends", || gone(download));
    }
}

#[test]
fn a_killed_xtask_leaves_no_download_running() {
    let clone = Clone::new();
    // The download has a child of its own, as npm has.
    // What is killed within the instant of a start is not what this is about.
    clone.python(
        "sleep 300 & echo $! >\"$CLONE/child.pid\"\nsleep 0.2; echo $$ >\"$CLONE/pip.pid\"; wait",
    );
    let mut child = clone.xtask(&["ci", "backend-types"]).spawn().expect("started");
    let (download, grandchild) = (clone.pid("pip.pid"), clone.pid("child.pid"));
    child.kill().expect("killed");
    child.wait().expect("ended");
    wait_for("the download ends", || gone(download));
    wait_for("its child ends", || gone(grandchild));
}

#[test]
fn two_commands_at_once_in_a_fresh_clone_make_each_folder_once() {
    let clone = Clone::new();
    // All that is fetched and made is slow, and notes that it was called.
    clone.program(
        "fake-uv",
        "for last; do :; done\ncase \"$1\" in\n\
         venv) echo venv >>\"$CLONE/calls\"; mkdir -p \"$last/bin\"; cp \"$CLONE/bin/env\" \"$last/bin/python\";;\n\
         pip) echo sync >>\"$CLONE/calls\"; sleep 0.3; echo >\"$CLONE/.dev/venv.partial/whole\";;\nesac\n",
    );
    clone.python(
        "while [ \"$1\" != --target ]; do shift; done\necho pip >>\"$CLONE/calls\"; sleep 0.3\n\
         mkdir -p \"$2/bin\"; cp \"$CLONE/bin/fake-uv\" \"$2/bin/uv\"",
    );
    let children = ["backend-types", "backend-format", "backend-types"]
        .map(|step| clone.xtask(&["ci", step]).spawn().expect("started"));
    let printed: Vec<String> =
        children.map(|child| text(&child.wait_with_output().expect("ended"))).into();
    let calls = fs::read_to_string(clone.path("calls")).expect("calls");
    let mut calls: Vec<&str> = calls.lines().collect();
    calls.sort_unstable();
    assert_eq!(calls, ["pip", "sync", "venv"], "{printed:?}");
    assert!(clone.path(".dev/venv/whole").exists(), "{printed:?}");
}

#[test]
fn a_program_that_several_clones_share_acts_on_the_one_it_is_called_in() {
    let (one, two) = (Clone::new(), Clone::new());
    for clone in [&one, &two] {
        fs::create_dir_all(clone.path(".dev/postgres")).expect("made");
    }
    // What cargo says goes before the working directory.
    let named = two.path("xtask");
    let output =
        one.xtask(&["db", "reset"]).env("CARGO_MANIFEST_DIR", &named).output().expect("ran");
    assert!(output.status.success(), "{}", text(&output));
    assert!(one.path(".dev/postgres").exists() && !two.path(".dev/postgres").exists());
    let output = one.xtask(&["db", "reset"]).output().expect("ran");
    assert!(output.status.success(), "{}", text(&output));
    assert!(!one.path(".dev/postgres").exists());
}

#[test]
fn a_vanished_clone_and_a_foreign_folder_are_errors() {
    let (clone, elsewhere) = (Clone::new(), tempfile::tempdir().expect("temporary folder"));
    let gone = elsewhere.path().join("gone/xtask");
    let output =
        clone.xtask(&["db", "stop"]).env("CARGO_MANIFEST_DIR", gone).output().expect("ran");
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output).contains("is gone"), "{}", text(&output));
    let output = clone.xtask(&["db", "stop"]).current_dir(elsewhere.path()).output().expect("ran");
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output).contains("not in a clone"), "{}", text(&output));
}

#[test]
fn a_number_that_another_process_has_now_is_left_alone() {
    let clone = Clone::new();
    fs::create_dir_all(clone.path(".dev/postgres")).expect("made");
    let mut other = Command::new("sleep").arg("300").spawn().expect("started");
    fs::write(clone.path(".dev/postgres/postmaster.pid"), format!("{}\n/data\n", other.id()))
        .expect("written");
    let stop = clone.xtask(&["db", "stop"]).output().expect("ran");
    assert!(stop.status.success() && text(&stop).contains("not running"), "{}", text(&stop));
    assert!(other.try_wait().expect("asked").is_none(), "it was ended");
    other.kill().expect("killed");
    other.wait().expect("ended");
}

#[test]
fn psql_reads_what_is_piped_in_and_gets_none_of_the_users_variables() {
    let clone = Clone::new();
    fs::create_dir_all(clone.path(".dev/postgres")).expect("made");
    // A process that works in the cluster's folder passes for its server.
    let mut server = Command::new("sleep")
        .arg("300")
        .current_dir(clone.path(".dev/postgres"))
        .spawn()
        .expect("started");
    fs::write(clone.path(".dev/postgres/postmaster.pid"), format!("{}\n", server.id()))
        .expect("written");
    clone.program("psql", "env; echo \"$@\"; cat\n");
    fs::write(clone.path("query"), "select 42").expect("written");
    let query = fs::File::open(clone.path("query")).expect("opened");
    let mut psql = clone.xtask(&["db", "psql", "--", "--csv"]);
    psql.env("PGPORT", "1").env("PGDATABASE", "other").stdin(query);
    let output = psql.output().expect("ran");
    server.kill().expect("killed");
    server.wait().expect("ended");
    let printed = text(&output);
    assert!(output.status.success(), "{printed}");
    assert!(printed.contains("select 42") && printed.contains("--csv santaserver"), "{printed}");
    assert!(!printed.contains("PGPORT") && !printed.contains("PGDATABASE"), "{printed}");
}

#[test]
fn repeated_checks_end_with_what_failed_how_often() {
    let clone = Clone::new();
    clone.python("echo \"FAILED tests/test_x.py::test_now_and_then - assert 1 == 2\"; exit 1");
    let repeated = ["ci", "--repeat", "3", "backend-types"];
    let once = clone.xtask(&repeated).output().expect("ran");
    assert_eq!(once.status.code(), Some(1), "{}", text(&once));
    assert!(text(&once).contains("round 1 of 3: FAILED"), "{}", text(&once));
    assert!(!text(&once).contains("round 2"), "{}", text(&once));
    let all = clone.xtask(&repeated).arg("--keep-going").output().expect("ran");
    let counted = "failed in 3 of 3  backend-types    tests/test_x.py::test_now_and_then\n";
    assert_eq!(all.status.code(), Some(1), "{}", text(&all));
    assert!(text(&all).contains(counted), "{}", text(&all));
    assert!(text(&all).contains("0 rounds passed, 3 failed"), "{}", text(&all));
    for round in 1..=3 {
        let file = format!(".dev/logs/repeat/round-{round}-backend-types.log");
        assert!(text(&all).contains(&format!("    round {round}    {file}\n")), "{}", text(&all));
        let output = fs::read_to_string(clone.path(&file)).expect("there");
        assert!(output.contains("test_now_and_then"), "{output}");
    }
}
