//! What happens when a service ends by itself, cannot be started, or is to be
//! restarted.

use std::fs;

use crate::support::{Supervisor, is_alive};

on_every_os! {
    fn a_killed_service_comes_back(os) {
        let mut supervisor = Supervisor::new(os).service("app", &["forever"], "restart = \"always\"").start();
        supervisor.wait_for_state("app", "ready");
        let first = supervisor.service_pid("app");
        supervisor.ctl_ok(&["signal", "app", "KILL"]);
        supervisor.until("another process runs", || {
            let app = supervisor.service_status("app");
            app["pid"].as_i64().is_some_and(|pid| pid != i64::from(first))
        });
        let app = supervisor.service_status("app");
        assert_eq!(app["restarts"], 1);
        assert_eq!(app["last_exit"], "ended by SIGKILL");
        assert_eq!(supervisor.stop(), 0);
    }

    fn a_service_that_cannot_live_is_given_up_after_its_retries(os) {
        let mut supervisor = Supervisor::new(os);
        let file = supervisor.path("starts").display().to_string();
        supervisor = supervisor
            .service("crash", &[&format!("append {file} start"), "eprint last words", "exit 3"],
                "restart = \"always\"\nstart_retries = 2\nbackoff = { initial = \"20ms\" }")
            .service("other", &["forever"], "")
            .start();
        supervisor.wait_for_state("crash", "failed");
        let crash = supervisor.service_status("crash");
        assert_eq!(supervisor.read("starts").lines().count(), 3, "one start and two retries");
        assert_eq!(crash["last_exit"], "exit code 3");
        assert!(crash["why"].as_str().expect("why").contains("gave up after 3 failed starts"));
        assert_eq!(supervisor.state("other"), "ready", "others live on");
        assert_eq!(supervisor.stop(), 0);
        assert!(supervisor.messages("crash").contains(&"last words".to_owned()));
    }

    fn a_service_in_backoff_stops_and_starts_at_once_on_request(os) {
        let mut supervisor = Supervisor::new(os);
        let marker = supervisor.path("marker").display().to_string();
        supervisor = supervisor
            .service("app", &[&format!("fail-once {marker}"), "forever"],
                "restart = \"always\"\nbackoff = { initial = \"1h\", max = \"1h\" }")
            .start();
        supervisor.wait_for_state("app", "backoff");
        supervisor.ctl_ok(&["stop", "app"]);
        assert_eq!(supervisor.state("app"), "stopped");
        supervisor.ctl_ok(&["start", "app"]);
        assert_eq!(supervisor.state("app"), "ready");
        assert_eq!(supervisor.stop(), 0);
    }

    fn a_restart_is_answered_when_the_next_process_is_ready(os) {
        let mut supervisor = Supervisor::new(os).socket("main").service(
            "app",
            &["sleep 100", "serve main"],
            "sockets = [\"main\"]\nready = { kind = \"http\", socket = \"main\", path = \"/\" }",
        );
        supervisor = supervisor.start();
        supervisor.wait_for_state("app", "ready");
        let first = supervisor.service_status("app");
        supervisor.ctl_ok(&["restart", "app"]);
        let second = supervisor.service_status("app");
        assert_eq!(second["state"], "ready");
        assert_ne!(second["pid"], first["pid"]);
        assert!(second["generation"].as_u64() > first["generation"].as_u64());
        assert!(!is_alive(i32::try_from(first["pid"].as_i64().expect("pid")).expect("pid")));
        assert_eq!(supervisor.stop(), 0);
    }

    fn a_restart_that_fails_is_answered_with_the_reason(os) {
        let mut supervisor = Supervisor::new(os);
        let marker = supervisor.path("works").display().to_string();
        fs::write(&marker, "").expect("marker");
        // Works as long as the marker lies there.
        supervisor = supervisor
            .service("app", &[&format!("fail-once {marker}"), "print up", "forever"],
                "ready = { kind = \"log\", pattern = \"up\" }\nbackoff = { initial = \"1h\", max = \"1h\" }")
            .start();
        supervisor.wait_for_state("app", "ready");
        fs::remove_file(&marker).expect("marker");
        let output = supervisor.ctl(&["restart", "app"]);
        assert_eq!(output.status.code(), Some(1));
        let problem = crate::support::text(&output.stderr);
        assert!(problem.contains("exit code 9") && problem.contains("starts again"), "{problem}");
        assert_eq!(supervisor.stop(), 0);
    }

    fn restarts_that_overlap_leave_one_process(os) {
        let mut supervisor = Supervisor::new(os).service("app", &["forever"], "").start();
        supervisor.wait_for_state("app", "ready");
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| supervisor.ctl(&["restart", "app"]));
            }
        });
        supervisor.wait_for_state("app", "ready");
        let own = supervisor.service_pid("app");
        let log = supervisor.ctl_ok(&["logs", "supervise", "--json", "-n", "1000"]);
        let mut alive: Vec<i64> = log
            .lines()
            .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok()?["pid"].as_i64())
            .filter(|pid| is_alive(i32::try_from(*pid).expect("a pid")))
            .collect();
        alive.dedup();
        assert_eq!(alive, [i64::from(own)]);
        assert_eq!(supervisor.stop(), 0);
    }

    fn what_cannot_be_started_fails_with_the_step_and_the_reason(os) {
        let mut supervisor = Supervisor::new(os);
        let no_program = supervisor.path("no-program").display().to_string();
        fs::write(&no_program, "neither binary nor script").expect("file");
        supervisor = supervisor
            .program("missing", "/nonexistent/program", "")
            .program("nowhere", "no-such-program-anywhere", "")
            .program("not-executable", &no_program, "")
            .service("no-directory", &["forever"], "directory = \"/nonexistent\"")
            .service("no-user", &["forever"], "user = \"no-such-user\"")
            .service("fine", &["forever"], "")
            .start();
        let expected = [
            ("missing", "cannot run the program /nonexistent/program: No such file"),
            ("nowhere", "cannot find the program \"no-such-program-anywhere\" in PATH"),
            ("not-executable", "cannot run the program"),
            ("no-directory", "cannot change to its directory /nonexistent: No such file"),
            ("no-user", "unknown user \"no-such-user\""),
        ];
        for (name, reason) in expected {
            supervisor.wait_for_state(name, "failed");
            let status = supervisor.service_status(name);
            let why = status["why"].as_str().expect("why");
            assert!(why.contains(reason), "{name}: {why}");
            assert_eq!(status["restarts"], 0, "{name} is not worth another try");
        }
        supervisor.wait_for_state("fine", "ready");
        assert_eq!(supervisor.stop(), 0);
    }

    fn a_service_reloads_when_a_file_that_it_watches_has_changed(os) {
        let supervisor = Supervisor::new(os);
        std::fs::create_dir(supervisor.path("certs")).expect("folder");
        std::fs::write(supervisor.path("certs/key"), "old").expect("file");
        let mut supervisor = supervisor
            .service("app", &["forever"], "watch = [\"{dir}/certs\"]")
            .service("other", &["forever"], "")
            .start();
        supervisor.wait_for_state("app", "ready");
        // As most programs write: beside it, then in its place.
        std::fs::write(supervisor.path("certs/next"), "new").expect("file");
        std::fs::rename(supervisor.path("certs/next"), supervisor.path("certs/key")).expect("rename");
        supervisor.until("it is restarted", || supervisor.service_status("app")["restarts"] == 1);
        supervisor.wait_for_state("app", "ready");
        assert_eq!(supervisor.service_status("other")["restarts"], 0);
        assert_eq!(supervisor.stop(), 0);
        let log = supervisor.messages("supervise").join("\n");
        assert_eq!(log.matches("a file that it watches has changed").count(), 1, "{log}");
    }

    fn a_reload_sends_the_signal_or_restarts(os) {
        let mut supervisor = Supervisor::new(os)
            .service("signalled", &["forever"], "reload_signal = \"HUP\"\nrestart = \"always\"")
            .service("restarted", &["forever"], "")
            .start();
        supervisor.wait_for_state("signalled", "ready");
        supervisor.wait_for_state("restarted", "ready");
        supervisor.ctl_ok(&["reload", "signalled"]);
        supervisor.until("the signal arrives", || {
            supervisor.service_status("signalled")["last_exit"] == "ended by SIGHUP"
        });
        supervisor.ctl_ok(&["reload", "restarted"]);
        assert_eq!(supervisor.service_status("restarted")["restarts"], 1);
        assert_eq!(supervisor.stop(), 0);
    }
}
