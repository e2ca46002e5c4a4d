//! Pure: from the configuration to one blueprint for each instance of each
//! service. Everything that can be wrong is found here, before anything starts;
//! knows no descriptor and no process.

use std::path::Path;
use std::time::Duration;

use santa_config::{Address, Config, Kind, Ready, Service};

use crate::fill::{Values, fill};
use crate::machine::{Readiness, Spec};
use crate::signals;

/// How to see that an instance is ready.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Probe {
    /// Its tree listens on this inherited socket.
    Listen(Address),
    /// This address accepts a connection.
    Connect(Address),
    /// A GET of this path at this address answers 200.
    Http(Address, String),
    /// One of its lines contains this.
    Log(String),
}

/// All that is needed to run one instance.
#[derive(Debug, Clone, PartialEq)]
pub struct Blueprint {
    /// What the core knows of it.
    pub spec: Spec,
    /// Program and arguments, filled in.
    pub command: Vec<String>,
    /// Added to the environment, filled in.
    pub environment: Vec<(String, String)>,
    /// The rest of the configuration.
    pub service: Service,
    /// Names and addresses of the sockets to hand over.
    pub sockets: Vec<(String, Address)>,
    /// How it becomes ready, where the event loop has to look.
    pub probe: Option<Probe>,
    /// Number of the signal that asks it to stop.
    pub stop_signal: i32,
    /// Number of the signal that makes it reload.
    pub reload_signal: Option<i32>,
}

/// Blueprints for all instances, in the order of the configuration.
///
/// # Errors
/// Every mistake at once, one text each.
pub fn blueprints(config: &Config, path: &Path) -> Result<Vec<Blueprint>, Vec<String>> {
    let mut blueprints = Vec::new();
    let mut mistakes = Vec::new();
    for service in &config.services {
        for instance in 0..service.instances {
            match blueprint(config, path, service, instance) {
                Ok(blueprint) => blueprints.push(blueprint),
                Err(mistake) => mistakes.push(format!("service.{}: {mistake}", service.name)),
            }
        }
    }
    mistakes.dedup();
    if mistakes.is_empty() { Ok(blueprints) } else { Err(mistakes) }
}

fn blueprint(
    config: &Config,
    path: &Path,
    service: &Service,
    instance: u32,
) -> Result<Blueprint, String> {
    let address = |name: &str| address_of(config, service, name, instance);
    let config_path = path.display().to_string();
    let values =
        Values { config: &config_path, instance, handed: &service.sockets, address: &address };
    let command = std::iter::once(&service.command).chain(&service.args);
    let environment = service.env.iter();
    let probe = probe(service, &address)?;
    Ok(Blueprint {
        command: command.map(|text| fill(text, &values)).collect::<Result<_, _>>()?,
        environment: environment
            .map(|(name, text)| Ok((name.clone(), fill(text, &values)?)))
            .collect::<Result<_, String>>()?,
        sockets: service
            .sockets
            .iter()
            .map(|name| Ok((name.clone(), address(name).ok_or_else(|| unknown_socket(name))?)))
            .collect::<Result<_, String>>()?,
        spec: spec(service, instance, probe.is_some()),
        stop_signal: signal("stop_signal", &service.stop_signal)?,
        reload_signal: service
            .reload_signal
            .as_deref()
            .map(|name| signal("reload_signal", name))
            .transpose()?,
        probe,
        service: service.clone(),
    })
}

fn signal(key: &str, name: &str) -> Result<i32, String> {
    signals::number(name).ok_or_else(|| {
        format!("{key}: there is no signal \"{name}\"; write for example \"TERM\" or \"HUP\"")
    })
}

fn unknown_socket(name: &str) -> String {
    format!("there is no socket \"{name}\"; add [socket.{name}]")
}

/// The address of a socket as `service` sees it: its own instance's where it is
/// handed over, else that of the first instance of whoever serves it.
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
) -> Result<Option<Probe>, String> {
    let known = |name: &str| address(name).ok_or_else(|| unknown_socket(name));
    Ok(match &service.ready {
        Ready::None | Ready::Delay { .. } => None,
        Ready::Listen { socket } => match known(socket)? {
            unix @ Address::Unix(_) => Some(Probe::Listen(unix)),
            Address::Tcp(_) => {
                return Err(format!(
                    "ready: \"listen\" needs a Unix socket and {socket} is TCP, where nobody can tell who listens; write kind = \"http\""
                ));
            }
        },
        Ready::Connect { socket } => Some(Probe::Connect(known(socket)?)),
        Ready::Http { socket, path } => Some(Probe::Http(known(socket)?, path.clone())),
        Ready::Unix { path } => Some(Probe::Connect(Address::Unix(path.clone()))),
        Ready::Log { pattern } => Some(Probe::Log(pattern.clone())),
    })
}

fn spec(service: &Service, instance: u32, probed: bool) -> Spec {
    let readiness = match service.ready {
        Ready::Delay { time } => Readiness::After(time),
        _ if probed => Readiness::Probed,
        _ => Readiness::After(Duration::ZERO),
    };
    Spec {
        service: service.name.clone(),
        instance,
        instances: service.instances,
        task: service.kind == Kind::Task,
        depends_on: service.depends_on.clone(),
        readiness,
        start_timeout: service.start_timeout,
        stop_timeout: service.stop_timeout,
        restart: service.restart,
        backoff: service.backoff.clone(),
        start_retries: service.start_retries,
        critical: service.critical,
        success_codes: service.success_codes.clone(),
        reloads: service.reload_signal.is_some(),
    }
}
