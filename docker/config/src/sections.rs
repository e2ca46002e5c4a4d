//! Everything that can be set. Each key has its unit in its documentation and
//! its default beside it; docs/configuration.md is printed from this file and
//! from those below it.

mod health;
mod hook;
mod proxy;
mod service;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

pub use self::health::{Liveness, LivenessProbe, Ready};
pub use self::hook::{Hook, PostTarget, State};
pub use self::proxy::{
    Access, ClientCertificate, Console, Proxy, ProxyLimits, ProxyTimeouts, ProxyTls,
};
pub use self::service::{
    Backoff, Condition, Dependency, Kind, Limits, Restart, Service, ServiceLog, StopStep,
};
use crate::section::{section, string_enum};
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
        /// What is told of the services' changes of state.
        hooks as "hook": Vec<Hook>,
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
    /// One that systemd's socket activation passes (`LISTEN_FDS`) is used instead
    /// of binding it: that of the same name (`FileDescriptorName=`), or without a
    /// name that of the same port or path.
    pub struct Socket {
        /// TCP address or Unix path. `[::]:PORT` is every address of the
        /// machine, IPv4 and IPv6, or IPv4 alone where there is no IPv6;
        /// `0.0.0.0:PORT` is every IPv4 address.
        listen: Address,
        /// Permission bits of a Unix socket; no meaning for TCP.
        mode: Mode = "0600",
        /// How many connections may wait to be accepted.
        backlog: u32 = 1024,
        /// Whether another container may listen at the same TCP address
        /// (`SO_REUSEPORT`), so that on a host's network a new one can start
        /// beside the old one. Both need it, and the same user. The host
        /// needs `net.ipv4.tcp_migrate_req=1`. A change takes effect with the
        /// next start of santa-supervise.
        reuseport: bool = false,
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
        /// One JSON object a line, or colored lines for people; `auto` is
        /// pretty on a terminal and JSON elsewhere.
        format: LogFormat = "auto",
        /// What may wait for a slow reader of the log before lines are dropped
        /// (and counted).
        buffer: Size = "4MiB",
        /// Longest line; what is longer is split into marked records.
        max_line: Size = "64KiB",
    }
}

string_enum! {
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
