//! What the container's exit code says.

use crate::support::Supervisor;

on_every_os! {
    fn the_end_of_a_critical_service_is_the_end_of_the_container_with_its_code(os) {
        let mut supervisor = Supervisor::new(os);
        let file = supervisor.path("order").display().to_string();
        supervisor = supervisor
            .service("app", &["sleep 100", "exit 7"], "critical = true\nrestart = \"never\"")
            .service("web", &["print up", &format!("say-when-told {file} web")],
                "ready = { kind = \"log\", pattern = \"up\" }")
            .start();
        assert_eq!(supervisor.wait().code(), Some(7));
        assert_eq!(supervisor.leftover_files().iter().filter(|name| *name != "order").count(), 0);
    }

    fn a_critical_service_that_dies_of_a_signal_gives_128_and_the_signal(os) {
        let mut supervisor = Supervisor::new(os)
            .service("app", &["die 6"], "critical = true\nrestart = \"never\"\nlimits = { core = 0 }")
            .start();
        assert_eq!(supervisor.wait().code(), Some(128 + 6));
    }

    fn a_critical_service_that_cannot_be_started_gives_127(os) {
        let mut supervisor = Supervisor::new(os).program("app", "/nonexistent/program", "critical = true").start();
        assert_eq!(supervisor.wait().code(), Some(127));
    }

    fn a_critical_task_that_fails_ends_the_container(os) {
        let mut supervisor = Supervisor::new(os)
            .service("migrate", &["exit 5"], "kind = \"task\"\ncritical = true\nrestart = \"never\"")
            .service("app", &["forever"], "depends_on = [\"migrate\"]")
            .start();
        assert_eq!(supervisor.wait().code(), Some(5));
    }

    fn a_critical_service_that_is_never_ready_gives_1(os) {
        let mut supervisor = Supervisor::new(os)
            .service("app", &["forever"],
                "critical = true\nready = { kind = \"log\", pattern = \"never said\" }\n\
                 start_timeout = \"100ms\"\nstart_retries = 0")
            .start();
        assert_eq!(supervisor.wait().code(), Some(1));
    }

    fn a_requested_stop_gives_0_although_something_failed_before(os) {
        let mut supervisor = Supervisor::new(os)
            .service("broken", &["exit 3"], "restart = \"never\"")
            .service("app", &["forever"], "")
            .start();
        supervisor.wait_for_state("broken", "failed");
        assert_eq!(supervisor.stop(), 0);
    }

    fn signals_that_are_not_for_stopping_do_not_stop_it(os) {
        let mut supervisor = Supervisor::new(os).service("app", &["forever"], "").start();
        supervisor.wait_for_state("app", "ready");
        let pid = supervisor.service_pid("app");
        for signal in [libc::SIGHUP, libc::SIGUSR1, libc::SIGUSR2, libc::SIGPIPE, libc::SIGALRM, libc::SIGWINCH, libc::SIGTSTP] {
            supervisor.signal(signal);
        }
        assert_eq!(supervisor.state("app"), "ready");
        assert_eq!(supervisor.service_pid("app"), pid);
        assert!(supervisor.is_running());
        assert_eq!(supervisor.stop(), 0);
    }
}
