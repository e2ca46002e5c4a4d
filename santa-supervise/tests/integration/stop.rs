//! The end: in order, in time, completely.

use std::fs;
use std::time::{Duration, Instant};

use santa_supervise::machine::SAME_REQUEST;

use crate::support::{Supervisor, exists, holds_in_time, is_alive};

on_every_os! {
    fn dependents_stop_before_what_they_depend_on(os) {
        let mut supervisor = Supervisor::new(os);
        let file = supervisor.path("order").display().to_string();
        let tell = |name: &str| format!("say-when-told {file} {name}");
        supervisor = supervisor
            .service("db", &[&tell("db")], "ready = { kind = \"log\", pattern = \"listens\" }")
            .service("app", &[&tell("app")],
                "depends_on = [\"db\"]\nready = { kind = \"log\", pattern = \"listens\" }")
            .service("web", &[&tell("web")],
                "depends_on = [\"app\"]\nready = { kind = \"log\", pattern = \"listens\" }")
            .start();
        supervisor.wait_for_state("web", "ready");
        assert_eq!(supervisor.stop(), 0);
        assert_eq!(supervisor.read("order"), "web\napp\ndb\n");
    }

    fn a_service_stops_after_those_it_names_without_depending_on_them(os) {
        let mut supervisor = Supervisor::new(os);
        let file = supervisor.path("order").display().to_string();
        let tell = |name: &str| format!("say-when-told {file} {name}");
        supervisor = supervisor
            .service("backend", &[&tell("backend")],
                "stop_after = [\"proxy\"]\nready = { kind = \"log\", pattern = \"listens\" }")
            .service("proxy", &["sleep 100", &tell("proxy")],
                "ready = { kind = \"log\", pattern = \"listens\" }")
            .start();
        supervisor.wait_for_state("proxy", "ready");
        supervisor.wait_for_state("backend", "ready");
        assert_eq!(supervisor.stop(), 0);
        assert_eq!(supervisor.read("order"), "proxy\nbackend\n");
    }

    fn a_service_that_ignores_the_signal_is_killed_in_time(os) {
        let mut supervisor = Supervisor::new(os)
            .service("stubborn", &["ignore-term", "print deaf", "forever"],
                "ready = { kind = \"log\", pattern = \"deaf\" }\nstop_timeout = \"200ms\"")
            .start();
        supervisor.wait_for_state("stubborn", "ready");
        let pid = supervisor.service_pid("stubborn");
        supervisor.ctl_ok(&["stop", "stubborn"]);
        assert_eq!(supervisor.service_status("stubborn")["last_exit"], "ended by SIGKILL");
        assert!(!is_alive(pid));
        assert_eq!(supervisor.stop(), 0);
    }

    fn a_group_member_that_ignores_the_signal_is_killed_too(os) {
        let mut supervisor = Supervisor::new(os);
        let file = supervisor.path("child").display().to_string();
        supervisor = supervisor
            .service("app", &[&format!("child ignore-term; pid {file}; forever"), "forever"], "")
            .start();
        let child = supervisor.number_in("child");
        assert_eq!(supervisor.stop(), 0);
        assert!(!is_alive(child));
    }

    fn leftovers_are_gone_before_the_next_start(os) {
        let mut supervisor = Supervisor::new(os);
        let file = supervisor.path("child").display().to_string();
        supervisor = supervisor
            .service("app", &[&format!("child pid {file}; forever"), "forever"], "restart = \"always\"")
            .start();
        let child = supervisor.number_in("child");
        supervisor.ctl_ok(&["signal", "app", "KILL"]);
        supervisor.until("it was restarted", || supervisor.service_status("app")["restarts"] == 1);
        assert!(!is_alive(child));
        assert_eq!(supervisor.stop(), 0);
    }

    fn a_stopped_process_is_killed_after_its_time(os) {
        let mut supervisor = Supervisor::new(os)
            .service("app", &["ignore-term", "print deaf", "forever"],
                "ready = { kind = \"log\", pattern = \"deaf\" }\nstop_timeout = \"200ms\"")
            .start();
        supervisor.wait_for_state("app", "ready");
        supervisor.ctl_ok(&["signal", "app", "STOP"]);
        supervisor.ctl_ok(&["stop", "app"]);
        assert_eq!(supervisor.service_status("app")["last_exit"], "ended by SIGKILL");
        assert_eq!(supervisor.stop(), 0);
    }

    fn a_stopped_process_is_woken_to_stop_in_order(os) {
        let mut supervisor = Supervisor::new(os);
        let file = supervisor.path("order").display().to_string();
        let child = format!("child say-when-told {file} child");
        let ready = "ready = { kind = \"log\", pattern = \"listens\" }\nstop_timeout = \"1h\"";
        supervisor = supervisor
            .service("app", &[&format!("say-when-told {file} app")], ready)
            .service("parent", &[&child, "forever"], ready)
            .start();
        supervisor.wait_for_state("app", "ready");
        supervisor.wait_for_state("parent", "ready");
        supervisor.ctl_ok(&["signal", "app", "STOP"]);
        supervisor.ctl_ok(&["stop", "app"]);
        assert_eq!(supervisor.read("order"), "app\n");
        // All of the group: the one that is to react may wait for another.
        let group = rustix::process::Pid::from_raw(supervisor.service_pid("parent")).expect("pid");
        rustix::process::kill_process_group(group, rustix::process::Signal::STOP).expect("kill");
        supervisor.ctl_ok(&["stop", "parent"]);
        assert_eq!(supervisor.read("order"), "app\nchild\n");
        assert_eq!(supervisor.stop(), 0);
    }

    fn a_second_and_a_third_signal_hurry(os) {
        let mut supervisor = Supervisor::new(os)
            .service("db", &["ignore-term", "print deaf", "forever"],
                "ready = { kind = \"log\", pattern = \"deaf\" }\nstop_timeout = \"1h\"")
            .service("app", &["ignore-term", "print deaf", "forever"],
                "depends_on = [\"db\"]\nready = { kind = \"log\", pattern = \"deaf\" }\nstop_timeout = \"1h\"")
            .start();
        supervisor.wait_for_state("app", "ready");
        let begun = Instant::now();
        // As `timeout` does, which signals the process and its group.
        supervisor.signal(libc::SIGTERM);
        supervisor.signal(libc::SIGTERM);
        supervisor.signal(libc::SIGINT);
        supervisor.wait_for_state("app", "stopping");
        assert_eq!(supervisor.state("db"), "ready", "it is still needed");
        supervisor.until("another request is taken", || {
            supervisor.signal(libc::SIGTERM);
            supervisor.state("db") == "stopping"
        });
        assert!(SAME_REQUEST <= begun.elapsed(), "all before that was one request");
        let begun = Instant::now();
        let ends = holds_in_time(|| {
            supervisor.signal(libc::SIGINT);
            !supervisor.is_running()
        });
        assert!(ends, "a third request kills; log:\n{}", supervisor.log());
        assert!(begun.elapsed() < Duration::from_secs(40), "it does not wait for its timeout");
        assert_eq!(supervisor.wait().code(), Some(0));
    }

    fn a_stop_during_the_start_leaves_nothing(os) {
        for stage in ["nothing runs", "the task runs", "the app runs", "the app serves"] {
            let mut supervisor = Supervisor::new(os)
                .socket("main")
                .service("task", &["pid {dir}/task.pid", "wait-for {dir}/task-may-end"],
                    "kind = \"task\"")
                .service("app", &["pid {dir}/app.pid", "wait-for {dir}/app-may-serve", "serve main"],
                    "sockets = [\"main\"]\ndepends_on = [\"task\"]\nready = { kind = \"http\", socket = \"main\", path = \"/\" }")
                .replacing_dir()
                .start();
            // Signals are only taken from here on.
            supervisor.wait_for_control();
            let mut started = Vec::new();
            if stage != "nothing runs" {
                started.push(supervisor.number_in("task.pid"));
            }
            if stage.starts_with("the app") {
                fs::write(supervisor.path("task-may-end"), "").expect("file");
                started.push(supervisor.number_in("app.pid"));
            }
            if stage == "the app serves" {
                fs::write(supervisor.path("app-may-serve"), "").expect("file");
                supervisor.wait_for_state("app", "ready");
            }
            assert_eq!(supervisor.stop(), 0, "{stage}");
            let written = ["task.pid", "app.pid"].map(|name| supervisor.read(name).parse::<i32>().ok());
            started.extend(written.into_iter().flatten());
            assert_eq!(started.into_iter().find(|pid| is_alive(*pid)), None, "{stage}");
            assert!(!exists(&supervisor.path("main.sock")), "{stage}");
        }
    }

    fn nothing_is_left_at_the_end(os) {
        let mut supervisor = Supervisor::new(os).socket("main").socket("other");
        supervisor = supervisor
            .service("app", &["serve main"], "sockets = [\"main\", \"other\"]\nready = { kind = \"http\", socket = \"main\", path = \"/\" }")
            .start();
        supervisor.wait_for_state("app", "ready");
        let pid = supervisor.service_pid("app");
        assert_eq!(supervisor.stop(), 0);
        assert!(!is_alive(pid));
        assert_eq!(supervisor.leftover_files(), Vec::<String>::new());
    }

    fn on_request_it_stops_when_whoever_started_it_is_gone(os) {
        let mut supervisor = Supervisor::new(os).service("app", &["forever"], "").start_with_parent();
        supervisor.wait_for_state("app", "ready");
        let pid = supervisor.service_pid("app");
        supervisor.let_go();
        assert_eq!(supervisor.wait().code(), Some(0));
        assert!(!is_alive(pid));
    }

    fn one_that_does_not_stop_is_asked_by_other_signals_before_it_is_killed(os) {
        let stop = "stop_timeout = \"50ms\"\nstop_then = [{ signal = \"HUP\", wait = \"50ms\" }, { signal = \"INT\", wait = \"1h\" }]\n";
        let ready = "ready = { kind = \"log\", pattern = \"deaf\" }";
        let mut supervisor = Supervisor::new(os)
            .service("app", &["ignore-term", "ignore 1", "print deaf", "forever"], &format!("{stop}{ready}"))
            .start();
        supervisor.wait_for_state("app", "ready");
        supervisor.ctl_ok(&["stop", "app"]);
        assert_eq!(supervisor.service_status("app")["last_exit"], "ended by SIGINT");
        assert_eq!(supervisor.stop(), 0);
    }

    fn its_stop_is_announced_before_the_signal(os) {
        let mut supervisor = Supervisor::new(os)
            .service("soon", &["forever"], "stop_delay = \"50ms\"")
            .service("app", &["forever"], "stop_delay = \"1h\"")
            .start();
        supervisor.wait_for_state("app", "ready");
        // One that does not run its program yet is killed at once.
        supervisor.wait_for_state("soon", "ready");
        let pid = supervisor.service_pid("app");
        let mut stop = supervisor.command().args(["stop", "app"]).spawn().expect("client runs");
        supervisor.wait_for_state("app", "stopping");
        supervisor.ctl_ok(&["stop", "soon"]);
        assert_eq!(supervisor.service_status("soon")["last_exit"], "ended by SIGTERM");
        assert_eq!(supervisor.state("app"), "stopping");
        assert!(is_alive(pid));
        supervisor.ctl_ok(&["signal", "app", "INT"]);
        assert!(stop.wait().expect("client").success());
        assert_eq!(supervisor.service_status("app")["last_exit"], "ended by SIGINT");
        assert_eq!(supervisor.stop(), 0);
    }

    fn a_shutdown_by_command_ends_like_a_signal(os) {
        let mut supervisor = Supervisor::new(os).service("app", &["forever"], "").start();
        supervisor.wait_for_state("app", "ready");
        supervisor.ctl_ok(&["shutdown"]);
        assert_eq!(supervisor.wait().code(), Some(0));
    }
}

#[cfg(target_os = "linux")]
mod linux_only {
    use super::*;

    fn orphans_of(os: &str) {
        let mut supervisor = Supervisor::new(os);
        let file = supervisor.path("orphan").display().to_string();
        let steps = format!("child setsid; ignore-term; pid {file}; forever");
        supervisor =
            supervisor.service("app", &[&steps, "forever"], "restart = \"always\"").start();
        let orphan = supervisor.number_in("orphan");
        supervisor.ctl_ok(&["signal", "app", "KILL"]);
        supervisor.until("it was restarted", || supervisor.service_status("app")["restarts"] == 1);
        assert!(!is_alive(orphan), "a session of its own is no way out");
        supervisor.until("another orphan runs", || supervisor.number_in("orphan") != orphan);
        let orphan = supervisor.number_in("orphan");
        assert_eq!(supervisor.stop(), 0);
        assert!(!is_alive(orphan));
    }

    #[test]
    fn a_child_in_a_session_of_its_own_ends_with_its_service() {
        orphans_of("linux");
        orphans_of("linux-without-pidfd");
    }

    #[test]
    fn children_die_with_a_killed_supervisor() {
        let mut supervisor = Supervisor::new("linux").service("app", &["forever"], "").start();
        supervisor.wait_for_state("app", "ready");
        let pid = supervisor.service_pid("app");
        supervisor.signal(libc::SIGKILL);
        supervisor.wait();
        supervisor.until("the child is gone", || !is_alive(pid));
        // The next run takes the stale control socket over.
        let mut supervisor = supervisor.start();
        supervisor.wait_for_state("app", "ready");
        assert_eq!(supervisor.stop(), 0);
    }
}
