//! Before anything runs: a configuration that cannot be read yet is waited for,
//! and a signal ends the wait.

use std::fs::{self, File, OpenOptions};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::support::preload::with_hung_files;
use crate::support::{SUPERVISE, Supervisor, holds_in_time, text};

fn fifo(path: &Path) {
    assert!(Command::new("mkfifo").arg(path).status().expect("mkfifo runs").success());
}

/// Whether a process has signals of its own way of being told, so that as PID 1 it
/// would be told of them, too.
fn takes_sigterm(pid: u32) -> bool {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let bits = status.lines().filter_map(|line| {
        line.strip_prefix("SigBlk:\t").or_else(|| line.strip_prefix("SigCgt:\t"))
    });
    bits.filter_map(|bits| u64::from_str_radix(bits, 16).ok())
        .any(|bits| bits & (1 << (libc::SIGTERM - 1)) != 0)
}

fn start(supervisor: &Supervisor, os: &str, config: &Path) -> Child {
    let mut command = Command::new(SUPERVISE);
    command.arg("--config").arg(config).arg("run").env("SANTA_SUPERVISE_OS", os);
    command.envs(supervisor.variables());
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    command.spawn().expect("santa-supervise starts")
}

#[test]
fn a_configuration_that_does_not_come_does_not_hold_up_its_end() {
    let supervisor = with_hung_files(Supervisor::new("linux"));
    let (nobody, silent) = (supervisor.path("nobody"), supervisor.path("silent"));
    fifo(&nobody);
    fifo(&silent);
    let _silent = OpenOptions::new().read(true).write(true).open(&silent).expect("FIFO");
    for os in ["linux", "linux-without-pidfd", "portable"] {
        for config in [&nobody, &silent, &supervisor.path("hung/santa.toml")] {
            for signal in [libc::SIGTERM, libc::SIGINT, libc::SIGQUIT] {
                let child = start(&supervisor, os, config);
                let pid = child.id();
                assert!(holds_in_time(|| takes_sigterm(pid)), "{os} {config:?}");
                crate::support::kill(pid.cast_signed(), signal);
                let output = child.wait_with_output().expect("wait");
                let message = text(&output.stderr);
                let reading = format!("received while reading {}", config.display());
                assert!(
                    output.status.code() == Some(0) && message.contains(&reading),
                    "{os}: {message}"
                );
            }
        }
    }
}

#[test]
fn sockets_on_a_mount_that_hangs_do_not_hold_up_its_end() {
    for (os, hung) in [("linux", "main"), ("portable", "main"), ("linux", "control")] {
        let supervisor = with_hung_files(Supervisor::new(os));
        let path = supervisor.path("hung/any.sock").display().to_string();
        let mut supervisor = match hung {
            "main" => supervisor.socket_at("main", &format!("unix:{path}")),
            _ => supervisor.socket("main"),
        };
        supervisor = supervisor.service("app", &["forever"], "sockets = [\"main\"]");
        let config = supervisor.write();
        if hung == "control" {
            let own = supervisor.path("control.sock").display().to_string();
            let text = fs::read_to_string(&config).expect("configuration").replace(&own, &path);
            fs::write(&config, text).expect("configuration");
        }
        let child = start(&supervisor, os, &config);
        let pid = child.id();
        // The process that binds.
        assert!(holds_in_time(|| takes_sigterm(pid) && waits_for_a_worker(pid)), "{os} {hung}");
        crate::support::kill(pid.cast_signed(), libc::SIGTERM);
        let output = child.wait_with_output().expect("wait");
        let message = text(&output.stderr);
        let right = output.status.code() == Some(0) && message.contains("received while");
        assert!(right, "{os} {hung}: {message}");
    }
}

/// Whether it has a child beside the guard.
fn waits_for_a_worker(pid: u32) -> bool {
    let list = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    list.split_whitespace().count() > 1
}

#[test]
fn a_configuration_may_come_from_a_pipe() {
    for way in ["cat $1 | $0 --config /dev/stdin run", "$0 --config <(cat $1) run"] {
        let supervisor = Supervisor::new("linux").service("app", &["forever"], "");
        let (script, config) = (format!("exec 2>&1; {way}"), supervisor.write());
        let mut shell = Command::new("bash");
        shell.args(["-c", &script, SUPERVISE]).arg(config).stdin(Stdio::null());
        let child = shell.stdout(File::create(supervisor.path("log")).expect("log")).spawn();
        let mut child = child.expect("bash runs");
        supervisor.wait_for_state("app", "ready");
        supervisor.ctl_ok(&["shutdown"]);
        assert!(child.wait().expect("wait").success(), "{way}");
    }
}

#[test]
fn a_configuration_without_end_is_refused() {
    let supervisor = Supervisor::new("linux");
    let large = supervisor.path("large");
    fs::write(&large, vec![b'#'; (1 << 20) + 1]).expect("large");
    let binary = supervisor.path("binary");
    fs::write(&binary, [b'#', 0xff, b'\n']).expect("binary");
    let cases = [
        (Path::new("/dev/zero"), "it has more than 1048576 bytes"),
        (&large, "it has more than 1048576 bytes"),
        (&binary, "it is not UTF-8"),
        (supervisor.dir.path(), "Is a directory"),
    ];
    for (config, problem) in cases {
        let output = start(&supervisor, "linux", config).wait_with_output().expect("wait");
        let message = text(&output.stderr);
        assert!(
            output.status.code() == Some(78) && message.contains(problem),
            "{config:?}: {message}"
        );
    }
}
