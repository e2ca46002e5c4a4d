//! What a service inherits and what becomes of orphans.

use std::fs;

use crate::support::Supervisor;
#[cfg(target_os = "linux")]
use crate::support::privileged::is_root;

on_every_os! {
    fn a_service_sees_clean_descriptors_and_signals(os) {
        let mut supervisor = Supervisor::new(os);
        let file = supervisor.path("state").display().to_string();
        supervisor = supervisor.service("app", &[&format!("state {file}"), "print done", "forever"],
            "ready = { kind = \"log\", pattern = \"done\" }").start();
        supervisor.wait_for_state("app", "ready");
        let state = supervisor.read("state");
        assert!(state.contains("fds [0, 1, 2]\n"), "{state}");
        assert!(!state.contains("LISTEN_"), "{state}");
        if cfg!(target_os = "linux") {
            let mask = |name: &str| {
                let line = state.lines().find(|line| line.starts_with(name)).expect("mask");
                u64::from_str_radix(line.rsplit('\t').next().expect("mask"), 16).expect("mask")
            };
            assert_eq!(mask("SigBlk"), 0, "{state}");
            // The Rust runtime of the fake itself ignores SIGPIPE; 32 and 33
            // belong to the C library and cannot be set by anybody else.
            let others = [libc::SIGPIPE, 32, 33].iter().fold(0u64, |mask, signal| mask | 1 << (signal - 1));
            assert_eq!(mask("SigIgn") & !others, 0, "{state}");
        }
        assert_eq!(supervisor.stop(), 0);
    }

    fn limits_and_directory_are_set(os) {
        let mut supervisor = Supervisor::new(os);
        let dir = supervisor.dir.path().display().to_string();
        supervisor = supervisor
            .program("app", "sh", &format!(
                "args = [\"-c\", \"ulimit -n; ulimit -c; pwd; echo done; exec sleep 600\"]\n\
                 directory = \"{dir}\"\nlimits = {{ nofile = 123, core = 0 }}\n\
                 ready = {{ kind = \"log\", pattern = \"done\" }}"))
            .start();
        supervisor.wait_for_state("app", "ready");
        assert_eq!(supervisor.stop(), 0);
        let messages = supervisor.messages("app");
        assert_eq!(messages[..2], ["123", "0"]);
        assert!(messages[2].ends_with(&dir), "{messages:?}");
    }

    fn files_of_a_service_have_the_permissions_that_its_umask_leaves(os) {
        let mut supervisor = Supervisor::new(os);
        let file = |name: &str| supervisor.path(name).display().to_string();
        let (narrow, closed) = (file("narrow"), file("closed"));
        supervisor = supervisor
            .service("a", &[&format!("append {narrow} x"), "forever"], "umask = \"0027\"")
            .service("b", &[&format!("append {closed} x"), "forever"], "umask = \"0077\"")
            .start();
        supervisor.until("both have written", || {
            !supervisor.read("narrow").is_empty() && !supervisor.read("closed").is_empty()
        });
        for (name, mode) in [("narrow", 0o640), ("closed", 0o600)] {
            let found = std::fs::metadata(supervisor.path(name)).expect("file");
            let bits = std::os::unix::fs::PermissionsExt::mode(&found.permissions());
            assert_eq!(bits & 0o777, mode, "{name}");
        }
        assert_eq!(supervisor.stop(), 0);
    }

    fn values_with_special_characters_pass_unchanged(os) {
        let mut supervisor = Supervisor::new(os);
        let file = supervisor.path("state").display().to_string();
        supervisor = supervisor
            .service("app", &[&format!("state {file}"), "print done", "forever"],
                "env = { FAKE_SECRET = '100% $$HOME = {x} \"q\"' }\nready = { kind = \"log\", pattern = \"done\" }")
            .start();
        supervisor.wait_for_state("app", "ready");
        assert!(supervisor.read("state").contains("FAKE_SECRET=100% $HOME = {x} \"q\"\n"), "{}", supervisor.read("state"));
        assert_eq!(supervisor.stop(), 0);
    }
}

#[cfg(target_os = "linux")]
#[test]
fn orphans_are_taken_off_the_process_table() {
    let mut supervisor = Supervisor::new("linux");
    supervisor = supervisor
        .service(
            "app",
            &["orphans 30", "print done", "forever"],
            "ready = { kind = \"log\", pattern = \"done\" }",
        )
        .start();
    supervisor.wait_for_state("app", "ready");
    let own = supervisor.pid();
    let zombies = || {
        let entries = fs::read_dir("/proc").expect("/proc").filter_map(Result::ok);
        entries
            .filter_map(|entry| fs::read_to_string(entry.path().join("stat")).ok())
            .filter(|stat| {
                stat.rsplit(") ").next().is_some_and(|rest| rest.starts_with(&format!("Z {own} ")))
            })
            .count()
    };
    supervisor.until("all orphans are reaped", || {
        supervisor.status()["supervisor"]["orphans_reaped"] == 30 && zombies() == 0
    });
    assert_eq!(supervisor.stop(), 0);
}

#[cfg(target_os = "linux")]
#[test]
fn many_children_that_die_at_once_all_come_back() {
    let mut supervisor = Supervisor::new("linux");
    for number in 0..20 {
        supervisor =
            supervisor.service(&format!("s{number}"), &["forever"], "restart = \"always\"");
    }
    supervisor = supervisor.start();
    let all = |supervisor: &Supervisor, wanted: &dyn Fn(&serde_json::Value) -> bool| {
        supervisor.status()["services"].as_array().expect("services").iter().all(wanted)
    };
    supervisor.wait_for_control();
    supervisor.until("all run", || all(&supervisor, &|one| one["state"] == "ready"));
    for one in supervisor.status()["services"].as_array().expect("services") {
        let pid = i32::try_from(one["pid"].as_i64().expect("pid")).expect("pid");
        let pid = rustix::process::Pid::from_raw(pid).expect("pid");
        rustix::process::kill_process(pid, rustix::process::Signal::KILL).expect("kill");
    }
    supervisor.until("all are back", || {
        all(&supervisor, &|one| one["state"] == "ready" && one["restarts"] == 1)
    });
    assert_eq!(supervisor.stop(), 0);
}

#[cfg(target_os = "linux")]
#[test]
fn a_service_runs_as_its_user_with_that_users_groups() {
    if !is_root() {
        return;
    }
    let mut supervisor = Supervisor::new("linux")
        .program(
            "app",
            "sh",
            "args = [\"-c\", \"id -u; id -g; id -G; echo done; exec sleep 600\"]\n\
            user = \"54321:54322\"\nready = { kind = \"log\", pattern = \"done\" }",
        )
        .start();
    supervisor.wait_for_state("app", "ready");
    assert_eq!(supervisor.stop(), 0);
    assert_eq!(supervisor.messages("app")[..3], ["54321", "54322", "54322"]);
}

#[cfg(target_os = "linux")]
#[test]
fn as_pid_1_it_reaps_survives_stray_signals_and_stops_in_order() {
    let supervisor = Supervisor::new("linux").service(
        "app",
        &["orphans 10", "child setsid; forever", "print done", "forever"],
        "ready = { kind = \"log\", pattern = \"done\" }",
    );
    let Some((mut supervisor, pid)) = crate::support::privileged::as_pid_1(supervisor) else {
        return;
    };
    let pid = rustix::process::Pid::from_raw(pid).expect("pid");
    use rustix::process::Signal;
    for signal in [Signal::HUP, Signal::USR1, Signal::USR2, Signal::PIPE, Signal::ALARM] {
        rustix::process::kill_process(pid, signal).expect("kill");
    }
    supervisor.wait_for_state("app", "ready");
    supervisor.until("the orphans are reaped", || {
        supervisor.status()["supervisor"]["orphans_reaped"] == 10
    });
    assert_eq!(supervisor.status()["supervisor"]["pid"], 1);
    rustix::process::kill_process(pid, Signal::TERM).expect("kill");
    assert_eq!(supervisor.wait().code(), Some(0));
    assert_eq!(supervisor.leftover_files(), Vec::<String>::new());
}

/// Limits that only Linux has, or shows.
#[cfg(target_os = "linux")]
#[test]
fn limits_are_those_of_the_configuration() {
    let mut supervisor = Supervisor::new("linux")
        .service(
            "app",
            &["forever"],
            "limits = { nofile = 77, core = 0, nproc = 4000, address_space = \"512MiB\", oom_score_adj = 321 }",
        )
        .start();
    supervisor.wait_for_state("app", "ready");
    let proc = format!("/proc/{}", supervisor.service_pid("app"));
    let limits = std::fs::read_to_string(format!("{proc}/limits")).expect("limits");
    for (name, value) in [
        ("Max open files", "77"),
        ("Max core file size", "0"),
        ("Max processes", "4000"),
        ("Max address space", "536870912"),
    ] {
        let line = limits.lines().find(|line| line.starts_with(name)).expect("a limit");
        let values: Vec<&str> = line[name.len()..].split_whitespace().collect();
        assert_eq!(values[..2], [value, value], "{line}");
    }
    let score = std::fs::read_to_string(format!("{proc}/oom_score_adj")).expect("score");
    assert_eq!(score.trim(), "321");
    assert_eq!(supervisor.stop(), 0);
}
