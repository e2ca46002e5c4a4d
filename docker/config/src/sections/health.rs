//! How to tell that a service is ready, and that it still works.

use std::path::PathBuf;
use std::time::Duration;

use crate::diagnostic::Diagnostics;
use crate::node::Node;
use crate::read::{Setting, type_error};
use crate::section::{section, string_enum};

/// How to tell that a service is ready.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ready {
    /// As soon as it has been started.
    None,
    /// Its process listens on this inherited Unix socket (seen by
    /// `SO_PEERCRED`, without a connection).
    Listen {
        /// Name of the socket.
        socket: String,
    },
    /// This socket accepts a connection.
    Connect {
        /// Name of the socket.
        socket: String,
    },
    /// A GET on this socket answers 200.
    Http {
        /// Name of the socket.
        socket: String,
        /// Path of the request.
        path: String,
    },
    /// Something accepts connections on this Unix socket of its own.
    Unix {
        /// Path of the socket.
        path: PathBuf,
    },
    /// It has sent `READY=1` to `NOTIFY_SOCKET` (sd_notify(3)).
    Notify,
    /// This program ended with 0.
    Exec {
        /// Program and arguments, run like the service itself.
        command: Vec<String>,
    },
    /// It has written a line with this text.
    Log {
        /// Text to look for.
        pattern: String,
    },
    /// It has been running for this long.
    Delay {
        /// How long.
        time: Duration,
    },
}

string_enum! {
    /// The kinds of [`Ready`].
    pub(super) enum ReadyKind {
        /// As soon as it has been started.
        None = "none",
        /// Listens on an inherited Unix socket.
        Listen = "listen",
        /// The same, by the name that says what is inherited.
        Fd = "fd",
        /// Accepts a connection.
        Connect = "connect",
        /// Answers 200.
        Http = "http",
        /// Accepts on a Unix socket of its own.
        Unix = "unix",
        /// Has said so.
        Notify = "notify",
        /// A program says so.
        Exec = "exec",
        /// Has written a line.
        Log = "log",
        /// Has been running for a while.
        Delay = "delay",
    }
}

section! {
    /// How to tell that a service is ready: `kind` and what that kind needs.
    pub(super) struct ReadySpec {
        /// `none` as soon as started; `listen` (or `fd`) its process listens on
        /// the inherited Unix socket `socket`; `connect` that socket accepts;
        /// `http` a GET of `path` on `socket` answers 200; `unix` something
        /// accepts on the Unix socket `path`; `notify` it sends `READY=1` to
        /// `NOTIFY_SOCKET`; `exec` the program `command` ends with 0; `log` a
        /// line contains `pattern`; `delay` it has been running for `time`.
        kind: ReadyKind = "none",
        /// Name of the socket, for `listen`, `fd`, `connect` and `http`.
        socket: Option<String>,
        /// Path of the request for `http`, of the socket for `unix`.
        path: Option<String>,
        /// Program and arguments, for `exec`.
        command: Vec<String>,
        /// Text of the line, for `log`.
        pattern: Option<String>,
        /// How long, for `delay`.
        time: Option<Duration>,
    }
}

impl Setting for Ready {
    const EXPECTED: &'static str = ReadySpec::EXPECTED;

    fn read(node: &Node, key: &str, diagnostics: &mut Diagnostics) -> Option<Self> {
        let spec = ReadySpec::read(node, key, diagnostics)?;
        let ready = match spec.kind {
            ReadyKind::None => Some(Self::None),
            ReadyKind::Listen | ReadyKind::Fd => spec.socket.map(|socket| Self::Listen { socket }),
            ReadyKind::Connect => spec.socket.map(|socket| Self::Connect { socket }),
            ReadyKind::Http => {
                spec.socket.zip(spec.path).map(|(socket, path)| Self::Http { socket, path })
            }
            ReadyKind::Unix => spec.path.map(|path| Self::Unix { path: path.into() }),
            ReadyKind::Notify => Some(Self::Notify),
            ReadyKind::Exec => some(spec.command).map(|command| Self::Exec { command }),
            ReadyKind::Log => spec.pattern.map(|pattern| Self::Log { pattern }),
            ReadyKind::Delay => spec.time.map(|time| Self::Delay { time }),
        };
        ready.or_else(|| type_error(node, key, &needs(spec.kind), diagnostics))
    }

    fn default_value(_key: &str, _diagnostics: &mut Diagnostics) -> Option<Self> {
        Some(Self::None)
    }

    fn reference(key: &str, out: &mut Vec<crate::reference::Table>) -> bool {
        ReadySpec::reference(key, out)
    }
}

fn needs(kind: ReadyKind) -> String {
    let keys = match kind {
        ReadyKind::None | ReadyKind::Notify => "nothing else",
        ReadyKind::Listen | ReadyKind::Fd | ReadyKind::Connect => "socket = \"NAME\"",
        ReadyKind::Http => "socket = \"NAME\" and path = \"/…\"",
        ReadyKind::Unix => "path = \"/…\"",
        ReadyKind::Exec => "command = [\"…\"]",
        ReadyKind::Log => "pattern = \"…\"",
        ReadyKind::Delay => "time = \"…\"",
    };
    format!("kind = \"{}\" with {keys}", kind.word())
}

fn some(command: Vec<String>) -> Option<Vec<String>> {
    (!command.is_empty()).then_some(command)
}

/// How a ready service shows that it still works.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LivenessProbe {
    /// This socket accepts a connection.
    Connect {
        /// Name of the socket.
        socket: String,
    },
    /// A GET on this socket answers 200.
    Http {
        /// Name of the socket.
        socket: String,
        /// Path of the request.
        path: String,
    },
    /// This program ends with 0.
    Exec {
        /// Program and arguments, run like the service itself.
        command: Vec<String>,
    },
    /// It sends `WATCHDOG=1` to `NOTIFY_SOCKET` (sd_notify(3)).
    Notify,
}

/// How to tell that a ready service still works, and how patiently.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Liveness {
    /// What to probe.
    pub probe: LivenessProbe,
    /// From the end of one probe to the next.
    pub interval: Duration,
    /// Timeout of a probe.
    pub timeout: Duration,
    /// Failed probes in a row after which it is stopped.
    pub failures: u32,
}

string_enum! {
    /// The kinds of [`LivenessProbe`].
    pub(super) enum LivenessKind {
        /// Accepts a connection.
        Connect = "connect",
        /// Answers 200.
        Http = "http",
        /// A program says so.
        Exec = "exec",
        /// Says so itself.
        Notify = "notify",
    }
}

section! {
    /// How to tell that a ready service still works. One that does not is
    /// stopped and treated like one that failed on its own.
    pub(super) struct LivenessSpec {
        /// `connect` the socket `socket` accepts; `http` a GET of `path` on
        /// `socket` answers 200; `exec` the program `command` ends with 0;
        /// `notify` it sends `WATCHDOG=1` to `NOTIFY_SOCKET` more often than
        /// every `interval` (`WATCHDOG_USEC` tells it).
        kind: LivenessKind,
        /// Name of the socket, for `connect` and `http`.
        socket: Option<String>,
        /// Path of the request, for `http`.
        path: Option<String>,
        /// Program and arguments, for `exec`.
        command: Vec<String>,
        /// From the end of one probe to the next.
        interval: Duration = "10s",
        /// Timeout of a probe; for `notify`, how late a message may be.
        timeout: Duration = "2s",
        /// Failed probes in a row after which it is stopped; a late message
        /// (`notify`) is enough.
        failures: u32 = 3,
    }
}

impl Setting for Liveness {
    const EXPECTED: &'static str = LivenessSpec::EXPECTED;

    fn read(node: &Node, key: &str, diagnostics: &mut Diagnostics) -> Option<Self> {
        let spec = LivenessSpec::read(node, key, diagnostics)?;
        let LivenessSpec { kind, socket, path, command, interval, timeout, failures } = spec;
        let probe = match kind {
            LivenessKind::Connect => socket.map(|socket| LivenessProbe::Connect { socket }),
            LivenessKind::Http => {
                socket.zip(path).map(|(socket, path)| LivenessProbe::Http { socket, path })
            }
            LivenessKind::Exec => some(command).map(|command| LivenessProbe::Exec { command }),
            LivenessKind::Notify => Some(LivenessProbe::Notify),
        };
        let keys = match kind {
            LivenessKind::Connect => "socket = \"NAME\"",
            LivenessKind::Http => "socket = \"NAME\" and path = \"/…\"",
            LivenessKind::Exec => "command = [\"…\"]",
            LivenessKind::Notify => "nothing else",
        };
        match probe {
            Some(probe) => Some(Self { probe, interval, timeout, failures }),
            None => type_error(
                node,
                key,
                &format!("kind = \"{}\" with {keys}", kind.word()),
                diagnostics,
            ),
        }
    }

    fn reference(key: &str, out: &mut Vec<crate::reference::Table>) -> bool {
        LivenessSpec::reference(key, out)
    }
}
