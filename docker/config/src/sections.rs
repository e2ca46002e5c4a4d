//! Everything that can be set. Each key has its unit in its documentation and
//! its default beside it; docs/configuration.md is printed from this file and
//! from `proxy` beside it.

mod proxy;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

pub use self::proxy::{
    Access, ClientCertificate, Console, Proxy, ProxyLimits, ProxyTimeouts, ProxyTls,
};
use crate::mistake::Mistakes;
use crate::node::Node;
use crate::read::{Setting, refuse};
use crate::section::{section, words};
use crate::values::{Address, Mode, Size, Version};

section! {
    /// The whole file.
    pub struct Config {
        /// Version of the file's format.
        version: Version,
        /// Where the parts lie.
        paths: Paths,
        /// Sockets that santa-supervise binds once, keeps, and hands to services.
        sockets as "socket": BTreeMap<String, Socket>,
        /// The listener for operators.
        admin: Admin,
        /// santa-supervise itself.
        supervisor: Supervisor,
        /// santa-proxy.
        proxy: Proxy,
        /// What santa-supervise runs, in no particular order.
        services as "service": Vec<Service>,
    }
}

section! {
    /// Where the parts lie. Other values refer to these as `{paths.NAME}`.
    pub struct Paths {
        /// The built console that santa-proxy serves.
        www: PathBuf,
        /// The backend and the Python packages it needs.
        app: PathBuf,
        /// Directory of `santa-proxy` and `santa-supervise`.
        bin: PathBuf,
        /// The Python interpreter.
        python: PathBuf,
    }
}

section! {
    /// A listening socket. It belongs to santa-supervise, so it survives a
    /// restart of the service that accepts on it and connections wait instead
    /// of being refused. A service with several instances gets one Unix socket
    /// for each: `/tmp/uvicorn.sock` becomes `/tmp/uvicorn-0.sock` and so on.
    pub struct Socket {
        /// TCP address or Unix path.
        listen: Address,
        /// Permission bits of a Unix socket; no meaning for TCP.
        mode: Mode = "0600",
        /// How many connections may wait to be accepted.
        backlog: u32 = 1024,
    }
}

section! {
    /// The listener for operators, never on the public port.
    pub struct Admin {
        /// Where `/metrics` is served; empty switches it off.
        listen: Option<SocketAddr>,
    }
}

section! {
    /// santa-supervise itself.
    pub struct Supervisor {
        /// Unix socket for `santa-supervise status` and the other commands.
        control_socket: PathBuf,
        /// Longest an orderly stop of everything may take before what is left
        /// is killed. Keep it below the grace period of the container engine.
        shutdown_timeout: Duration = "9s",
        /// How the output of services is passed on.
        log: SupervisorLog,
    }
}

section! {
    /// How the output of services is passed on.
    pub struct SupervisorLog {
        /// One JSON object a line, or coloured lines for people; `auto` is
        /// pretty on a terminal and JSON elsewhere.
        format: LogFormat = "auto",
        /// What may wait for a slow reader of the log before lines are dropped
        /// (and counted).
        buffer: Size = "4MiB",
        /// Longest line; what is longer is split into marked records.
        max_line: Size = "64KiB",
    }
}

words! {
    /// The form of log lines.
    pub enum LogFormat {
        /// Pretty on a terminal, JSON elsewhere.
        Auto = "auto",
        /// One JSON object a line.
        Json = "json",
        /// For people.
        Pretty = "pretty",
    }
}

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
        /// Variables added to the environment that it inherits.
        env: BTreeMap<String, String>,
        /// Working directory; that of santa-supervise when not given.
        directory: Option<PathBuf>,
        /// Permission bits taken away from files it makes, as in "0027"; those
        /// of santa-supervise when not given.
        umask: Option<Mode>,
        /// User to run as (name or number); needs root.
        user: Option<String>,
        /// Services that must be ready (daemons) or completed (tasks) first.
        depends_on: Vec<String>,
        /// Services that must have stopped, when everything is stopped, before
        /// this one is asked to; for those that use it without depending on it.
        stop_after: Vec<String>,
        /// Names of the sockets handed to it, as descriptors from 3 on in this
        /// order (`LISTEN_FDS`, `LISTEN_FDNAMES`).
        sockets: Vec<String>,
        /// How to tell that it is ready.
        ready: Ready,
        /// Longest a daemon may take to become ready, and a task to complete.
        start_timeout: Duration = "30s",
        /// Signal that asks it to stop.
        stop_signal: String = "TERM",
        /// How long it may take to stop before it is killed.
        stop_timeout: Duration = "8s",
        /// Signal that makes it reload; without one a reload is a restart.
        reload_signal: Option<String>,
        /// When to start it again after it ended by itself.
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
    }
}

words! {
    /// Whether a service stays or runs to its end.
    pub enum Kind {
        /// Runs until it is stopped.
        Daemon = "daemon",
        /// Runs to its end; exit code 0 completes it.
        Task = "task",
    }
}

words! {
    /// When a service is started again after it ended by itself.
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
    }
}

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

words! {
    /// The kinds of [`Ready`].
    pub enum ReadyKind {
        /// As soon as it has been started.
        None = "none",
        /// Listens on an inherited Unix socket.
        Listen = "listen",
        /// Accepts a connection.
        Connect = "connect",
        /// Answers 200.
        Http = "http",
        /// Accepts on a Unix socket of its own.
        Unix = "unix",
        /// Has written a line.
        Log = "log",
        /// Has been running for a while.
        Delay = "delay",
    }
}

section! {
    /// How to tell that a service is ready: `kind` and what that kind needs.
    pub struct ReadySpec {
        /// `none` as soon as started; `listen` its process listens on the
        /// inherited Unix socket `socket`; `connect` that socket accepts;
        /// `http` a GET of `path` on `socket` answers 200; `unix` something
        /// accepts on the Unix socket `path`; `log` a line contains `pattern`;
        /// `delay` it has been running for `time`.
        kind: ReadyKind = "none",
        /// Name of the socket, for `listen`, `connect` and `http`.
        socket: Option<String>,
        /// Path of the request for `http`, of the socket for `unix`.
        path: Option<String>,
        /// Text of the line, for `log`.
        pattern: Option<String>,
        /// How long, for `delay`.
        time: Option<Duration>,
    }
}

impl Setting for Ready {
    const EXPECTED: &'static str = ReadySpec::EXPECTED;

    fn read(node: &Node, key: &str, mistakes: &mut Mistakes) -> Option<Self> {
        let spec = ReadySpec::read(node, key, mistakes)?;
        let ready = match spec.kind {
            ReadyKind::None => Some(Self::None),
            ReadyKind::Listen => spec.socket.map(|socket| Self::Listen { socket }),
            ReadyKind::Connect => spec.socket.map(|socket| Self::Connect { socket }),
            ReadyKind::Http => {
                spec.socket.zip(spec.path).map(|(socket, path)| Self::Http { socket, path })
            }
            ReadyKind::Unix => spec.path.map(|path| Self::Unix { path: path.into() }),
            ReadyKind::Log => spec.pattern.map(|pattern| Self::Log { pattern }),
            ReadyKind::Delay => spec.time.map(|time| Self::Delay { time }),
        };
        ready.or_else(|| refuse(node, key, &needs(spec.kind), mistakes))
    }

    fn absent(_key: &str, _mistakes: &mut Mistakes) -> Option<Self> {
        Some(Self::None)
    }

    fn reference(key: &str, out: &mut Vec<crate::reference::Table>) -> bool {
        ReadySpec::reference(key, out)
    }
}

fn needs(kind: ReadyKind) -> String {
    let keys = match kind {
        ReadyKind::None => "nothing else",
        ReadyKind::Listen | ReadyKind::Connect => "socket = \"NAME\"",
        ReadyKind::Http => "socket = \"NAME\" and path = \"/…\"",
        ReadyKind::Unix => "path = \"/…\"",
        ReadyKind::Log => "pattern = \"…\"",
        ReadyKind::Delay => "time = \"…\"",
    };
    format!("kind = \"{}\" with {keys}", kind.word())
}

impl Config {
    /// The addresses on which the backend's instances answer.
    #[must_use]
    pub fn upstreams(&self) -> Vec<Address> {
        let Some(socket) = self.sockets.get(&self.proxy.upstream) else { return Vec::new() };
        let owner =
            self.services.iter().find(|service| service.sockets.contains(&self.proxy.upstream));
        let instances = owner.map_or(1, |service| service.instances);
        (0..instances).map(|instance| socket.listen.for_instance(instance, instances)).collect()
    }
}
