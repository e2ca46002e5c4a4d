//! Many services, and many restarts.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;

use crate::support::Supervisor;
use serde_json::Value;

/// Restarts by command before anything is measured, and after.
const WARM_UP: usize = 1_000;
const RESTARTS: usize = 10_000;

/// What an allocator may round up to, in KiB; one leaked line a restart is more.
const ROUNDING: u64 = 512;

#[test]
fn a_hundred_services_start_and_stop() {
    let mut supervisor = Supervisor::new("linux");
    for number in 0..100 {
        let needs = if number == 0 { "" } else { "depends_on = [\"s0\"]" };
        supervisor = supervisor.service(&format!("s{number}"), &["print hello", "forever"], needs);
    }
    supervisor = supervisor.start();
    supervisor.wait_for_control();
    let ready = |supervisor: &Supervisor| {
        let status = supervisor.status();
        let all = status["services"].as_array().expect("services");
        all.iter().filter(|one| one["state"] == "ready").count()
    };
    supervisor.until("all are ready", || ready(&supervisor) == 100);
    supervisor.ctl_ok(&["restart", "s99"]);
    assert_eq!(ready(&supervisor), 100);
    assert_eq!(supervisor.stop(), 0);
    for number in 0..100 {
        assert!(
            supervisor.messages(&format!("s{number}")).contains(&"hello".to_owned()),
            "s{number}"
        );
    }
}

/// One connection for all commands.
struct Client(BufReader<UnixStream>);

impl Client {
    fn ask(&mut self, request: &str) -> Value {
        writeln!(self.0.get_mut(), "{request}").expect("request");
        let mut answer = String::new();
        self.0.read_line(&mut answer).expect("answer");
        serde_json::from_str(&answer).expect("JSON")
    }

    fn restart(&mut self, name: &str) {
        let answer = self.ask(&format!("{{\"op\":\"restart\",\"name\":\"{name}\"}}"));
        assert_eq!(answer["ok"], true, "{answer}");
    }
}

/// Resident memory in KiB, and open descriptors.
fn size(pid: i32) -> (u64, usize) {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("status");
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("VmRSS");
    let kib = line.split_whitespace().nth(1).expect("number").parse().expect("number");
    (kib, fs::read_dir(format!("/proc/{pid}/fd")).expect("descriptors").count())
}

#[test]
fn ten_thousand_restarts_leave_no_memory_and_no_descriptor_behind() {
    let mut supervisor = Supervisor::new("linux")
        .socket("main")
        .service("app", &["print hello", "forever"], "sockets = [\"main\"]")
        .service("logger", &["flood 20 a line like those of a real service", "forever"], "")
        // Ends by itself, again and again.
        .service("crash", &["print hello", "exit 1"],
            "restart = \"always\"\nstart_retries = 1000000\nbackoff = { initial = \"50ms\", max = \"50ms\" }")
        .start();
    let names = ["app", "logger"];
    supervisor.wait_for_state("app", "ready");
    supervisor.wait_for_state("logger", "ready");
    let mut client = Client(BufReader::new(supervisor.connect()));
    for round in 0..WARM_UP {
        client.restart(names[round % 2]);
    }
    let before = size(supervisor.pid());
    for round in 0..RESTARTS {
        client.restart(names[round % 2]);
    }
    // The pipes of the last ones that ended are closed soon.
    let mut after = size(supervisor.pid());
    supervisor.until("every descriptor is closed", || {
        after = size(supervisor.pid());
        after.1 <= before.1
    });
    println!("{before:?} before, {after:?} after (KiB, descriptors)");
    assert!(after.0 <= before.0 + ROUNDING, "{} KiB grew to {}", before.0, after.0);
    assert_eq!(supervisor.stop(), 0);
}
