//! Rules between keys: names that must exist, orders that must end, values
//! that only make sense together.

mod services;

use crate::diagnostic::{Diagnostics, nearest};
use crate::node::{Node, Value};
use crate::sections::{ClientCertificate, Config, ProxyTls};
use crate::values::Address;

/// Longest path of a Unix socket that every supported system takes, in bytes
/// (`sun_path` holds 104 on macOS, 108 on Linux, one of them for the NUL).
const LONGEST_SOCKET_PATH: usize = 103;

/// Room for the numbers of several instances, and of the sockets for notices
/// that lie beside the control socket.
const WORKERS: usize = 4;
const NOTICES: usize = 10;

/// Notes every broken rule of a file whose single values are all right.
pub(crate) fn config(config: &Config, root: &Node, diagnostics: &mut Diagnostics) {
    let mut check = Check { config, root, diagnostics };
    check.sockets();
    check.proxy();
    check.services();
    check.hooks();
}

struct Check<'a> {
    config: &'a Config,
    root: &'a Node,
    diagnostics: &'a mut Diagnostics,
}

impl Check<'_> {
    fn add(&mut self, key: &str, message: impl Into<String>) {
        let at = find(self.root, key).and_then(|node| node.at);
        self.diagnostics.add(at, key, message);
    }

    fn sockets(&mut self) {
        let control = Address::Unix(self.config.supervisor.control_socket.clone());
        self.socket_path("supervisor.control_socket", &control, NOTICES);
        for (name, socket) in &self.config.sockets {
            self.socket_path(&format!("socket.{name}.listen"), &socket.listen, WORKERS);
        }
    }

    /// `room` is for the number that is added.
    fn socket_path(&mut self, key: &str, address: &Address, room: usize) {
        if let Address::Unix(path) = address {
            let length = path.as_os_str().len() + room;
            if length > LONGEST_SOCKET_PATH {
                self.add(key, format!("the path has {length} bytes with the number that is added; a Unix socket takes {LONGEST_SOCKET_PATH}: choose a shorter directory"));
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
                self.add(
                    &format!("proxy.tls.{key}"),
                    "is missing; expected the path of a PEM file",
                );
            }
        }
    }

    fn socket_name(&mut self, key: &str, name: &str) {
        if !self.config.sockets.contains_key(name) {
            let known = self.config.sockets.keys().map(String::as_str);
            self.add(key, unknown("socket", name, known));
        }
    }
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
