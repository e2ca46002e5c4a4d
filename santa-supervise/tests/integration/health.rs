//! How a service shows that it is ready, and that it still works.

use std::fs;

use crate::support::{FAKE, Supervisor, holds_in_time, is_alive};

on_every_os! {
    fn a_service_is_ready_when_it_says_so(os) {
        let mut supervisor = Supervisor::new(os)
            .service(
                "app",
                &["wait-for {dir}/go", "notify STATUS=warming up\nREADY=1", "forever"],
                "ready = { kind = \"notify\" }",
            )
            .service("web", &["forever"], "depends_on = [\"app\"]")
            .replacing_dir()
            .start();
        supervisor.wait_for_state("app", "starting");
        assert_eq!(supervisor.state("web"), "waiting");
        fs::write(supervisor.path("go"), "").expect("go");
        supervisor.wait_for_state("web", "ready");
        assert_eq!(supervisor.service_status("app")["status_text"], "warming up");
        assert_eq!(supervisor.stop(), 0);
        assert_eq!(supervisor.leftover_files(), ["go"], "its socket went with it");
    }

    fn a_program_tells_when_a_service_is_ready(os) {
        let ready = format!("ready = {{ kind = \"exec\", command = [{FAKE:?}, \"need {{dir}}/go\"] }}");
        let mut supervisor =
            Supervisor::new(os).service("app", &["forever"], &ready).replacing_dir().start();
        supervisor.wait_for_state("app", "starting");
        supervisor.until("the failed looks are told", || {
            supervisor.service_status("app")["why"].as_str().expect("why").contains("exit code 1")
        });
        fs::write(supervisor.path("go"), "").expect("go");
        supervisor.wait_for_state("app", "ready");
        assert_eq!(supervisor.stop(), 0);
    }

    fn a_program_that_hangs_while_it_looks_is_ended(os) {
        let liveness = format!(
            "restart = \"always\"\nliveness = {{ kind = \"exec\", command = [{FAKE:?}, \"pid {{dir}}/look\", \"forever\"], interval = \"50ms\", timeout = \"300ms\", failures = 2 }}"
        );
        let mut supervisor =
            Supervisor::new(os).service("app", &["forever"], &liveness).replacing_dir().start();
        supervisor.wait_for_control();
        supervisor.until("it is started again", || supervisor.service_status("app")["restarts"] == 1);
        supervisor.number_in("look");
        assert_eq!(supervisor.stop(), 0);
        let why = supervisor.messages("supervise").join("\n");
        assert!(why.contains("it took longer than 300ms (2 times in a row)"), "{why}");
        let look = supervisor.number_in("look");
        assert!(holds_in_time(|| !is_alive(look)), "the last look is killed");
    }

    fn a_service_that_does_not_answer_any_more_is_started_again(os) {
        let mut supervisor = Supervisor::new(os)
            .socket("main")
            .service(
                "app",
                &["serve-unless main {dir}/ill"],
                "sockets = [\"main\"]\nrestart = \"always\"\nready = { kind = \"http\", socket = \"main\", path = \"/\" }\n\
                 liveness = { kind = \"http\", socket = \"main\", path = \"/\", interval = \"20ms\", timeout = \"5s\", failures = 3 }",
            )
            .replacing_dir()
            .start();
        supervisor.wait_for_state("app", "ready");
        let first = supervisor.service_pid("app");
        fs::write(supervisor.path("ill"), "").expect("ill");
        supervisor.until("the sick one is gone", || !is_alive(first));
        fs::remove_file(supervisor.path("ill")).expect("well");
        supervisor.wait_for_state("app", "ready");
        assert_ne!(supervisor.service_pid("app"), first);
        assert_eq!(supervisor.stop(), 0);
        let log = supervisor.messages("supervise").join("\n");
        assert!(log.contains("it answers 503 (3 times in a row)"), "{log}");
    }

    fn a_service_that_falls_silent_is_started_again(os) {
        let supervisor = Supervisor::new(os);
        fs::write(supervisor.path("well"), "").expect("well");
        let mut supervisor = supervisor
            .service(
                "app",
                &["notify READY=1", "watchdog {dir}/well"],
                "restart = \"always\"\nready = { kind = \"notify\" }\n\
                 liveness = { kind = \"notify\", interval = \"500ms\", timeout = \"500ms\" }",
            )
            .replacing_dir()
            .start();
        supervisor.wait_for_state("app", "ready");
        let first = supervisor.service_pid("app");
        fs::remove_file(supervisor.path("well")).expect("silence");
        supervisor.until("another one runs", || supervisor.service_status("app")["restarts"] == 1);
        fs::write(supervisor.path("well"), "").expect("well");
        supervisor.until("the first one is gone", || !is_alive(first));
        assert_eq!(supervisor.stop(), 0);
        let log = supervisor.messages("supervise").join("\n");
        assert!(log.contains("no WATCHDOG=1 for 1s"), "{log}");
    }

    fn liveness_is_not_looked_at_before_readiness(os) {
        let supervisor = Supervisor::new(os);
        fs::write(supervisor.path("ill"), "").expect("ill");
        let mut supervisor = supervisor
            .socket("main")
            .service(
                "app",
                &["print up soon", "serve-unless main {dir}/ill"],
                "sockets = [\"main\"]\nrestart = \"always\"\nready = { kind = \"http\", socket = \"main\", path = \"/\" }\n\
                 liveness = { kind = \"http\", socket = \"main\", path = \"/\", interval = \"10ms\", failures = 1 }",
            )
            .replacing_dir()
            .start();
        supervisor.wait_for_state("app", "starting");
        // Many probes that would each have been the last.
        supervisor.until("it was probed many times", || supervisor.read("ill").len() >= 20);
        assert!(
            supervisor.service_status("app")["why"].as_str().expect("why").contains("it answers 503")
        );
        assert_eq!(supervisor.state("app"), "starting");
        fs::remove_file(supervisor.path("ill")).expect("well");
        supervisor.wait_for_state("app", "ready");
        assert_eq!(supervisor.service_status("app")["restarts"], 0);
        assert_eq!(supervisor.stop(), 0);
    }

    fn an_answer_without_end_is_not_waited_for(os) {
        let mut supervisor = Supervisor::new(os)
            .socket("main")
            .service(
                "app",
                &["serve-babble main"],
                "sockets = [\"main\"]\nrestart = \"always\"\n\
                 liveness = { kind = \"http\", socket = \"main\", path = \"/\", interval = \"10ms\", timeout = \"200ms\", failures = 2 }",
            )
            .start();
        supervisor.wait_for_control();
        supervisor.until("it is started again", || supervisor.service_status("app")["restarts"] == 1);
        assert_eq!(supervisor.stop(), 0);
        let log = supervisor.messages("supervise").join("\n");
        assert!(log.contains("its answer is not HTTP (2 times in a row)"), "{log}");
    }

    fn a_service_that_must_not_be_started_again_fails_with_its_liveness(os) {
        let mut supervisor = Supervisor::new(os)
            .socket("main")
            .service(
                "app",
                &["serve-unless main {dir}/ill"],
                "sockets = [\"main\"]\nrestart = \"never\"\ncritical = true\n\
                 liveness = { kind = \"http\", socket = \"main\", path = \"/\", interval = \"20ms\", failures = 1 }",
            )
            .replacing_dir()
            .start();
        supervisor.wait_for_state("app", "ready");
        fs::write(supervisor.path("ill"), "").expect("ill");
        assert_eq!(supervisor.wait().code(), Some(1), "the container ends with a failure");
    }
}

/// Where the system tells who wrote a message.
#[cfg(target_os = "linux")]
#[test]
fn a_stranger_and_an_older_one_cannot_say_ready() {
    let mut supervisor = Supervisor::new("linux")
        .service(
            "app",
            &[
                "variable NOTIFY_SOCKET {dir}/where",
                "wait-for {dir}/go",
                "notify READY=1",
                "forever",
            ],
            "ready = { kind = \"notify\" }",
        )
        .service(
            "stranger",
            &[
                "wait-for {dir}/where",
                "sleep 50",
                "notify-at {dir}/where READY=1",
                "print said",
                "forever",
            ],
            "",
        )
        .replacing_dir()
        .start();
    supervisor.until("the stranger spoke", || supervisor.log().contains("said"));
    let first = supervisor.read("where");
    assert_eq!(supervisor.state("app"), "starting");
    fs::write(supervisor.path("go"), "").expect("go");
    supervisor.wait_for_state("app", "ready");
    supervisor.ctl_ok(&["rolling-restart", "app"]);
    assert_ne!(supervisor.read("where"), first, "every generation has a socket of its own");
    supervisor.until("the older one's socket is gone", || !std::path::Path::new(&first).exists());
    assert_eq!(supervisor.stop(), 0);
}
