//! The part of the file that concerns more than santa-supervise: all but how
//! services run and hooks. A service that reads the file itself, as santa-proxy
//! does, needs no variable that only another service's environment refers to.

use std::collections::BTreeSet;

use crate::env::Env;
use crate::node::{Node, Value};
use crate::{expand, overrides};

/// What others may know of a service: which sockets its instances serve.
const KEPT: [&str; 3] = ["name", "sockets", "instances"];

/// Takes away what only santa-supervise needs.
pub(crate) fn keep(root: &mut Node) {
    let Value::Table(table) = &mut root.value else { return };
    table.remove("hook");
    let Some(Value::Array(services)) = table.get_mut("service").map(|node| &mut node.value) else {
        return;
    };
    for service in services {
        if let Value::Table(keys) = &mut service.value {
            keys.retain(|key, _| KEPT.contains(&key.as_str()));
            // A service without one is refused by santa-supervise.
            keys.insert("command".to_owned(), Node::text("unknown"));
        }
    }
}

/// The variables that this part refers to, and those that override values of it.
pub(crate) fn variables(root: &mut Node, env: &Env) -> BTreeSet<String> {
    let overrides = overrides::names(env).filter(|name| !is_private(name));
    let mut found: BTreeSet<String> = overrides.map(str::to_owned).collect();
    keep(root);
    root.each_text("", &mut |_, _, text| found.extend(expand::references(text)));
    found
}

/// Whether an override is for a key that is taken away.
fn is_private(name: &str) -> bool {
    let keys: Vec<String> = overrides::keys(name);
    match keys.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["hook", ..] => true,
        ["service", _, key, ..] => !KEPT.contains(&key),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use crate::{Diagnostics, Env, node};

    const FILE: &str = "[proxy]\nsocket = \"${A:-http}\"\n[paths]\nwww = \"/x/${B}/$${NO}\"\n\
        [[service]]\nname = \"backend\"\ninstances = \"${WORKERS:-1}\"\ncommand = \"${C}\"\n\
        env = { KEY = \"${SECRET_KEY:?}\" }\n[[hook]]\nname = \"h\"\ncommand = [\"${TOKEN}\"]\n";

    #[test]
    fn variables_for_other_services_are_not_among_the_shared_ones() {
        let env: Env = [
            "SANTA__PROXY__WORKERS",
            "SANTA__SERVICE__BACKEND__INSTANCES",
            "SANTA__SERVICE__BACKEND__ENV__SECRET_KEY",
            "SANTA__HOOK__H__COMMAND",
            "SECRET_KEY",
        ]
        .map(|name| (name.to_owned(), "1".to_owned()))
        .into();
        let mut root = node::parse(FILE, &mut Diagnostics::new("test"));
        let found: Vec<String> = super::variables(&mut root, &env).into_iter().collect();
        let expected =
            ["A", "B", "SANTA__PROXY__WORKERS", "SANTA__SERVICE__BACKEND__INSTANCES", "WORKERS"];
        assert_eq!(found, expected);
    }
}
