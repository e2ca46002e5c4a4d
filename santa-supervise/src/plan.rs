//! Pure: from the configuration to one blueprint for each instance of each
//! service. The configuration has been checked before; descriptors and processes
//! are not known here.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use santa_config::{
    Address, Condition, Config, Dependency, Kind, LivenessProbe, Ready, Service, Signal,
};

use crate::fill::{Values, fill};
use crate::machine::{Readiness, Spec};

/// How to see that an instance is ready, or still works.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProbeKind {
    /// Its tree listens on this inherited socket.
    Listen(Address),
    /// This address accepts a connection.
    Connect(Address),
    /// A GET of this path at this address answers 200.
    Http(Address, String),
    /// This program and its arguments end with 0.
    Exec(Vec<String>),
    /// It says so through `NOTIFY_SOCKET`.
    Notify,
    /// One of its lines contains this.
    Log(String),
}

/// How to see that an instance still works, and how patiently.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Liveness {
    /// What to probe; never `Listen` or `Log`.
    pub probe: ProbeKind,
    /// From the end of one probe to the next.
    pub interval: Duration,
    /// Timeout of a probe.
    pub timeout: Duration,
    /// Failed probes in a row that mean it does not work.
    pub failures: u32,
}

/// All that is needed to run one instance.
#[derive(Debug, Clone, PartialEq)]
pub struct Blueprint {
    /// What the core knows of it.
    pub spec: Spec,
    /// Program and arguments, filled in.
    pub command: Vec<String>,
    /// Names and patterns of the variables that it inherits.
    pub inherits: Vec<String>,
    /// Added to the environment, filled in.
    pub environment: Vec<(String, String)>,
    /// The rest of the configuration.
    pub service: Service,
    /// Names and addresses of the sockets to hand over.
    pub sockets: Vec<(String, Address)>,
    /// How it becomes ready, where the event loop has to probe.
    pub probe: Option<ProbeKind>,
    /// How it shows that it still works.
    pub liveness: Option<Liveness>,
    /// Numbers of the signals that ask it to stop, one after the other; none in
    /// the time before the first.
    pub stop_signals: Vec<Option<i32>>,
    /// Number of the signal that makes it reload.
    pub reload_signal: Option<i32>,
}

impl Blueprint {
    /// Whether it gets a `NOTIFY_SOCKET`.
    #[must_use]
    pub fn notifies(&self) -> bool {
        let liveness = self.liveness.as_ref().map(|liveness| &liveness.probe);
        [self.probe.as_ref(), liveness].contains(&Some(&ProbeKind::Notify))
    }

    /// Whether it is ready when it says so in its `NOTIFY_SOCKET`.
    #[must_use]
    pub fn is_ready_by_notify(&self) -> bool {
        self.probe == Some(ProbeKind::Notify)
    }

    /// The line that means that it is ready, if one does.
    #[must_use]
    pub fn ready_line(&self) -> Option<&str> {
        match &self.probe {
            Some(ProbeKind::Log(line)) => Some(line),
            _ => None,
        }
    }

    /// Whether a process of `self` would do for `other`, too.
    #[must_use]
    pub fn same_process(&self, other: &Self) -> bool {
        let started_with = |one: &Self| {
            let service = &one.service;
            (
                service.directory.clone(),
                service.umask,
                service.user.clone(),
                service.env_files.clone(),
                service.secrets.clone(),
                service.limits.clone(),
                service.kind,
            )
        };
        self.command == other.command
            && self.inherits == other.inherits
            && self.environment == other.environment
            && self.sockets == other.sockets
            && self.notifies() == other.notifies()
            && started_with(self) == started_with(other)
    }
}

/// The configuration file, as services see it.
#[derive(Debug, Clone, Copy)]
pub struct ConfigFile<'a> {
    /// What `{config}` stands for.
    pub path: &'a Path,
    /// The variables that a service needs to read it.
    pub variables: &'a BTreeSet<String>,
}

/// Blueprints for all instances, in the order of the configuration.
#[must_use]
pub fn blueprints(config: &Config, file: ConfigFile<'_>) -> Vec<Blueprint> {
    let all = config.services.iter().flat_map(|service| {
        (0..service.instances).map(move |instance| blueprint(config, file, service, instance))
    });
    all.collect()
}

fn blueprint(config: &Config, file: ConfigFile<'_>, service: &Service, instance: u32) -> Blueprint {
    let address = |name: &str| address_of(config, service, name, instance);
    let config_path = file.path.display().to_string();
    let values = Values {
        config: &config_path,
        control_socket: &config.supervisor.control_socket.display().to_string(),
        instance,
        handed: &service.sockets,
        address: &address,
    };
    let all = |texts: &[String]| texts.iter().map(|text| fill(text, &values)).collect::<Vec<_>>();
    let probe = probe(service, &address, &all);
    let environment = service.env.iter();
    let handed = service.sockets.iter();
    Blueprint {
        command: [vec![fill(&service.command, &values)], all(&service.args)].concat(),
        inherits: inherits(service, file.variables),
        environment: environment.map(|(name, text)| (name.clone(), fill(text, &values))).collect(),
        sockets: handed.filter_map(|name| Some((name.clone(), address(name)?))).collect(),
        spec: Spec {
            depends_on: dependencies(config, service),
            ..spec(service, instance, probe.as_ref())
        },
        stop_signals: stop_steps(service)
            .map(|(signal, _)| signal.map(|signal| signal.0))
            .collect(),
        reload_signal: service.reload_signal.map(|signal| signal.0),
        liveness: liveness(service, &address, &all),
        probe,
        service: service.clone(),
    }
}

/// What `service` declares; and what it needs to read the configuration, if it does.
fn inherits(service: &Service, variables: &BTreeSet<String>) -> Vec<String> {
    let texts = service.args.iter().chain(service.env.values());
    let reads = texts.chain([&service.command]).any(|text| text.contains("{config}"));
    let shared = variables.iter().filter(|_| reads);
    service.env_pass.iter().chain(shared).cloned().collect()
}

/// What `service` waits for. One with a socket that another container shares takes
/// connections from that one as soon as it listens, so all other services have to be ready
/// before, except those that wait for it or share one themselves.
fn dependencies(config: &Config, service: &Service) -> Vec<Dependency> {
    let is_shared = |name: &String| config.sockets.get(name).is_some_and(|socket| socket.reuseport);
    let shares = |service: &Service| service.sockets.iter().any(is_shared);
    let mut found = service.depends_on.clone();
    if !shares(service) {
        return found;
    }
    for other in config.services.iter().filter(|other| !shares(other)) {
        let is_named = found.iter().any(|one| one.service == other.name);
        if !is_named && !waits_for(config, &other.name, &service.name) {
            found.push(Dependency { service: other.name.clone(), condition: Condition::Ready });
        }
    }
    found
}

/// Whether a service is, or needs, another one. The configuration has no circles.
fn waits_for(config: &Config, name: &str, other: &str) -> bool {
    let service = config.services.iter().find(|service| service.name == name);
    name == other
        || service.is_some_and(|service| {
            service.depends_on.iter().any(|needed| waits_for(config, &needed.service, other))
        })
}

/// The address of a socket as `service` sees it: its own instance's where it is
/// handed over, else that of the first instance of the service that serves it.
fn address_of(config: &Config, service: &Service, name: &str, instance: u32) -> Option<Address> {
    let listen = &config.sockets.get(name)?.listen;
    if service.sockets.iter().any(|socket| socket == name) {
        return Some(listen.for_instance(instance, service.instances));
    }
    let serves = |other: &&Service| other.sockets.iter().any(|socket| socket == name);
    let instances = config.services.iter().find(serves).map_or(1, |owner| owner.instances);
    Some(listen.for_instance(0, instances))
}

fn probe(
    service: &Service,
    address: &dyn Fn(&str) -> Option<Address>,
    fill: &dyn Fn(&[String]) -> Vec<String>,
) -> Option<ProbeKind> {
    match &service.ready {
        Ready::None | Ready::Delay { .. } => None,
        Ready::Listen { socket } => address(socket).map(ProbeKind::Listen),
        Ready::Connect { socket } => address(socket).map(ProbeKind::Connect),
        Ready::Http { socket, path } => {
            address(socket).map(|address| ProbeKind::Http(address, path.clone()))
        }
        Ready::Unix { path } => Some(ProbeKind::Connect(Address::Unix(path.clone()))),
        Ready::Notify => Some(ProbeKind::Notify),
        Ready::Exec { command } => Some(ProbeKind::Exec(fill(command))),
        Ready::Log { pattern } => Some(ProbeKind::Log(pattern.clone())),
    }
}

fn liveness(
    service: &Service,
    address: &dyn Fn(&str) -> Option<Address>,
    fill: &dyn Fn(&[String]) -> Vec<String>,
) -> Option<Liveness> {
    let configured = service.liveness.as_ref()?;
    let probe = match &configured.probe {
        LivenessProbe::Connect { socket } => ProbeKind::Connect(address(socket)?),
        LivenessProbe::Http { socket, path } => ProbeKind::Http(address(socket)?, path.clone()),
        LivenessProbe::Exec { command } => ProbeKind::Exec(fill(command)),
        LivenessProbe::Notify => ProbeKind::Notify,
    };
    let santa_config::Liveness { interval, timeout, failures, .. } = *configured;
    Some(Liveness { probe, interval, timeout, failures })
}

/// How it is asked to stop: signals, each with the time until the next.
fn stop_steps(service: &Service) -> impl Iterator<Item = (Option<Signal>, Duration)> {
    let delay = Some(service.stop_delay).filter(|delay| !delay.is_zero());
    let first = (Some(service.stop_signal), service.stop_timeout);
    let then = service.stop_then.iter().map(|step| (Some(step.signal), step.wait));
    delay.map(|delay| (None, delay)).into_iter().chain(std::iter::once(first)).chain(then)
}

fn spec(service: &Service, instance: u32, probe: Option<&ProbeKind>) -> Spec {
    let readiness = match service.ready {
        Ready::Delay { time } => Readiness::After(time),
        _ if probe.is_some() => Readiness::Probed,
        _ => Readiness::After(Duration::ZERO),
    };
    Spec {
        service: service.name.clone(),
        instance,
        instances: service.instances,
        task: service.kind == Kind::Task,
        depends_on: service.depends_on.clone(),
        stop_after: service.stop_after.clone(),
        readiness,
        start_timeout: service.start_timeout,
        stop: stop_steps(service).map(|(_, wait)| wait).collect(),
        restart: service.restart,
        backoff: service.backoff.clone(),
        start_retries: service.start_retries,
        critical: service.critical,
        success_codes: service.success_codes.clone(),
        reloads: service.reload_signal.is_some(),
        rolls: matches!(
            probe,
            None | Some(ProbeKind::Listen(_) | ProbeKind::Notify | ProbeKind::Log(_))
        ) && service.kind == Kind::Daemon,
    }
}
