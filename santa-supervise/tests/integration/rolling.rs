//! A rolling restart: the next process serves before the old one stops.

use std::collections::BTreeSet;
use std::fs;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::support::{Supervisor, holds_in_time, is_alive, text};

const LISTENS: &str =
    "sockets = [\"app\"]\nready = { kind = \"listen\", socket = \"app\" }\nstop_timeout = \"20s\"";

/// Sends requests until told to stop; gives the processes that answered.
/// Panics at the first one that fails.
fn load(path: &Path, keep_alive: bool, done: &AtomicBool) -> BTreeSet<i32> {
    let mut pids = BTreeSet::new();
    let mut connection: Option<UnixStream> = None;
    while !done.load(Ordering::SeqCst) {
        let mut stream = connection
            .take()
            .unwrap_or_else(|| UnixStream::connect(path).expect("connection refused"));
        let (pid, stays) = ask(&mut stream, keep_alive).expect("request lost");
        pids.insert(pid);
        connection = (keep_alive && stays).then_some(stream);
    }
    pids
}

/// One request; whether the connection may be used again.
fn ask(stream: &mut UnixStream, keep_alive: bool) -> std::io::Result<(i32, bool)> {
    let kind = if keep_alive { "keep-alive" } else { "close" };
    stream.write_all(format!("GET / HTTP/1.1\r\nConnection: {kind}\r\n\r\n").as_bytes())?;
    let mut answer = Vec::new();
    let mut buffer = [0u8; 512];
    loop {
        let read = stream.read(&mut buffer)?;
        answer.extend_from_slice(&buffer[..read]);
        let whole = text(&answer);
        let parts = whole.split_once("\r\n\r\n").and_then(|(head, body)| {
            let length = head.split("Content-Length: ").nth(1)?.split("\r\n").next()?;
            (length.parse() == Ok(body.len())).then(|| (body.parse(), head.contains("keep-alive")))
        });
        match parts {
            Some((pid, stays)) => return Ok((pid.expect("a pid"), stays)),
            None if read == 0 => return Err(std::io::ErrorKind::UnexpectedEof.into()),
            None => {}
        }
    }
}

on_every_os! {
    fn no_request_is_lost_in_rolling_restarts_under_load(os) {
        let mut supervisor = Supervisor::new(os)
            .socket("app")
            .service("app", &["sleep 30", "serve-draining app"], LISTENS)
            .start();
        supervisor.wait_for_state("app", "ready");
        let path = supervisor.path("app.sock");
        let done = AtomicBool::new(false);
        let pids = std::thread::scope(|scope| {
            let clients: Vec<_> = [true, false, true, false]
                .into_iter()
                .map(|keep_alive| {
                    let (path, done) = (&path, &done);
                    scope.spawn(move || load(path, keep_alive, done))
                })
                .collect();
            for _ in 0..8 {
                supervisor.ctl_ok(&["rolling-restart", "app"]);
            }
            done.store(true, Ordering::SeqCst);
            let answered = clients.into_iter().map(|client| client.join().expect("no request lost"));
            answered.flatten().collect::<BTreeSet<i32>>()
        });
        // Where nobody can tell who listens, some are replaced before they serve.
        assert!(pids.len() >= if os == "portable" { 1 } else { 5 }, "they took turns: {pids:?}");
        assert_eq!(supervisor.service_status("app")["restarts"], 8);
        assert_eq!(supervisor.stop(), 0);
        assert!(pids.into_iter().all(|pid| !is_alive(pid)));
    }

    fn a_new_process_that_cannot_start_leaves_the_old_one_serving(os) {
        let mut supervisor = Supervisor::new(os);
        let marker = supervisor.path("works").display().to_string();
        fs::write(&marker, "").expect("marker");
        let ready = "ready = { kind = \"log\", pattern = \"up\" }";
        supervisor = supervisor.service("app", &[&format!("fail-once {marker}"), "print up", "forever"], ready);
        supervisor = supervisor.start();
        supervisor.wait_for_state("app", "ready");
        let before = supervisor.service_pid("app");
        fs::remove_file(&marker).expect("marker");
        let output = supervisor.ctl(&["rolling-restart", "app"]);
        assert_eq!(output.status.code(), Some(1));
        let problem = text(&output.stderr);
        assert!(problem.contains("exit code 9; the old process keeps serving"), "{problem}");
        assert_eq!((supervisor.state("app"), supervisor.service_pid("app")), ("ready".to_owned(), before));
        assert_eq!(supervisor.stop(), 0);
    }

    fn a_new_process_that_is_never_ready_is_killed(os) {
        let mut supervisor = Supervisor::new(os);
        let marker = supervisor.path("works").display().to_string();
        let new = supervisor.path("new").display().to_string();
        // The first one gets ready; every later one hangs.
        let steps = [&*format!("first-only {marker} print up"), &format!("pid {new}"), "forever"];
        supervisor = supervisor
            .service("app", &steps, "ready = { kind = \"log\", pattern = \"up\" }\nstart_timeout = \"500ms\"")
            .start();
        supervisor.wait_for_state("app", "ready");
        let before = supervisor.service_pid("app");
        let output = supervisor.ctl(&["rolling-restart", "app"]);
        assert_eq!(output.status.code(), Some(1));
        assert!(text(&output.stderr).contains("not ready within 500ms"), "{}", text(&output.stderr));
        let hung = supervisor.number_in("new");
        assert!(hung != before && holds_in_time(|| !is_alive(hung)), "the new one is killed");
        assert_eq!((supervisor.state("app"), supervisor.service_pid("app")), ("ready".to_owned(), before));
        assert_eq!(supervisor.stop(), 0);
    }

    fn a_service_whose_readiness_cannot_tell_them_apart_is_refused(os) {
        let mut supervisor = Supervisor::new(os)
            .socket("main")
            .service("app", &["serve main"],
                "sockets = [\"main\"]\nready = { kind = \"http\", socket = \"main\", path = \"/\" }")
            .start();
        supervisor.wait_for_state("app", "ready");
        let output = supervisor.ctl(&["rolling-restart", "app"]);
        assert!(text(&output.stderr).contains("cannot tell the new process"), "{output:?}");
        assert_eq!(supervisor.service_status("app")["restarts"], 0);
        assert_eq!(supervisor.stop(), 0);
    }

    fn waiting_ends_with_the_state_or_with_the_timeout(os) {
        let mut supervisor = Supervisor::new(os);
        let go = supervisor.path("go").display().to_string();
        supervisor = supervisor
            .service("app", &[&format!("wait-for {go}"), "print up", "forever"],
                "ready = { kind = \"log\", pattern = \"up\" }")
            .start();
        supervisor.wait_for_state("app", "starting");
        let output = supervisor.ctl(&["wait", "app", "--timeout", "0.05"]);
        assert_eq!(output.status.code(), Some(5));
        fs::write(&go, "").expect("go");
        assert!(supervisor.ctl_ok(&["wait", "app", "--for", "ready"]).contains("app is ready"));
        std::thread::scope(|scope| {
            let waits = scope.spawn(|| supervisor.ctl_ok(&["wait", "app", "--for", "stopped", "--json"]));
            supervisor.ctl_ok(&["stop", "app"]);
            assert!(waits.join().expect("waits").contains("\"ok\":true"));
        });
        assert_eq!(supervisor.stop(), 0);
    }
}
