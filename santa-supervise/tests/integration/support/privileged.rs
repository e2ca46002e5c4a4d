//! What takes root or namespaces of its own. Where all checks must pass (`CI`)
//! both are there, so nothing is left out.

use std::fs;
use std::process::Command;

use super::Supervisor;

/// Whether this machine lets us do what a test needs: `probe` is a shell
/// script that tries. Under `CI` the answer must be yes.
pub(crate) fn permitted(what: &str, probe: &str) -> bool {
    let tried = Command::new("sh").args(["-c", probe]).output().expect("sh runs");
    if !tried.status.success() {
        let problem = String::from_utf8_lossy(&tried.stderr).into_owned();
        assert!(std::env::var_os("CI").is_none(), "{what} is not permitted here: {problem}");
        eprintln!("not run: {what} is not permitted here: {problem}");
    }
    tried.status.success()
}

/// Whether tests can become other users.
pub(crate) fn is_root() -> bool {
    permitted("changing users", "test \"$(id -u)\" = 0 || { echo needs root >&2; false; }")
}

/// Runs it as PID 1 of a namespace of its own; gives its number as seen from
/// here.
pub(crate) fn as_pid_1(supervisor: Supervisor) -> Option<(Supervisor, i32)> {
    if !permitted("`unshare -pf --mount-proc`", "unshare -pf --mount-proc true") {
        return None;
    }
    let supervisor = supervisor.start_through("unshare", &["-pf", "--mount-proc", "--kill-child"]);
    let (outer, mut inner) = (supervisor.pid(), None);
    supervisor.until("PID 1 runs", || {
        let children = fs::read_to_string(format!("/proc/{outer}/task/{outer}/children"));
        inner = children.ok().and_then(|list| list.trim().parse().ok());
        inner.is_some()
    });
    supervisor.wait_for_control();
    Some((supervisor, inner.expect("a child")))
}

/// Runs it in a mount namespace of its own, after a shell script that sees its
/// directory as `$DIR` and ends in running `"$@"`.
pub(crate) fn after_mounting(supervisor: Supervisor, script: &str) -> Option<Supervisor> {
    permitted("`unshare -m`", "unshare -m mount -t tmpfs none /tmp").then(|| {
        let dir = supervisor.dir.path().to_owned();
        let script = format!("set -e; {script}");
        let arguments = ["-m", "sh", "-c", &script, "sh"];
        supervisor.setting("DIR", &dir).start_through("unshare", &arguments)
    })
}
