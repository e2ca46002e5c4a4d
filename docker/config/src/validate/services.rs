//! Rules about services and hooks: names that must exist, orders that must end,
//! placeholders that can be filled.

use std::collections::BTreeSet;

use super::{Check, unknown};
use crate::sections::{Kind, Liveness, LivenessProbe, Ready, Service};
use crate::values::Address;

impl Check<'_> {
    pub(super) fn services(&mut self) {
        let config = self.config;
        for service in &config.services {
            self.service(service);
            self.readiness(service);
            self.liveness(service);
            self.placeholders(service);
        }
        self.unique_names("service", config.services.iter().map(|one| one.name.as_str()));
        self.cycles();
    }

    fn service(&mut self, service: &Service) {
        let key = |field: &str| format!("service.{}.{field}", service.name);
        self.plain_name(&key("name"), &service.name);
        if service.command.is_empty() {
            self.add(&key("command"), "is empty; write the path of a program");
        }
        if !(1..=64).contains(&service.instances) {
            self.add(&key("instances"), "write a number from 1 to 64");
        }
        if !(service.backoff.jitter <= 1.0 && service.backoff.factor >= 1.0) {
            self.add(&key("backoff"), "jitter goes from 0 to 1 and factor from 1 upwards");
        }
        if service.limits.oom_score_adj.is_some_and(|adj| !(-1_000..=1_000).contains(&adj)) {
            self.add(&key("limits.oom_score_adj"), "write a number from -1000 to 1000");
        }
        if service.log.rate == Some(0) || service.log.burst == 0 {
            self.add(&key("log"), "rate and burst start at 1; leave rate out for no limit");
        }
        self.passed_variables(&key("env_pass"), &service.env_pass);
        for name in &service.sockets {
            self.socket_name(&key("sockets"), name);
        }
        let needs: Vec<String> =
            service.depends_on.iter().map(|dependency| dependency.service.clone()).collect();
        self.service_names(&key("depends_on"), &needs);
        self.service_names(&key("stop_after"), &service.stop_after);
    }

    fn readiness(&mut self, service: &Service) {
        let key = format!("service.{}.ready", service.name);
        let (Ready::Listen { socket } | Ready::Connect { socket } | Ready::Http { socket, .. }) =
            &service.ready
        else {
            return;
        };
        self.socket_name(&key, socket);
        if !matches!(service.ready, Ready::Listen { .. }) {
            return;
        }
        if !service.sockets.contains(socket) {
            self.add(&key, format!("\"{socket}\" must be in sockets: only an inherited socket tells who listens on it"));
        }
        let listen = self.config.sockets.get(socket).map(|socket| &socket.listen);
        if matches!(listen, Some(Address::Tcp(_))) {
            self.add(&key, format!("\"listen\" needs a Unix socket and {socket} is TCP, where nobody can tell who listens; write kind = \"http\" or \"notify\""));
        }
    }

    fn liveness(&mut self, service: &Service) {
        let key = format!("service.{}.liveness", service.name);
        let Some(liveness) = &service.liveness else { return };
        if service.kind == Kind::Task {
            self.add(&key, "has no meaning for a task, which is never ready; leave it out");
        }
        if liveness.failures == 0 || liveness.interval.is_zero() || liveness.timeout.is_zero() {
            self.add(&key, "interval, timeout and failures must be more than nothing");
        }
        if let LivenessProbe::Connect { socket } | LivenessProbe::Http { socket, .. } =
            &liveness.probe
        {
            self.socket_name(&key, socket);
        }
    }

    /// `{fd:NAME}` must be handed over and `{socket:NAME}` must exist.
    fn placeholders(&mut self, service: &Service) {
        let key = |field: &str| format!("service.{}.{field}", service.name);
        let command = std::iter::once((key("command"), &service.command));
        let args = service.args.iter().map(|text| (key("args"), text));
        let env = service.env.iter().map(|(name, text)| (key(&format!("env.{name}")), text));
        let probes = [
            (key("ready"), exec_of(&service.ready)),
            (key("liveness"), service.liveness.as_ref().map_or(&[][..], command_of)),
        ];
        let probes =
            probes.iter().flat_map(|(key, texts)| texts.iter().map(|text| (key.clone(), text)));
        for (key, text) in command.chain(args).chain(env).chain(probes) {
            for socket in names_in(text, "{fd:") {
                if !service.sockets.iter().any(|handed| handed == socket) {
                    self.add(&key, format!("{{fd:{socket}}} names a socket that is not handed over; add \"{socket}\" to sockets"));
                }
            }
            for socket in names_in(text, "{socket:") {
                self.socket_name(&key, socket);
            }
        }
    }

    pub(super) fn hooks(&mut self) {
        let config = self.config;
        for hook in &config.hooks {
            let key = |field: &str| format!("hook.{}.{field}", hook.name);
            self.plain_name(&key("name"), &hook.name);
            self.service_names(&key("services"), &hook.services);
            self.passed_variables(&key("env_pass"), &hook.env_pass);
            if hook.command.is_empty() == hook.post.is_none() {
                self.add(&key("command"), "give either command or post");
            }
            if hook.states.is_empty() || hook.timeout.is_zero() {
                self.add(&key("states"), "states must not be empty, nor timeout nothing");
            }
        }
        self.unique_names("hook", config.hooks.iter().map(|one| one.name.as_str()));
    }

    fn passed_variables(&mut self, key: &str, names: &[String]) {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        for name in names {
            let meant = name.strip_prefix('!').unwrap_or(name);
            let start = meant.strip_suffix('*').unwrap_or(meant);
            if meant.is_empty() || !start.bytes().all(plain) {
                self.add(
                    key,
                    format!(
                        "\"{name}\" is not the name of a variable; write one, \"PREFIX_*\", or \"*\" for all; \
                         \"!\" before it leaves it out"
                    ),
                );
            }
        }
    }

    fn plain_name(&mut self, key: &str, name: &str) {
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if name.is_empty() || !name.bytes().all(plain) {
            self.add(key, "write lower-case letters, digits and dashes");
        }
    }

    fn service_names(&mut self, key: &str, names: &[String]) {
        let config = self.config;
        let known = config.services.iter().map(|other| other.name.as_str());
        for name in names {
            if !known.clone().any(|other| other == name) {
                self.add(key, unknown("service", name, known.clone()));
            }
        }
    }

    fn unique_names<'a>(&mut self, table: &str, names: impl Iterator<Item = &'a str>) {
        let mut seen = BTreeSet::new();
        for name in names {
            if !seen.insert(name) {
                self.add(&format!("{table}.{name}.name"), "is used twice; names must differ");
            }
        }
    }

    fn cycles(&mut self) {
        let services = &self.config.services;
        // A dependent stops before what it depends on, so both keys order stops.
        let stops = |one: &Service, other: &Service| {
            one.stop_after.contains(&other.name) || needs(other, one)
        };
        let start_ring = circle(services, &needs);
        let stop_ring = circle(services, &stops).filter(|_| start_ring.is_none());
        for (key, ring) in [("depends_on", start_ring), ("stop_after", stop_ring)] {
            if let Some(ring) = ring {
                self.add(
                    &format!("service.{}.{key}", ring[0]),
                    format!("dependency cycle: {}", ring.join(" → ")),
                );
            }
        }
    }
}

/// Whether `one` depends on `other`.
fn needs(one: &Service, other: &Service) -> bool {
    one.depends_on.iter().any(|dependency| dependency.service == other.name)
}

fn exec_of(ready: &Ready) -> &[String] {
    match ready {
        Ready::Exec { command } => command,
        _ => &[],
    }
}

fn command_of(liveness: &Liveness) -> &[String] {
    match &liveness.probe {
        LivenessProbe::Exec { command } => command,
        _ => &[],
    }
}

/// The names in placeholders that begin with `open`.
fn names_in<'a>(text: &'a str, open: &'static str) -> impl Iterator<Item = &'a str> {
    text.split(open).skip(1).filter_map(|rest| rest.split_once('}')).map(|(name, _)| name)
}

/// Services that come after each other in a circle: takes away those that come
/// after none of the rest until nothing more goes, then follows what is left
/// until a name comes again.
fn circle(
    services: &[Service],
    comes_after: &dyn Fn(&Service, &Service) -> bool,
) -> Option<Vec<String>> {
    let mut left: Vec<&Service> = services.iter().collect();
    loop {
        let before = left.clone();
        left.retain(|one| before.iter().any(|other| comes_after(one, other)));
        if left.len() == before.len() {
            break;
        }
    }
    let mut current = *left.first()?;
    let mut ring = vec![current.name.clone()];
    while let Some(next) = left.iter().find(|other| comes_after(current, other)) {
        let before = ring.iter().position(|name| *name == next.name);
        ring.push(next.name.clone());
        if let Some(begin) = before {
            // Without the way into the circle.
            return Some(ring.split_off(begin));
        }
        current = next;
    }
    Some(ring)
}
