//! `SANTA__SECTION__KEY=value` replaces any value of the file. Entries of
//! `[[service]]` are addressed by their name: `SANTA__SERVICE__BACKEND__STOP_TIMEOUT`.

use crate::diagnostic::Diagnostics;
use crate::env::Env;
use crate::node::{Node, Value};

const PREFIX: &str = "SANTA__";

/// Writes every override of `env` into the tree. Whether the key exists is
/// checked later, by the same reading that checks the file.
pub(crate) fn apply(root: &mut Node, env: &Env, diagnostics: &mut Diagnostics) {
    for name in names(env) {
        let (keys, value) = (keys(name), &env[name]);
        diagnostics.overridden(keys.join("."), name);
        if keys.iter().any(String::is_empty) {
            diagnostics.add(None, name, "must look like SANTA__SECTION__KEY");
        } else if let Err(message) = set(root, &keys, value) {
            diagnostics.add(None, name, message);
        }
    }
}

/// The names of all overrides in `env`.
pub(crate) fn names(env: &Env) -> impl Iterator<Item = &str> {
    let from_prefix = env.range(PREFIX.to_owned()..).map(|(name, _)| name.as_str());
    from_prefix.take_while(|name| name.starts_with(PREFIX))
}

/// The path of keys that an override stands for.
pub(crate) fn keys(name: &str) -> Vec<String> {
    let rest = name.strip_prefix(PREFIX).unwrap_or(name);
    rest.split("__").map(str::to_ascii_lowercase).collect()
}

fn set(node: &mut Node, keys: &[String], value: &str) -> Result<(), String> {
    let Some((key, rest)) = keys.split_first() else {
        // "$" is doubled because an override is taken as it stands.
        *node = Node::text(value.replace('$', "$$"));
        return Ok(());
    };
    match &mut node.value {
        Value::Table(table) => {
            let child = table
                .entry(key.clone())
                .or_insert_with(|| Node { at: None, value: Value::Table(Default::default()) });
            set(child, rest, value)
        }
        Value::Array(entries) => {
            let entry = entries.iter_mut().find(|entry| named(entry, key));
            set(entry.ok_or_else(|| format!("there is no entry named \"{key}\""))?, rest, value)
        }
        _ => Err(format!("\"{key}\" cannot be set inside a single value")),
    }
}

fn named(entry: &Node, key: &str) -> bool {
    let name = entry.get("name").and_then(Node::as_text);
    name.is_some_and(|name| name.to_ascii_lowercase().replace('-', "_") == *key)
}
