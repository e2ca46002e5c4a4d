//! What may take forever: files that are none, mounts that hang, look-ups that
//! nobody answers. None of it holds up other services, clients or the stop.

use std::fs;
use std::os::unix::net::UnixListener;
use std::process::Command;

use crate::support::preload::with_hung_files;
use crate::support::privileged::is_root;
use crate::support::{FAKE, SUPERVISE, Supervisor};

/// Services that hang on their way to their program, each in another way.
const HANGING: [(&str, &str); 7] = [
    ("by-program", ""),
    ("by-path", "env = { PATH = \"{dir}/hung\" }"),
    ("by-variables", "env_files = [\"{dir}/hung/vars\"]"),
    ("by-secret", "secrets = { KEY = \"{dir}/hung/key\" }"),
    ("by-directory", "directory = \"{dir}/hung\""),
    ("by-user", "user = \"hung\""),
    ("by-task", "kind = \"task\"\nenv_files = [\"{dir}/hung/vars\"]"),
];

fn hanging_services(mut supervisor: Supervisor, more: &str) -> Supervisor {
    let in_hung = supervisor.path("hung/program").display().to_string();
    for (name, keys) in HANGING {
        let program = match name {
            "by-program" => &in_hung,
            "by-path" => "some-program",
            _ => FAKE,
        };
        supervisor =
            supervisor.program(name, program, &format!("args = [\"forever\"]\n{keys}\n{more}"));
    }
    with_hung_files(supervisor.service("app", &["forever"], ""))
}

#[test]
fn a_start_that_hangs_holds_up_nobody_and_no_stop() {
    let mut supervisor =
        hanging_services(Supervisor::new("linux"), "start_timeout = \"1h\"").start();
    supervisor.wait_for_state("app", "ready");
    for (name, _) in HANGING {
        assert_eq!(supervisor.state(name), "starting", "{name}");
    }
    supervisor.ctl_ok(&["restart", "app"]);
    supervisor.ctl_ok(&["stop", "by-program"]);
    assert_eq!(supervisor.state("by-program"), "stopped");
    assert_eq!(supervisor.stop(), 0);
}

#[test]
fn a_start_that_hangs_is_given_up_in_time_and_says_where() {
    let more = "start_timeout = \"200ms\"\nstart_retries = 0";
    let mut supervisor = hanging_services(Supervisor::new("linux"), more).start();
    supervisor.wait_for_control();
    for (name, _) in HANGING {
        supervisor.wait_for_state(name, "failed");
    }
    assert_eq!(supervisor.state("app"), "ready");
    assert_eq!(supervisor.stop(), 0);
    let messages = supervisor.messages("supervise");
    let reports = |name: &str, step: &str| {
        messages.iter().any(|one| one.starts_with(&format!("{name} stops: ")) && one.contains(step))
    };
    assert!(reports("by-program", "still trying to run the program"), "{messages:?}");
    assert!(reports("by-directory", "still trying to change to its directory"), "{messages:?}");
    for name in ["by-path", "by-variables", "by-secret", "by-user", "by-task"] {
        assert!(
            reports(name, "still trying to read its files or look up its user"),
            "{messages:?}"
        );
    }
}

#[test]
fn probes_hooks_and_watches_that_hang_hold_up_nobody() {
    let supervisor = Supervisor::new("linux")
        .service("app", &["forever"], "watch = [\"{dir}/hung/watched\"]")
        .service(
            "probed",
            &["forever"],
            "ready = { kind = \"exec\", command = [\"{dir}/hung/probe\"] }\nstart_timeout = \"1h\"",
        )
        .extra("[[hook]]\nname = \"told\"\nstates = [\"ready\"]\ncommand = [\"{dir}/hung/hook\"]\ntimeout = \"200ms\"")
        .replacing_dir();
    let mut supervisor = with_hung_files(supervisor).start();
    supervisor.wait_for_state("app", "ready");
    supervisor.until("the hook is given up", || {
        supervisor.ctl_ok(&["logs", "supervise", "-n", "100"]).contains("hook told failed")
    });
    supervisor.ctl_ok(&["restart", "app"]);
    assert_eq!(supervisor.state("probed"), "starting");
    assert_eq!(supervisor.stop(), 0);
}

#[test]
fn connections_to_paths_that_hang_hold_up_nobody() {
    for os in ["linux", "linux-without-pidfd", "portable"] {
        let pulse = "interval = \"20ms\", timeout = \"100ms\", failures = 2";
        let mut supervisor = Supervisor::new(os)
            .socket("served")
            .service("app", &["forever"], "")
            .service(
                "by-path",
                &["forever"],
                "ready = { kind = \"unix\", path = \"{dir}/any.sock\" }\nstart_timeout = \"1h\"",
            )
            .service(
                "by-get",
                &["serve served"],
                "sockets = [\"served\"]\nstart_timeout = \"1h\"\n\
                 ready = { kind = \"http\", socket = \"served\", path = \"/\" }",
            )
            .service(
                "by-pulse",
                &["forever"],
                &format!(
                    "sockets = [\"served\"]\nrestart = \"always\"\n\
                     liveness = {{ kind = \"connect\", socket = \"served\", {pulse} }}"
                ),
            )
            .extra("[[hook]]\nname = \"told\"\nstates = [\"ready\"]\nservices = [\"app\"]\ntimeout = \"200ms\"\npost = \"unix:{dir}/any.sock:/\"")
            .replacing_dir()
            .start_hanging(libc::SYS_connect);
        supervisor.wait_for_state("app", "ready");
        supervisor.until("the hook is given up", || {
            supervisor
                .ctl_ok(&["logs", "supervise", "-n", "1000"])
                .contains("hook told failed: timed out")
        });
        supervisor.until("it was ended for its silence", || {
            supervisor.service_status("by-pulse")["restarts"].as_u64() > Some(0)
        });
        supervisor.ctl_ok(&["restart", "app"]);
        assert_eq!(supervisor.state("by-path"), "starting");
        assert_eq!(supervisor.state("by-get"), "starting");
        assert_eq!(supervisor.stop(), 0);
    }
}

#[test]
fn only_a_regular_file_of_sensible_size_is_a_secret_or_holds_variables() {
    let mut supervisor = Supervisor::new("linux");
    let path = |name: &str| supervisor.path(name).display().to_string();
    let made = Command::new("mkfifo").arg(path("fifo")).status().expect("mkfifo runs");
    assert!(made.success());
    let _socket = UnixListener::bind(path("socket")).expect("socket");
    fs::write(path("large"), vec![b'x'; (1 << 20) + 1]).expect("large");
    fs::write(path("right"), "A=1\n").expect("right");
    let files = [
        ("fifo", path("fifo"), "is not a regular file"),
        ("zero", "/dev/zero".to_owned(), "is not a regular file"),
        ("full", "/dev/full".to_owned(), "is not a regular file"),
        ("terminal", "/dev/ptmx".to_owned(), "is not a regular file"),
        ("folder", path("."), "is not a regular file"),
        ("socket", path("socket"), "is not a regular file"),
        ("large", path("large"), "more than 1048576 bytes"),
    ];
    for (name, file, _) in &files {
        let secret = format!("secrets = {{ KEY = \"{file}\" }}");
        let variables = format!("env_files = [\"{file}\"]");
        supervisor = supervisor.service(&format!("secret-{name}"), &["forever"], &secret);
        supervisor = supervisor.service(&format!("variables-{name}"), &["forever"], &variables);
    }
    let mut supervisor = supervisor
        .service("app", &["forever"], "env_files = [\"{dir}/right\", \"/proc/sys/kernel/ostype\"]")
        .service(
            "right",
            &["forever"],
            "env_files = [\"{dir}/right\"]\nsecrets = { KIND = \"/proc/sys/kernel/ostype\" }",
        )
        .start();
    supervisor.wait_for_state("right", "ready");
    for (name, file, problem) in &files {
        for service in [format!("secret-{name}"), format!("variables-{name}")] {
            supervisor.wait_for_state(&service, "failed");
            let status = supervisor.service_status(&service);
            let why = status["why"].as_str().expect("why");
            assert!(why.contains(file) && why.contains(problem), "{service}: {why}");
        }
    }
    let why = supervisor.service_status("app")["why"].as_str().expect("why").to_owned();
    assert!(why.contains("line 1 is not NAME=value"), "{why}");
    assert_eq!(supervisor.stop(), 0);
}

#[test]
fn a_service_of_another_user_can_open_its_standard_output_by_name() {
    if !is_root() {
        return;
    }
    let script = "echo one > /dev/stdout; echo two > /dev/stderr; echo three > /proc/self/fd/1; \
                  echo four >> /dev/fd/2; echo five | tee /dev/stderr > /dev/null; echo six as `id -u`";
    let mut supervisor = Supervisor::new("linux");
    let users = [
        ("numbers", "54321:54321", "54321"),
        ("group", "54322:0", "54322"),
        ("name", "nobody", "65534"),
    ];
    for (name, user, _) in users {
        let keys = format!("args = [\"-c\", {script:?}]\nkind = \"task\"\nuser = \"{user}\"");
        supervisor = supervisor.program(name, "sh", &keys);
    }
    let mut supervisor = supervisor.start();
    for (name, ..) in users {
        supervisor.wait_for_state(name, "completed");
    }
    assert_eq!(supervisor.stop(), 0);
    for (name, _, uid) in users {
        let mut messages = supervisor.messages(name);
        messages.sort();
        let own = format!("six as {uid}");
        assert_eq!(messages, ["five", "four", "one", &own, "three", "two"], "{name}");
    }
}

#[test]
fn a_configuration_that_hangs_or_is_none_holds_up_only_its_reload() {
    let mut supervisor =
        with_hung_files(Supervisor::new("linux").service("app", &["forever"], "")).start();
    supervisor.wait_for_state("app", "ready");
    let path = supervisor.path("santa.toml");
    let right = fs::read(&path).expect("configuration");
    let replace = |with: &str, make: &[&str]| {
        fs::remove_file(&path).expect("remove");
        let made = Command::new(make[0]).args(&make[1..]).arg(with).arg(&path).status();
        assert!(made.expect("it runs").success());
    };
    let refused = |why: &str| {
        let mut command = supervisor.command();
        command.arg("reload-config").arg("--socket").arg(supervisor.path("control.sock"));
        let output = command.output().expect("it runs");
        let reports = crate::support::text(&output.stderr);
        assert!(output.status.code() == Some(1) && reports.contains(why), "{reports}");
    };
    for file in ["/dev/zero", "/dev/full", "/tmp"] {
        replace(file, &["ln", "-s"]);
        refused("is not a regular file");
    }
    fs::remove_file(&path).expect("remove");
    refused("cannot be read: No such file");
    let made = Command::new("mkfifo").arg(&path).status().expect("mkfifo runs");
    assert!(made.success());
    refused("is not a regular file");
    fs::remove_file(&path).expect("remove");
    fs::write(&path, vec![b'#'; (1 << 20) + 1]).expect("large");
    refused("has more than 1048576 bytes");
    fs::write(&path, right).expect("right");
    supervisor.ctl_ok(&["reload-config"]);
    assert_eq!(supervisor.stop(), 0);
}

#[test]
fn a_reload_whose_configuration_hangs_stops_nothing() {
    let supervisor = with_hung_files(Supervisor::new("linux").service("app", &["forever"], ""));
    // Read at the start by another name, and again by this one.
    let switch = supervisor.path("switch");
    let mut supervisor = supervisor.setting("HUNG_FROM", &switch).start();
    supervisor.wait_for_state("app", "ready");
    fs::write(&switch, supervisor.path("santa.toml").display().to_string()).expect("switch");
    supervisor.signal(libc::SIGHUP);
    let socket = supervisor.path("control.sock");
    let ctl = |arguments: &[&str]| {
        let mut command = Command::new(SUPERVISE);
        command.args(arguments).arg("--socket").arg(&socket).output().expect("it runs")
    };
    let _waiting = supervisor.send(b"{\"op\":\"reload-config\"}\n");
    assert!(ctl(&["restart", "app"]).status.success());
    assert!(ctl(&["healthcheck"]).status.success());
    assert_eq!(supervisor.stop(), 0);
}

#[test]
fn a_reload_whose_sockets_hang_stops_nothing() {
    for os in ["linux", "linux-without-pidfd", "portable"] {
        let supervisor = with_hung_files(Supervisor::new(os).service("app", &["forever"], ""));
        let mut supervisor = supervisor.start();
        supervisor.wait_for_state("app", "ready");
        let path = supervisor.path("hung/new.sock").display().to_string();
        supervisor = supervisor.socket_at("new", &format!("unix:{path}")).service(
            "more",
            &["forever"],
            "sockets = [\"new\"]",
        );
        supervisor.write();
        let _waiting = supervisor.send(b"{\"op\":\"reload-config\"}\n");
        supervisor.signal(libc::SIGHUP);
        supervisor.ctl_ok(&["restart", "app"]);
        assert!(!supervisor.log().contains("configuration reloaded"));
        assert_eq!(supervisor.stop(), 0);
    }
}

#[test]
fn a_socket_whose_file_cannot_be_removed_does_not_hold_up_the_end() {
    for os in ["linux", "portable"] {
        let supervisor = with_hung_files(Supervisor::new(os)).socket("main");
        let switch = supervisor.path("switch");
        let supervisor = supervisor.service("app", &["forever"], "sockets = [\"main\"]");
        let mut supervisor = supervisor.setting("HUNG_FROM", &switch).start();
        supervisor.wait_for_state("app", "ready");
        fs::write(&switch, supervisor.path("main.sock").display().to_string()).expect("switch");
        assert_eq!(supervisor.stop(), 0);
    }
}

#[test]
fn a_notify_socket_that_cannot_be_bound_or_removed_holds_up_nobody() {
    for os in ["linux", "linux-without-pidfd", "portable"] {
        let supervisor = with_hung_files(Supervisor::new(os));
        let switch = supervisor.path("switch");
        let notifies =
            "ready = { kind = \"notify\" }\nrestart = \"always\"\nstart_timeout = \"1h\"";
        let mut supervisor = supervisor
            .service("first", &["notify READY=1", "forever"], notifies)
            .service("second", &["notify READY=1", "forever"], notifies)
            .service("app", &["forever"], "")
            .setting("HUNG_FROM", &switch)
            .start();
        supervisor.wait_for_state("first", "ready");
        supervisor.wait_for_state("second", "ready");
        let hang = |name: &str| {
            let next = supervisor.path("switch.next");
            fs::write(&next, supervisor.path(name).display().to_string()).expect("switch");
            fs::rename(&next, &switch).expect("switch");
        };
        // That of the next start hangs.
        hang("control.sock-n4");
        let _waiting = supervisor.send(b"{\"op\":\"restart\",\"name\":\"first\"}\n");
        supervisor.until("its start hangs", || supervisor.state("first") == "starting");
        supervisor.ctl_ok(&["restart", "app"]);
        // That of the second cannot be removed when it has ended.
        hang("control.sock-n2");
        supervisor.ctl_ok(&["stop", "second"]);
        supervisor.ctl_ok(&["restart", "app"]);
        assert_eq!(supervisor.state("first"), "starting");
        assert_eq!(supervisor.stop(), 0);
    }
}

#[test]
fn a_notify_socket_without_a_place_is_the_reason_of_a_failed_start() {
    let supervisor = Supervisor::new("linux").service(
        "app",
        &["notify READY=1", "forever"],
        "ready = { kind = \"notify\" }\nstart_retries = 0",
    );
    // A folder that is not empty lies where the socket is to be.
    fs::create_dir_all(supervisor.path("control.sock-n1/full")).expect("folder");
    let mut supervisor = supervisor.start();
    supervisor.wait_for_state("app", "failed");
    let why = supervisor.service_status("app")["why"].as_str().expect("why").to_owned();
    assert!(why.contains("cannot bind its NOTIFY_SOCKET"), "{why}");
    assert!(why.contains("check that the directory of control_socket exists"), "{why}");
    assert_eq!(supervisor.stop(), 0);
}
