//! The table `[[service]]`: one program that santa-supervise runs.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use super::{Liveness, Ready};
use crate::diagnostic::Diagnostics;
use crate::node::{Node, Value};
use crate::read::Setting;
use crate::section::{section, string_enum};
use crate::signal::Signal;
use crate::values::{Mode, Size};

section! {
    /// One program that santa-supervise runs.
    pub struct Service {
        /// Name in commands, logs and `depends_on`: lower-case letters, digits
        /// and dashes.
        name: String,
        /// Whether it stays or runs to its end.
        kind: Kind = "daemon",
        /// Path of the program, or its name to be looked up in `PATH`.
        command: String,
        /// Its arguments.
        args: Vec<String>,
        /// Variables of santa-supervise that it inherits: names, `PREFIX_*`, or
        /// `*` for all; `!` before one leaves it out. Without it those that hold no secrets: `PATH`, `HOME`,
        /// `USER`, `LOGNAME`, `SHELL`, `LANG`, `LANGUAGE`, `LC_*`, `TZ`, `TMPDIR`,
        /// `TERM`, `NO_COLOR`, `LD_LIBRARY_PATH`, `LD_PRELOAD`, `MALLOC_*` and
        /// `RUST_BACKTRACE`, which every service has. One whose arguments name
        /// `{config}` also has what the file refers to outside of services.
        env_pass: Vec<String>,
        /// Variables added to its environment; they win over inherited ones.
        env: BTreeMap<String, String>,
        /// Files with a `NAME=value` on each line, read at each start; `env`
        /// and `secrets` win over them, later files over earlier ones.
        env_files: Vec<PathBuf>,
        /// Variables whose values are read from these files at each start;
        /// newlines at the end are left away. For secrets that are mounted.
        secrets: BTreeMap<String, PathBuf>,
        /// Working directory; that of santa-supervise when not given.
        directory: Option<PathBuf>,
        /// Permission bits taken away from files it makes, as in "0027"; those
        /// of santa-supervise when not given.
        umask: Option<Mode>,
        /// User to run as (name or number); needs root.
        user: Option<String>,
        /// Services that must be ready (daemons) or completed (tasks) first;
        /// `{ name = "…", condition = "started" }` is content with less.
        depends_on: Vec<Dependency>,
        /// Services that must have stopped, when everything is stopped, before
        /// this one is asked to; for those that use it without depending on it.
        stop_after: Vec<String>,
        /// Names of the sockets handed to it, as descriptors from 3 on in this
        /// order (`LISTEN_FDS`, `LISTEN_FDNAMES`).
        sockets: Vec<String>,
        /// How to tell that it is ready.
        ready: Ready,
        /// How to tell that a ready one still works; nobody looks without it.
        liveness: Option<Liveness>,
        /// Longest a daemon may take to become ready, and a task to complete.
        start_timeout: Duration = "30s",
        /// How long before that signal it is already called stopping, for those
        /// who send it work to turn to other instances.
        stop_delay: Duration = "0s",
        /// Signal that asks it to stop.
        stop_signal: Signal = "TERM",
        /// How long it may take to stop before `stop_then`, or the kill.
        stop_timeout: Duration = "8s",
        /// Further signals to one that has not stopped, each with its time,
        /// before it is killed.
        stop_then: Vec<StopStep>,
        /// Signal that makes it reload; without one a reload is a restart.
        reload_signal: Option<Signal>,
        /// When to start it again after it exits on its own.
        restart: Restart = "on-failure",
        /// How long to wait before starting it again.
        backoff: Backoff,
        /// Failed starts in a row before it counts as failed.
        start_retries: u32 = 5,
        /// Whether everything stops, with this service's exit code, when it
        /// counts as failed.
        critical: bool = false,
        /// Exit codes that count as success; ending by `stop_signal` after a
        /// requested stop always does.
        success_codes: Vec<i32> = [0],
        /// How many run side by side.
        instances: u32 = 1,
        /// Limits set before it starts.
        limits: Limits,
        /// Files and folders, looked at every second while it runs: when one
        /// has changed, it reloads (by `reload_signal`, else by a restart).
        watch: Vec<PathBuf>,
        /// How much it may write.
        log: ServiceLog,
    }
}

string_enum! {
    /// What a service must have reached for those that depend on it.
    pub enum Condition {
        /// Ready; a task must have completed.
        Ready = "ready",
        /// Started, ready or not.
        Started = "started",
        /// Ended with success.
        Completed = "completed",
    }
}

section! {
    /// A service that another one depends on.
    pub(super) struct DependencySpec {
        /// Name of the service.
        name: String,
        /// What it must have reached.
        condition: Condition = "ready",
    }
}

/// A service that another one depends on; its name alone means ready.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dependency {
    /// Name of the service.
    pub service: String,
    /// What it must have reached.
    pub condition: Condition,
}

impl Setting for Dependency {
    const EXPECTED: &'static str = "a list of names, or of { name, condition }";

    fn read(node: &Node, key: &str, diagnostics: &mut Diagnostics) -> Option<Self> {
        if let Value::Text(name) = &node.value {
            return Some(Self { service: name.clone(), condition: Condition::Ready });
        }
        let DependencySpec { name, condition } = DependencySpec::read(node, key, diagnostics)?;
        Some(Self { service: name, condition })
    }
}

section! {
    /// A further signal to a service that has not stopped, before it is killed.
    pub struct StopStep {
        /// The signal.
        signal: Signal,
        /// How long it may take to stop before the next step, or the kill.
        wait: Duration = "1s",
    }
}

string_enum! {
    /// Whether a service stays or runs to its end.
    pub enum Kind {
        /// Runs until it is stopped.
        Daemon = "daemon",
        /// Runs to its end; exit code 0 completes it.
        Task = "task",
    }
}

string_enum! {
    /// When a service is started again after it exits on its own.
    pub enum Restart {
        /// Whatever its exit code.
        Always = "always",
        /// After a failure only.
        OnFailure = "on-failure",
        /// Not at all.
        Never = "never",
    }
}

section! {
    /// How long to wait before starting a service again: `initial`, then
    /// `factor` times as long after each failed start, never above `max`.
    pub struct Backoff {
        /// The first wait.
        initial: Duration = "100ms",
        /// Growth from one wait to the next.
        factor: f64 = 2.0,
        /// The longest wait.
        max: Duration = "30s",
        /// Share of the wait that is left to chance, 0 to 1.
        jitter: f64 = 0.2,
        /// Time in readiness after which failures are forgotten.
        reset_after: Duration = "60s",
    }
}

section! {
    /// Limits set before a service starts.
    pub struct Limits {
        /// Open files; not above the hard limit of santa-supervise.
        nofile: Option<u64>,
        /// Size of core dumps in bytes; 0 for none.
        core: Option<u64>,
        /// Processes and threads of its user.
        nproc: Option<u64>,
        /// Address space of each of its processes.
        address_space: Option<Size>,
        /// From -1000 to 1000: how soon the kernel picks it when memory runs
        /// out; lower than that of santa-supervise needs privileges. Linux only.
        oom_score_adj: Option<i32>,
    }
}

section! {
    /// How much a service may write. What is over it is dropped and counted.
    pub struct ServiceLog {
        /// Lines a second in the long run; without limit when not given.
        rate: Option<u32>,
        /// Lines at once after a silence.
        burst: u32 = 10000,
    }
}
