//! What goes over the control socket: one JSON object a line, first a request,
//! then one answer, or many for what is followed.

use serde::{Deserialize, Serialize};

/// A request of a client.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Request {
    /// The state of everything: answered by [`Status`].
    Status,
    /// Start a service; answered by [`Answer`] when it is ready.
    Start {
        /// `NAME` or `NAME:INSTANCE`.
        name: String,
    },
    /// Stop a service; answered when it has stopped.
    Stop {
        /// `NAME` or `NAME:INSTANCE`.
        name: String,
    },
    /// Stop and start a service; answered when it is ready again.
    Restart {
        /// `NAME` or `NAME:INSTANCE`.
        name: String,
    },
    /// Start the next generation, stop the old one when that is ready.
    RollingRestart {
        /// `NAME` or `NAME:INSTANCE`.
        name: String,
    },
    /// Nothing but wait; answered by [`Answer`].
    Wait {
        /// `NAME` or `NAME:INSTANCE`.
        name: String,
        /// Until it is ready; else until it has stopped.
        ready: bool,
    },
    /// Send the reload signal; restart where there is none.
    Reload {
        /// `NAME` or `NAME:INSTANCE`.
        name: String,
    },
    /// Send a signal to the main process.
    Signal {
        /// `NAME` or `NAME:INSTANCE`.
        name: String,
        /// Name or number.
        signal: String,
    },
    /// Why a service is in its state: answered by a list of [`Explanation`].
    Explain {
        /// `NAME` or `NAME:INSTANCE`.
        name: String,
    },
    /// What services use: answered by a list of [`ServiceUsage`].
    Usage,
    /// All numbers as Prometheus text: answered by [`Answer`].
    Metrics,
    /// Recent lines, as log records.
    Logs {
        /// Of one service or instance only.
        name: Option<String>,
        /// How many of them at most.
        lines: usize,
        /// Whether new ones are to follow.
        follow: bool,
    },
    /// Every change from now on.
    Events,
    /// Read the configuration again and apply what differs; answered by
    /// [`Answer`] as soon as that is under way.
    ReloadConfig,
    /// Stop everything and end.
    Shutdown,
    /// Whether all is well: answered by [`Answer`].
    Health {
        /// Whether every service must be ready, too.
        ready: bool,
    },
}

/// The outcome of a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// Whether what was asked was reached.
    pub ok: bool,
    /// What was reached, or why not.
    pub message: String,
}

/// The state of everything.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// santa-supervise itself.
    pub supervisor: SupervisorStatus,
    /// One entry for each instance, in the order of the configuration.
    pub services: Vec<ServiceStatus>,
}

/// santa-supervise itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SupervisorStatus {
    /// Its process.
    pub pid: u32,
    /// Its version.
    pub version: String,
    /// Which implementation of the system interface is in use.
    pub os: String,
    /// Start, in seconds since 1970.
    pub since: u64,
    /// Whether it is stopping everything.
    pub shutting_down: bool,
    /// Processes of others that it took off the process table.
    pub orphans_reaped: u64,
    /// Lines of output that no reader took in time.
    pub dropped_lines: u64,
}

/// One instance of a service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceStatus {
    /// Name of the service.
    pub name: String,
    /// Number of the instance, from 0.
    pub instance: u32,
    /// `daemon` or `task`.
    pub kind: String,
    /// Phase: see docs/supervise-states.md.
    pub state: String,
    /// Why it is in that phase.
    pub why: String,
    /// Its last `STATUS=` through `NOTIFY_SOCKET`.
    pub status_text: Option<String>,
    /// Main process, if one runs.
    pub pid: Option<i32>,
    /// Number of the current spawn, if one runs.
    pub generation: Option<u64>,
    /// How often it was started again.
    pub restarts: u64,
    /// Beginning of the phase, in seconds since 1970.
    pub since: u64,
    /// How the last main process ended.
    pub last_exit: Option<String>,
    /// Whether its failure ends everything.
    pub critical: bool,
}

/// Why a service is in its state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Explanation {
    /// Its state.
    #[serde(flatten)]
    pub status: ServiceStatus,
    /// Whether it ought to be up.
    pub wanted: bool,
    /// What happens by itself, and when.
    pub next: Option<String>,
    /// The generation that starts beside the one that serves.
    pub successor: Option<u64>,
    /// Generations that still finish.
    pub leaving: Vec<u64>,
    /// How it ended before, newest first.
    pub exits: Vec<PastExit>,
}

/// One end of a main process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PastExit {
    /// In seconds since 1970.
    pub at: u64,
    /// From its start to its end, in milliseconds.
    pub lived_ms: u64,
    /// Exit code or signal.
    pub exit: String,
    /// Its last lines.
    pub lines: Vec<String>,
}

/// What one instance uses; nothing where the system does not tell.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ServiceUsage {
    /// Its state.
    #[serde(flatten)]
    pub status: ServiceStatus,
    /// Living processes.
    pub processes: Option<u32>,
    /// Resident memory of all of them.
    pub rss_bytes: Option<u64>,
    /// CPU time of the living processes.
    pub cpu_seconds: Option<f64>,
    /// Output read from the service.
    pub log_bytes: u64,
    /// Lines of it that were dropped: over its rate, or no reader took them.
    pub dropped_lines: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_look_as_documented() {
        let cases = [
            (Request::Status, r#"{"op":"status"}"#),
            (Request::Restart { name: "a".into() }, r#"{"op":"restart","name":"a"}"#),
            (Request::Health { ready: true }, r#"{"op":"health","ready":true}"#),
        ];
        for (request, text) in cases {
            assert_eq!(serde_json::to_string(&request).expect("JSON"), text);
            assert_eq!(serde_json::from_str::<Request>(text).expect("request"), request);
        }
        assert!(serde_json::from_str::<Request>(r#"{"op":"stop","name":"a","x":1}"#).is_err());
        assert!(serde_json::from_str::<Request>(r#"{"op":"dance"}"#).is_err());
    }
}
