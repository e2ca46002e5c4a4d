//! From the tree of values to typed settings. Nothing is read leniently: an
//! unknown key, a wrong kind or a missing value is an error with its place.

use std::collections::BTreeMap;

use crate::diagnostic::{Diagnostics, nearest};
use crate::node::{Node, Value, join, parse};
use crate::reference;

/// A type that can stand in the configuration file.
pub(crate) trait Setting: Sized {
    /// What may be written, as it appears in messages and in the reference.
    const EXPECTED: &'static str;

    /// Reads the value, or notes what is wrong with it.
    fn read(node: &Node, key: &str, diagnostics: &mut Diagnostics) -> Option<Self>;

    /// The value when the key is not given and the section names no default.
    fn default_value(key: &str, diagnostics: &mut Diagnostics) -> Option<Self> {
        diagnostics.add(None, key, format!("is missing; expected {}", Self::EXPECTED));
        None
    }

    /// Adds the reference of a type that has keys of its own; false for others.
    fn reference(_key: &str, _out: &mut Vec<reference::Table>) -> bool {
        false
    }
}

/// Reads the whole document.
pub(crate) fn document<T: Setting>(root: &Node, diagnostics: &mut Diagnostics) -> Option<T> {
    T::read(root, "", diagnostics)
}

/// Notes that a value is not what its key expects.
pub(crate) fn type_error<T>(
    node: &Node,
    key: &str,
    expected: &str,
    diagnostics: &mut Diagnostics,
) -> Option<T> {
    let found = match &node.value {
        Value::Text(text) => format!("\"{text}\""),
        Value::Integer(number) => number.to_string(),
        Value::Float(number) => number.to_string(),
        _ => node.kind().to_owned(),
    };
    diagnostics.add(node.at, key, format!("{found} is not valid here; expected {expected}"));
    None
}

/// A table whose keys are known.
pub(crate) struct Table<'a> {
    node: &'a Node,
    key: &'a str,
    entries: &'a BTreeMap<String, Node>,
}

impl<'a> Table<'a> {
    /// Opens a table and notes every key in it that is not in `known`.
    pub(crate) fn open(
        node: &'a Node,
        key: &'a str,
        known: &[&'static str],
        diagnostics: &mut Diagnostics,
    ) -> Option<Self> {
        let Value::Table(entries) = &node.value else {
            return type_error(node, key, "a table", diagnostics);
        };
        for (name, entry) in entries.iter().filter(|(name, _)| !known.contains(&name.as_str())) {
            let remedy = match nearest(name, known.iter().copied()) {
                Some(meant) => format!("did you mean \"{meant}\"?"),
                None => format!("known here: {}", known.join(", ")),
            };
            diagnostics.add(entry.at, &join(key, name), format!("unknown key; {remedy}"));
        }
        Some(Self { node, key, entries })
    }

    /// Reads one key, its default (TOML text) standing in when it is not given.
    pub(crate) fn field<T: Setting>(
        &self,
        name: &str,
        default: Option<&str>,
        diagnostics: &mut Diagnostics,
    ) -> Option<T> {
        let key = join(self.key, name);
        if let Some(node) = self.entries.get(name) {
            return T::read(node, &key, diagnostics);
        }
        match default {
            Some(text) => {
                let document = parse(&format!("default = {text}"), diagnostics);
                T::read(document.get("default")?, &key, diagnostics)
            }
            None => {
                let mut missing = Diagnostics::new("");
                let value = T::default_value(&key, &mut missing);
                for diagnostic in missing.list() {
                    diagnostics.add(self.node.at, &diagnostic.key, diagnostic.message.clone());
                }
                value
            }
        }
    }
}

impl Setting for String {
    const EXPECTED: &'static str = "a string";

    fn read(node: &Node, key: &str, diagnostics: &mut Diagnostics) -> Option<Self> {
        match &node.value {
            Value::Text(text) if text.contains('\0') => {
                type_error(node, key, "a string without NUL", diagnostics)
            }
            Value::Text(text) => Some(text.clone()),
            _ => type_error(node, key, Self::EXPECTED, diagnostics),
        }
    }
}

impl Setting for bool {
    const EXPECTED: &'static str = "true or false";

    fn read(node: &Node, key: &str, diagnostics: &mut Diagnostics) -> Option<Self> {
        match &node.value {
            Value::Boolean(flag) => Some(*flag),
            Value::Text(text) if text == "true" => Some(true),
            Value::Text(text) if text == "false" => Some(false),
            _ => type_error(node, key, Self::EXPECTED, diagnostics),
        }
    }
}

macro_rules! whole_number {
    ($($type:ty: $expected:literal),*) => {$(
        impl Setting for $type {
            const EXPECTED: &'static str = $expected;

            fn read(node: &Node, key: &str, diagnostics: &mut Diagnostics) -> Option<Self> {
                let number = match &node.value {
                    Value::Integer(number) => <$type>::try_from(*number).ok(),
                    Value::Text(text) => text.parse().ok(),
                    _ => None,
                };
                number.or_else(|| type_error(node, key, Self::EXPECTED, diagnostics))
            }
        }
    )*};
}
whole_number!(u32: "a whole number", u64: "a whole number", i32: "a whole number, also negative");

impl Setting for f64 {
    const EXPECTED: &'static str = "a number such as 2.0";

    fn read(node: &Node, key: &str, diagnostics: &mut Diagnostics) -> Option<Self> {
        let number = match &node.value {
            Value::Float(number) => Some(*number),
            Value::Integer(number) => u32::try_from(*number).ok().map(Self::from),
            Value::Text(text) => text.parse().ok(),
            _ => None,
        };
        number
            .filter(|number| number.is_finite() && *number >= 0.0)
            .or_else(|| type_error(node, key, Self::EXPECTED, diagnostics))
    }
}

/// Optional values: not given, or given as the empty string, is none.
impl<T: Setting> Setting for Option<T> {
    const EXPECTED: &'static str = T::EXPECTED;

    fn read(node: &Node, key: &str, diagnostics: &mut Diagnostics) -> Option<Self> {
        match node.as_text() {
            Some("") => Some(None),
            _ => T::read(node, key, diagnostics).map(Some),
        }
    }

    fn default_value(_key: &str, _diagnostics: &mut Diagnostics) -> Option<Self> {
        Some(None)
    }
}

/// Lists; a single string is split at commas and white space, as environment
/// variables give them.
impl<T: Setting> Setting for Vec<T> {
    const EXPECTED: &'static str = "a list";

    fn read(node: &Node, key: &str, diagnostics: &mut Diagnostics) -> Option<Self> {
        let split;
        let items = match &node.value {
            Value::Array(items) => items,
            Value::Text(text) => {
                let parts = text.split(|c: char| c == ',' || c.is_whitespace());
                let words = parts.filter(|word| !word.is_empty());
                split = words
                    .map(|word| Node { at: node.at, value: Value::Text(word.to_owned()) })
                    .collect();
                &split
            }
            _ => return type_error(node, key, Self::EXPECTED, diagnostics),
        };
        let read: Vec<Option<T>> =
            items.iter().map(|item| T::read(item, &item_key(key, item), diagnostics)).collect();
        read.into_iter().collect()
    }

    fn default_value(_key: &str, _diagnostics: &mut Diagnostics) -> Option<Self> {
        Some(Self::new())
    }

    fn reference(key: &str, out: &mut Vec<reference::Table>) -> bool {
        let at = out.len();
        let has_keys = T::reference(key, out);
        if has_keys {
            out[at].repeated = true;
        }
        has_keys
    }
}

/// Entries of a list are called by their `name` where they have one.
fn item_key(key: &str, item: &Node) -> String {
    match item.get("name").and_then(Node::as_text) {
        Some(name) => join(key, name),
        None => key.to_owned(),
    }
}

/// Tables whose keys are names of the reader's choosing.
impl<T: Setting> Setting for BTreeMap<String, T> {
    const EXPECTED: &'static str = "a table";

    fn read(node: &Node, key: &str, diagnostics: &mut Diagnostics) -> Option<Self> {
        let Value::Table(entries) = &node.value else {
            return type_error(node, key, Self::EXPECTED, diagnostics);
        };
        let read: Vec<Option<(String, T)>> = entries
            .iter()
            .map(|(name, entry)| {
                Some((name.clone(), T::read(entry, &join(key, name), diagnostics)?))
            })
            .collect();
        read.into_iter().collect()
    }

    fn default_value(_key: &str, _diagnostics: &mut Diagnostics) -> Option<Self> {
        Some(Self::new())
    }

    fn reference(key: &str, out: &mut Vec<reference::Table>) -> bool {
        T::reference(&join(key, "NAME"), out)
    }
}
