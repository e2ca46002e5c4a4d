//! What starts when: dependencies, tasks, and every way to be ready.

use crate::support::Supervisor;

on_every_os! {
    fn a_service_may_be_content_with_a_dependency_that_has_started_or_wait_for_its_end(os) {
        let mut supervisor = Supervisor::new(os)
            .service("slow", &["wait-for {dir}/go", "print up", "forever"], "ready = { kind = \"log\", pattern = \"up\" }")
            .service("early", &["forever"], "depends_on = [{ name = \"slow\", condition = \"started\" }]")
            .service("late", &["forever"], "depends_on = [\"slow\"]")
            .service("job", &["wait-for {dir}/go"], "restart = \"never\"")
            .service("after", &["forever"], "depends_on = [{ name = \"job\", condition = \"completed\" }]")
            .replacing_dir()
            .start();
        supervisor.wait_for_state("early", "ready");
        assert_eq!((supervisor.state("slow"), supervisor.state("late")), ("starting".into(), "waiting".into()));
        supervisor.wait_for_state("job", "ready");
        assert_eq!(supervisor.state("after"), "waiting");
        std::fs::write(supervisor.path("go"), "").expect("go");
        supervisor.wait_for_state("late", "ready");
        supervisor.wait_for_state("after", "ready");
        assert_eq!(supervisor.state("job"), "completed");
        assert_eq!(supervisor.stop(), 0);
    }

    fn dependents_start_after_what_they_depend_on_is_ready(os) {
        let mut supervisor = Supervisor::new(os);
        let file = supervisor.path("order").display().to_string();
        let say = |name: &str| format!("append {file} {name}");
        supervisor = supervisor
            .service("web", &[&say("web"), "print up", "forever"], "depends_on = [\"app\"]")
            .service("app", &["sleep 150", &say("app"), "print serving now", "forever"],
                "depends_on = [\"migrate\"]\nready = { kind = \"log\", pattern = \"serving\" }")
            .service("migrate", &["sleep 150", &say("migrate")], "kind = \"task\"")
            .start();
        supervisor.wait_for_state("web", "ready");
        supervisor.until("all three have spoken", || supervisor.read("order").lines().count() == 3);
        assert_eq!(supervisor.read("order"), "migrate\napp\nweb\n");
        assert_eq!(supervisor.state("migrate"), "completed");
        assert_eq!(supervisor.stop(), 0);
    }

    fn every_kind_of_readiness_is_seen(os) {
        let mut supervisor = Supervisor::new(os).socket("held").socket("main");
        let own = supervisor.path("own.sock").display().to_string();
        supervisor = supervisor
            .service("listen", &["sleep 50", "serve held"],
                "sockets = [\"held\"]\nready = { kind = \"listen\", socket = \"held\" }")
            .service("http", &["sleep 50", "serve {fd:main}"],
                "sockets = [\"main\"]\nready = { kind = \"http\", socket = \"main\", path = \"/health\" }")
            .service("connect", &["forever"], "ready = { kind = \"connect\", socket = \"main\" }")
            .service("unix", &["sleep 50", &format!("serve-path {own}")],
                &format!("ready = {{ kind = \"unix\", path = \"{own}\" }}"))
            .service("log", &["sleep 50", "eprint now ready to serve", "forever"],
                "ready = { kind = \"log\", pattern = \"ready to\" }")
            .service("delay", &["forever"], "ready = { kind = \"delay\", time = \"80ms\" }")
            .service("none", &["forever"], "")
            .start();
        for name in ["listen", "http", "connect", "unix", "log", "delay", "none"] {
            supervisor.wait_for_state(name, "ready");
        }
        supervisor.ctl_ok(&["healthcheck", "--ready"]);
        assert_eq!(supervisor.stop(), 0);
    }

    fn a_service_that_is_not_ready_in_time_is_stopped_and_says_why(os) {
        let mut supervisor = Supervisor::new(os).socket("main").service(
            "deaf",
            &["forever"],
            "sockets = [\"main\"]\nready = { kind = \"http\", socket = \"main\", path = \"/\" }\n\
             start_timeout = \"200ms\"\nstart_retries = 0",
        );
        supervisor = supervisor.start();
        supervisor.wait_for_state("deaf", "failed");
        let why = supervisor.service_status("deaf")["why"].as_str().expect("why").to_owned();
        assert!(why.contains("not ready within 200ms"), "{why}");
        assert_eq!(supervisor.stop(), 0);
    }

    fn dependents_of_a_failed_task_are_skipped(os) {
        let mut supervisor = Supervisor::new(os)
            .service("migrate", &["eprint no database", "exit 4"], "kind = \"task\"\nrestart = \"never\"")
            .service("app", &["forever"], "depends_on = [\"migrate\"]")
            .start();
        supervisor.wait_for_state("app", "skipped");
        assert_eq!(supervisor.state("migrate"), "failed");
        assert_eq!(supervisor.stop(), 0);
    }

    fn a_skipped_service_starts_once_its_dependency_works(os) {
        let mut supervisor = Supervisor::new(os);
        let marker = supervisor.path("marker").display().to_string();
        supervisor = supervisor
            .service("migrate", &[&format!("fail-once {marker}")], "kind = \"task\"\nrestart = \"never\"")
            .service("app", &["forever"], "depends_on = [\"migrate\"]")
            .start();
        supervisor.wait_for_state("app", "skipped");
        supervisor.ctl_ok(&["start", "migrate"]);
        supervisor.wait_for_state("app", "ready");
        assert_eq!(supervisor.stop(), 0);
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_forked_worker_that_listens_counts_as_its_service() {
    let mut supervisor = Supervisor::new("linux").socket("main").service(
        "forking",
        &["child sleep 50; serve main", "forever"],
        "sockets = [\"main\"]\nready = { kind = \"listen\", socket = \"main\" }",
    );
    supervisor = supervisor.start();
    supervisor.wait_for_state("forking", "ready");
    assert_eq!(supervisor.stop(), 0);
}
