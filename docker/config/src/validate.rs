//! Rules between keys: names that must exist, orders that must end, values
//! that only make sense together.

use std::collections::BTreeSet;

use crate::mistake::{Mistakes, nearest};
use crate::node::{Node, Value};
use crate::sections::{ClientCertificate, Config, ProxyTls, Ready, Service};
use crate::values::Address;

/// Longest path of a Unix socket that every supported system takes, in bytes
/// (`sun_path` holds 104 on macOS, 108 on Linux, one of them for the NUL).
const LONGEST_SOCKET_PATH: usize = 103;

/// Notes every broken rule of a file whose single values are all right.
pub(crate) fn config(config: &Config, root: &Node, mistakes: &mut Mistakes) {
    let mut check = Check { config, root, mistakes };
    check.sockets();
    check.proxy();
    for service in &config.services {
        check.service(service);
    }
    check.unique_names();
    check.cycles();
}

struct Check<'a> {
    config: &'a Config,
    root: &'a Node,
    mistakes: &'a mut Mistakes,
}

impl Check<'_> {
    fn add(&mut self, key: &str, message: impl Into<String>) {
        let at = find(self.root, key).and_then(|node| node.at);
        self.mistakes.add(at, key, message);
    }

    fn sockets(&mut self) {
        let control = Address::Unix(self.config.supervisor.control_socket.clone());
        self.socket_path("supervisor.control_socket", &control);
        for (name, socket) in &self.config.sockets {
            self.socket_path(&format!("socket.{name}.listen"), &socket.listen);
        }
    }

    fn socket_path(&mut self, key: &str, address: &Address) {
        if let Address::Unix(path) = address {
            // Room for the number that several instances add.
            let length = path.as_os_str().len() + 4;
            if length > LONGEST_SOCKET_PATH {
                self.add(key, format!("the path has {length} bytes with a worker number; a Unix socket takes {LONGEST_SOCKET_PATH}: choose a shorter directory"));
            }
        }
    }

    fn proxy(&mut self) {
        let proxy = &self.config.proxy;
        self.socket_name("proxy.socket", &proxy.socket.clone());
        self.socket_name("proxy.upstream", &proxy.upstream.clone());
        self.tls(&proxy.tls);
    }

    fn tls(&mut self, tls: &ProxyTls) {
        let required = tls.client_certificate == ClientCertificate::Required;
        if required && tls.client_authorities.is_none() {
            self.add(
                "proxy.tls.client_authorities",
                "is missing; without authorities no client certificate could be accepted",
            );
        }
        let Some(socket) = &tls.socket else { return };
        self.socket_name("proxy.tls.socket", socket);
        if *socket == self.config.proxy.socket {
            self.add(
                "proxy.tls.socket",
                "must not be proxy.socket: one listener speaks either TLS or plain HTTP",
            );
        }
        for (key, file) in [("certificate", &tls.certificate), ("key", &tls.key)] {
            if file.is_none() {
                self.add(&format!("proxy.tls.{key}"), "is missing; write the path of a PEM file");
            }
        }
    }

    fn socket_name(&mut self, key: &str, name: &str) {
        if !self.config.sockets.contains_key(name) {
            let known = self.config.sockets.keys().map(String::as_str);
            self.add(key, unknown("socket", name, known));
        }
    }

    fn service(&mut self, service: &Service) {
        let key = |field: &str| format!("service.{}.{field}", service.name);
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if service.name.is_empty() || !service.name.bytes().all(plain) {
            self.add(&key("name"), "write lower-case letters, digits and dashes");
        }
        if service.command.is_empty() {
            self.add(&key("command"), "is empty; write the path of a program");
        }
        if !(1..=64).contains(&service.instances) {
            self.add(&key("instances"), "write a number from 1 to 64");
        }
        if !(service.backoff.jitter <= 1.0 && service.backoff.factor >= 1.0) {
            self.add(&key("backoff"), "jitter goes from 0 to 1 and factor from 1 upwards");
        }
        for name in &service.sockets {
            self.socket_name(&key("sockets"), name);
        }
        if let Ready::Listen { socket } | Ready::Connect { socket } | Ready::Http { socket, .. } =
            &service.ready
        {
            self.socket_name(&key("ready"), socket);
            if matches!(service.ready, Ready::Listen { .. }) && !service.sockets.contains(socket) {
                self.add(&key("ready"), format!("\"{socket}\" must be in sockets: only an inherited socket tells who listens on it"));
            }
        }
        self.service_names(&key("depends_on"), &service.depends_on);
        self.service_names(&key("stop_after"), &service.stop_after);
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

    fn unique_names(&mut self) {
        let mut seen = BTreeSet::new();
        for service in &self.config.services {
            if !seen.insert(&service.name) {
                self.add(
                    &format!("service.{}.name", service.name),
                    "is used twice; names must differ",
                );
            }
        }
    }

    fn cycles(&mut self) {
        let services = &self.config.services;
        let starts = |one: &Service, other: &Service| one.depends_on.contains(&other.name);
        // A dependent stops before what it depends on, so both keys order stops.
        let stops = |one: &Service, other: &Service| {
            one.stop_after.contains(&other.name) || other.depends_on.contains(&one.name)
        };
        let start_ring = circle(services, &starts);
        let stop_ring = circle(services, &stops).filter(|_| start_ring.is_none());
        for (key, ring) in [("depends_on", start_ring), ("stop_after", stop_ring)] {
            if let Some(ring) = ring {
                self.add(
                    &format!("service.{}.{key}", ring[0]),
                    format!("goes round in a circle: {}", ring.join(" → ")),
                );
            }
        }
    }
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

fn unknown<'a>(what: &str, name: &str, known: impl Iterator<Item = &'a str> + Clone) -> String {
    match nearest(name, known.clone()) {
        Some(meant) => format!("there is no {what} \"{name}\"; did you mean \"{meant}\"?"),
        None => format!(
            "there is no {what} \"{name}\"; there are: {}",
            known.collect::<Vec<_>>().join(", ")
        ),
    }
}

/// The node a dotted key points to; entries of a list are found by their name.
fn find<'a>(root: &'a Node, key: &str) -> Option<&'a Node> {
    let mut node = root;
    for part in key.split('.') {
        let next = match &node.value {
            Value::Array(items) => {
                items.iter().find(|item| item.get("name").and_then(Node::as_text) == Some(part))
            }
            _ => node.get(part),
        };
        // A key that is not written in the file: point at its table.
        let Some(next) = next else { break };
        node = next;
    }
    Some(node)
}
