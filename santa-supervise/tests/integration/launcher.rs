//! What whoever started santa-supervise has left it: ignored and blocked signals.

use crate::support::{Supervisor, is_alive};

/// Signals that santa-supervise lives by, and one that it only must survive.
const INHERITED: [&str; 3] = [
    "--ignore-signal=CHLD",
    "--ignore-signal=TERM,HUP,CHLD,USR1",
    "--block-signal=TERM,HUP,CHLD,INT,SEGV",
];

#[test]
fn signals_that_a_launcher_ignored_or_blocked_still_work() {
    for os in ["linux", "linux-without-pidfd", "portable"] {
        for inherited in INHERITED {
            let mut supervisor = Supervisor::new(os);
            let file = supervisor.path("state").display().to_string();
            supervisor = supervisor
                .service("app", &["forever"], "restart = \"always\"")
                .service(
                    "sees",
                    &[&format!("state {file}"), "print done", "forever"],
                    "ready = { kind = \"log\", pattern = \"done\" }",
                )
                .start_through("env", &[inherited]);
            supervisor.wait_for_state("app", "ready");
            supervisor.wait_for_state("sees", "ready");
            let state = supervisor.read("state");
            let mask = |name: &str| {
                let line = state.lines().find_map(|line| line.strip_prefix(name));
                u64::from_str_radix(line.expect(name).trim(), 16).expect("a mask")
            };
            let bit = |signal: i32| 1u64 << (signal - 1);
            assert_eq!(mask("SigBlk:"), 0, "{state}");
            for signal in [libc::SIGCHLD, libc::SIGTERM, libc::SIGHUP, libc::SIGUSR1] {
                assert_eq!(mask("SigIgn:") & bit(signal), 0, "{state}");
            }
            let before = supervisor.service_pid("app");
            supervisor.ctl_ok(&["signal", "app", "KILL"]);
            supervisor.until("it was started again", || {
                supervisor.service_status("app")["restarts"] == 1
            });
            assert!(!is_alive(before), "it was reaped");
            supervisor.signal(libc::SIGHUP);
            supervisor
                .until("SIGHUP reloads", || supervisor.log().contains("configuration reloaded"));
            supervisor.signal(libc::SIGUSR1);
            assert_eq!(supervisor.stop(), 0, "{os} {inherited}");
        }
    }
}
