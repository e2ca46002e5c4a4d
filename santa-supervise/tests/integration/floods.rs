//! Sources that never rest: messages of strangers, clients that say or read
//! nothing, requests without end, a system that refuses. Whatever they do, a
//! client is answered and a stop is obeyed.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::process::Stdio;
use std::time::Duration;

use crate::support::refused::Refused;
use crate::support::{Supervisor, ticks};
use rustix::process::{Pid, Resource, Rlimit, prlimit};
use santa_supervise::os;

#[test]
fn a_flood_of_messages_of_strangers_and_of_its_own_stops_nothing() {
    let mut supervisor = Supervisor::new("linux")
        .service(
            "app",
            &[
                "variable NOTIFY_SOCKET {dir}/path",
                "wait-for {dir}/go",
                "notify READY=1",
                "forever",
            ],
            "ready = { kind = \"notify\" }",
        )
        .service(
            "flooding",
            &["variable NOTIFY_SOCKET {dir}/own", "notify-flood {dir}/own", "forever"],
            "ready = { kind = \"notify\" }",
        );
    for number in 0..12 {
        let steps = ["wait-for {dir}/path", "sleep 20", "notify-flood {dir}/path", "forever"];
        supervisor = supervisor.service(&format!("stranger{number}"), &steps, "");
    }
    let mut supervisor = supervisor.replacing_dir().start();
    supervisor.wait_for_state("flooding", "ready");
    assert_eq!(supervisor.state("app"), "starting", "nobody else can say that it is ready");
    assert_eq!(supervisor.service_status("flooding")["status_text"], "flooding");
    supervisor.ctl_ok(&["restart", "stranger1"]);
    fs::write(supervisor.path("go"), "").expect("go");
    supervisor.wait_for_state("app", "ready");
    assert_eq!(supervisor.service_status("app")["status_text"], serde_json::Value::Null);
    assert_eq!(supervisor.stop(), 0);
}

/// Connections that each have sent this, and stay.
fn many(supervisor: &Supervisor, text: &str) -> Vec<UnixStream> {
    (0..80).map(|_| supervisor.send(text.as_bytes())).collect()
}

#[test]
fn clients_that_stay_lock_nobody_out() {
    let mut supervisor = Supervisor::new("linux")
        .service("app", &["forever"], "")
        .service("slow", &["forever"], "ready = { kind = \"log\", pattern = \"never said\" }")
        .start();
    supervisor.wait_for_state("app", "ready");
    let texts = [
        "",
        "{\"op\":\"sta",
        "{\"op\":\"status\"}\n",
        "{\"op\":\"events\"}\n",
        "{\"op\":\"logs\",\"name\":null,\"lines\":9,\"follow\":true}\n{",
        "{\"op\":\"wait\",\"name\":\"slow\",\"ready\":true}\n",
        "\0\0\0\0\n{\"op\":",
    ];
    let mut all = Vec::new();
    for text in texts {
        all.push(many(&supervisor, text));
        assert_eq!(supervisor.state("app"), "ready");
        supervisor.ctl_ok(&["healthcheck"]);
        supervisor.ctl_ok(&["restart", "app"]);
    }
    drop(all);
    // Among silent ones, a follower stays for as long as there is one of them.
    let silent = many(&supervisor, "");
    let mut events = BufReader::new(supervisor.send(b"{\"op\":\"events\"}\n"));
    let more = many(&supervisor, "");
    supervisor.ctl_ok(&["restart", "app"]);
    let mut line = String::new();
    events.read_line(&mut line).expect("an event");
    assert!(line.contains("\"to\":\"stopping\""), "{line}");
    drop((silent, more));
    assert_eq!(supervisor.stop(), 0);
}

#[test]
fn requests_without_end_on_one_connection_stop_nobody_else() {
    let mut supervisor = Supervisor::new("linux").service("app", &["forever"], "").start();
    supervisor.wait_for_state("app", "ready");
    let greedy = supervisor.connect();
    let mut reader = greedy.try_clone().expect("descriptor");
    let mut writer = greedy.try_clone().expect("descriptor");
    let asking = std::thread::spawn(move || {
        let requests = "{\"op\":\"usage\"}\n{\"op\":\"metrics\"}\n".repeat(2_000);
        while writer.write_all(requests.as_bytes()).is_ok() {}
    });
    let reading = std::thread::spawn(move || {
        let mut buffer = [0; 65_536];
        while reader.read(&mut buffer).is_ok_and(|read| read > 0) {}
    });
    for _ in 0..5 {
        supervisor.ctl_ok(&["restart", "app"]);
    }
    assert_eq!(supervisor.stop(), 0);
    asking.join().expect("it ends with the connection");
    reading.join().expect("it ends with the connection");
}

#[test]
fn followers_that_never_read_share_one_budget() {
    let mut supervisor = Supervisor::new("linux")
        .service(
            "chatty",
            &[
                "wait-for {dir}/go",
                "flood 60000 a line that these followers never read at all",
                "print the end",
                "forever",
            ],
            "",
        )
        .replacing_dir()
        .start();
    supervisor.wait_for_state("chatty", "ready");
    let follow = b"{\"op\":\"logs\",\"name\":null,\"lines\":0,\"follow\":true}\n";
    let deaf: Vec<_> = (0..60).map(|_| supervisor.send(follow)).collect();
    supervisor.status();
    fs::write(supervisor.path("go"), "").expect("go");
    supervisor.until("everything came through", || {
        supervisor.ctl_ok(&["logs", "chatty", "-n", "1"]).contains("the end")
    });
    let about = fs::read_to_string(format!("/proc/{}/status", supervisor.pid())).expect("status");
    let peak = about.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("peak");
    let peak: u64 = peak.trim().trim_end_matches(" kB").parse().expect("a number");
    assert!(peak < 64 * 1024, "{peak} KiB at most");
    drop(deaf);
    assert_eq!(supervisor.stop(), 0);
}

#[test]
fn events_that_nobody_reads_are_bounded_and_counted() {
    let (read, write) = os::pipe().expect("pipe");
    let mut supervisor = Supervisor::new("linux")
        .extra("[supervisor.log]\nbuffer = \"64KiB\"")
        .service("app", &["forever"], "")
        .start_into(Stdio::from(write));
    supervisor.wait_for_state("app", "ready");
    // Each of these refusals is logged, with all errors.
    let wrong: String = (0..300).map(|number| format!("no_such_key_{number} = 1\n")).collect();
    fs::write(supervisor.path("santa.toml"), wrong + &supervisor.read("santa.toml"))
        .expect("configuration");
    let mut client = BufReader::new(supervisor.connect());
    for _ in 0..40 {
        client.get_mut().write_all(b"{\"op\":\"reload-config\"}\n").expect("request");
        client.read_line(&mut String::new()).expect("answer");
    }
    let mut client = supervisor.send(b"{\"op\":\"status\"}\n");
    let mut status = String::new();
    BufReader::new(&mut client).read_line(&mut status).expect("answer");
    let status: serde_json::Value = serde_json::from_str(&status).expect("JSON");
    assert!(status["supervisor"]["dropped_lines"].as_u64() > Some(0));
    let reader = std::thread::spawn(move || {
        let mut text = String::new();
        fs::File::from(read).read_to_string(&mut text).expect("read");
        text
    });
    assert_eq!(supervisor.stop(), 0);
    let log = reader.join().expect("the log");
    assert!(log.contains("lines of supervise: the reader of the log is too slow"), "{}", log.len());
}

#[test]
fn without_a_descriptor_even_to_turn_clients_away_it_does_not_spin() {
    let mut supervisor = Supervisor::new("linux").service("app", &["forever"], "").start();
    supervisor.wait_for_state("app", "ready");
    let limit = |current| {
        let limit = Rlimit { current: Some(current), maximum: Some(4_096) };
        prlimit(Pid::from_raw(supervisor.pid()), Resource::Nofile, limit).expect("prlimit");
    };
    limit(3);
    let _waiting: Vec<_> = (0..10).map(|_| supervisor.connect()).collect();
    let before = ticks(supervisor.pid());
    std::thread::sleep(Duration::from_millis(400));
    assert!(ticks(supervisor.pid()) - before < 20, "it used more than half of a processor");
    limit(1_024);
    supervisor.until("clients are served again", || supervisor.ctl(&["status"]).status.success());
    assert_eq!(supervisor.stop(), 0);
    let messages = supervisor.messages("supervise");
    let refusals = messages.iter().filter(|one| one.contains("cannot accept connections")).count();
    assert_eq!(refusals, 1, "{messages:?}");
}

#[test]
fn a_refusal_to_accept_for_another_reason_does_not_make_it_spin() {
    for error in [libc::ENOMEM, libc::ENOBUFS, libc::EPERM, libc::EPROTO] {
        let mut supervisor = Supervisor::new("linux").service("app", &["forever"], "");
        supervisor =
            supervisor.start_refusing(Refused { call: libc::SYS_accept, first: None, error });
        supervisor.wait_for_control();
        supervisor.until("it is told", || supervisor.log().contains("cannot accept connections"));
        let before = ticks(supervisor.pid());
        std::thread::sleep(Duration::from_millis(200));
        assert!(ticks(supervisor.pid()) - before < 10, "it used more than half of a processor");
        assert_eq!(supervisor.stop(), 0);
    }
}

#[test]
fn a_refused_subreaper_is_told() {
    let first = Some(libc::PR_SET_CHILD_SUBREAPER.cast_unsigned());
    let refused = Refused { call: libc::SYS_prctl, first, error: libc::EPERM };
    let mut supervisor =
        Supervisor::new("linux").service("app", &["forever"], "").start_refusing(refused);
    supervisor.wait_for_state("app", "ready");
    assert_eq!(supervisor.stop(), 0);
    let messages = supervisor.messages("supervise");
    assert!(
        messages.iter().any(|one| one.contains("orphans of services cannot be taken in")),
        "{messages:?}"
    );
}

#[test]
fn a_log_that_is_gone_is_told_where_someone_may_still_read() {
    let (read, write) = os::pipe().expect("pipe");
    drop(read);
    let mut supervisor = Supervisor::new("linux")
        .service("app", &["print one", "print two", "forever"], "")
        .start_into(Stdio::from(write));
    supervisor.wait_for_state("app", "ready");
    supervisor.until("it is told", || supervisor.errors().contains("Broken pipe"));
    assert!(supervisor.errors().contains("the log cannot be written to standard output"));
    assert_eq!(supervisor.errors().lines().count(), 1, "once: {}", supervisor.errors());
    assert!(supervisor.status()["supervisor"]["dropped_lines"].as_u64() >= Some(2));
    assert_eq!(supervisor.stop(), 0);
}
