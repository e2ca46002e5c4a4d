//! The control socket and the commands that use it.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;

use crate::support::{Supervisor, text};
use serde_json::Value;

fn running(os: &str) -> Supervisor {
    let supervisor = Supervisor::new(os)
        .service(
            "app",
            &["print hello", "forever"],
            "critical = true\nready = { kind = \"log\", pattern = \"hello\" }",
        )
        .service("other", &["forever"], "")
        .start();
    supervisor.wait_for_state("app", "ready");
    supervisor.wait_for_state("other", "ready");
    supervisor
}

on_every_os! {
    fn status_has_the_documented_shape(os) {
        let mut supervisor = running(os);
        let status = supervisor.status();
        let app = &status["services"][0];
        for key in ["name", "instance", "kind", "state", "pid", "generation", "restarts", "since", "last_exit", "why", "critical"] {
            assert!(app.get(key).is_some(), "{key} is missing: {app}");
        }
        assert_eq!((&app["name"], &app["kind"], &app["state"]), (&"app".into(), &"daemon".into(), &"ready".into()));
        let table = supervisor.ctl_ok(&["status"]);
        assert!(table.starts_with("SERVICE  STATE"), "{table}");
        assert_eq!(supervisor.stop(), 0);
    }

    fn an_unknown_name_is_answered_with_the_known_ones(os) {
        let mut supervisor = running(os);
        for command in ["start", "stop", "restart", "reload"] {
            let output = supervisor.ctl(&[command, "ap"]);
            assert_eq!(output.status.code(), Some(1));
            let problem = text(&output.stderr);
            assert!(problem.contains("\"ap\"") && problem.contains("app, other"), "{problem}");
        }
        assert_eq!(supervisor.ctl(&["signal", "app", "NOPE"]).status.code(), Some(1));
        assert_eq!(supervisor.ctl(&["logs", "ap"]).status.code(), Some(1));
        assert_eq!(supervisor.stop(), 0);
    }

    fn logs_and_events_can_be_followed(os) {
        let mut supervisor = running(os);
        let lines = supervisor.ctl_ok(&["logs", "app", "-n", "1", "--json"]);
        let record: Value = serde_json::from_str(&lines).expect("one record");
        assert_eq!(record["message"], "hello");

        let mut events = BufReader::new(supervisor.send(b"{\"op\":\"events\"}\n"));
        let mut lines = BufReader::new(supervisor.send(b"{\"op\":\"logs\",\"name\":\"app\",\"lines\":0,\"follow\":true}\n"));
        // Both are followed once a later request is answered.
        supervisor.status();
        supervisor.ctl_ok(&["restart", "app"]);
        let mut line = String::new();
        lines.read_line(&mut line).expect("a line");
        assert!(line.contains("hello"), "{line}");
        let mut seen = Vec::new();
        while seen.last().is_none_or(|state| state != "ready") {
            let mut line = String::new();
            events.read_line(&mut line).expect("an event");
            let event: Value = serde_json::from_str(&line).expect("JSON");
            seen.push(event["to"].as_str().expect("state").to_owned());
        }
        assert_eq!(seen, ["stopping", "starting", "ready"]);
        assert_eq!(supervisor.stop(), 0);
    }

    fn health_is_an_exit_code(os) {
        let mut supervisor = running(os);
        assert_eq!(supervisor.ctl(&["healthcheck"]).status.code(), Some(0));
        assert_eq!(supervisor.ctl(&["healthcheck", "--ready"]).status.code(), Some(0));
        supervisor.ctl_ok(&["stop", "other"]);
        assert_eq!(supervisor.ctl(&["healthcheck", "--ready"]).status.code(), Some(0), "stopped on request");
        assert_eq!(supervisor.stop(), 0);
        assert_eq!(supervisor.ctl(&["healthcheck"]).status.code(), Some(1));
    }

    fn a_closed_or_full_output_of_a_command_is_no_panic(os) {
        let mut supervisor = running(os);
        let commands: [&[&str]; 14] = [
            &["status"], &["status", "--json"], &["explain", "app"], &["explain", "app", "--json"],
            &["metrics"], &["check"], &["check", "--json"], &["logs"], &["logs", "-f", "--json"],
            &["top", "--once"], &["top"], &["healthcheck"], &["restart", "other"], &["wait", "app"],
        ];
        for arguments in commands {
            let (read, write) = santa_supervise::os::pipe().expect("pipe");
            drop(read);
            let output = supervisor.command().args(arguments).stdout(write).output().expect("it runs");
            let errors = text(&output.stderr);
            assert_eq!((output.status.code(), &*errors), (Some(0), ""), "{arguments:?}");
        }
        let full = || std::fs::OpenOptions::new().write(true).open("/dev/full").expect("/dev/full");
        if cfg!(target_os = "linux") {
            for arguments in &commands[..8] {
                let output = supervisor.command().args(*arguments).stdout(full()).output().expect("it runs");
                let errors = text(&output.stderr);
                assert_eq!(output.status.code(), Some(1), "{arguments:?}: {errors}");
                assert!(errors.contains("cannot write to standard output"), "{arguments:?}: {errors}");
            }
        }
        // Neither does a complaint that nobody takes.
        let (read, write) = santa_supervise::os::pipe().expect("pipe");
        drop(read);
        let status = supervisor.command().args(["restart", "nobody"]).stderr(write).status();
        assert_eq!(status.expect("it runs").code(), Some(1));
        assert_eq!(supervisor.stop(), 0);
    }

    fn without_a_supervisor_commands_say_so(os) {
        let supervisor = Supervisor::new(os).service("app", &["forever"], "");
        supervisor.write();
        let output = supervisor.ctl(&["status"]);
        assert_eq!(output.status.code(), Some(4));
        assert!(text(&output.stderr).contains("no santa-supervise answers on"), "{}", text(&output.stderr));
    }

    fn a_command_that_takes_too_long_ends_with_its_own_code(os) {
        let mut supervisor = Supervisor::new(os)
            .service("slow", &["forever"], "ready = { kind = \"log\", pattern = \"never said\" }")
            .start();
        supervisor.wait_for_state("slow", "starting");
        assert_eq!(supervisor.ctl(&["start", "slow", "--timeout", "0.1"]).status.code(), Some(5));
        assert_eq!(supervisor.stop(), 0);
    }

    fn a_supervisor_that_takes_no_connections_is_not_waited_for_without_end(os) {
        let supervisor = Supervisor::new(os).service("app", &["forever"], "");
        supervisor.write();
        // Nobody accepts: after some connections its queue is full.
        let path = supervisor.path("control.sock");
        let _deaf = std::os::unix::net::UnixListener::bind(&path).expect("bind");
        let mut waiting = Vec::new();
        let address = santa_config::Address::Unix(path.clone());
        loop {
            let one = santa_supervise::readiness::socket_to(&address).expect("socket");
            if santa_supervise::readiness::connect_path(one.as_fd(), &path).is_err() {
                break;
            }
            waiting.push(one);
        }
        for command in [["restart", "app"], ["wait", "app"], ["start", "app"]] {
            let output = supervisor.ctl(&[&command[..], &["--timeout", "0.2"]].concat());
            assert_eq!(output.status.code(), Some(5), "{}", text(&output.stderr));
        }
    }

    fn odd_clients_disturb_nobody(os) {
        let mut supervisor = running(os);
        let answer = |text: &[u8]| {
            let mut answer = String::new();
            BufReader::new(supervisor.send(text)).read_line(&mut answer).expect("an answer");
            answer
        };
        assert!(answer(b"nonsense\n").contains("invalid request"));
        assert!(answer(b"{\"op\":\"dance\"}\n").contains("invalid request"));
        assert!(answer(b"\xff\xfe\n").contains("invalid request"));

        // Half a request, then silence; a request and no interest in the answer.
        let _half = supervisor.send(b"{\"op\":\"sta");
        drop(supervisor.send(b"{\"op\":\"restart\",\"name\":\"other\"}\n"));

        // A request without end is cut off.
        let mut endless = supervisor.connect();
        let mut refused = false;
        for _ in 0..1_000 {
            refused |= endless.write_all(&[b'x'; 4_096]).is_err();
        }
        let mut rest = Vec::new();
        let _ = endless.read_to_end(&mut rest);
        assert!(refused || text(&rest).contains("too long"));

        // More connections than there is room for.
        let path = supervisor.path("control.sock");
        let many: Vec<UnixStream> = (0..200).filter_map(|_| UnixStream::connect(&path).ok()).collect();
        drop(many);
        supervisor.until("others are served", || supervisor.ctl(&["status"]).status.success());
        supervisor.wait_for_state("other", "ready");
        assert_eq!(supervisor.stop(), 0);
    }

    fn a_follower_that_never_reads_is_dropped(os) {
        let mut supervisor = Supervisor::new(os)
            .service("chatty", &["wait-for {dir}/go", "flood 200000 a line that this follower never reads at all", "print the end", "forever"], "")
            .service("other", &["forever"], "");
        let go = supervisor.path("go");
        supervisor = supervisor.replacing_dir().start();
        supervisor.wait_for_state("chatty", "ready");
        let _deaf = supervisor.send(b"{\"op\":\"logs\",\"name\":null,\"lines\":0,\"follow\":true}\n");
        supervisor.status();
        std::fs::write(go, "").expect("go");
        supervisor.until("everything came through", || {
            supervisor.ctl_ok(&["logs", "chatty", "-n", "1"]).contains("the end")
        });
        supervisor.ctl_ok(&["restart", "other"]);
        assert_eq!(supervisor.stop(), 0);
    }
}
