//! From the tree of values to typed settings. Nothing is read leniently: an
//! unknown key, a wrong kind or a missing value is a mistake with its place.

use std::collections::BTreeMap;

use crate::mistake::{Mistakes, nearest};
use crate::node::{Node, Value, join, parse};
use crate::reference;

/// A type that can stand in the configuration file.
pub(crate) trait Setting: Sized {
    /// What may be written, as it appears in messages and in the reference.
    const EXPECTED: &'static str;

    /// Reads the value, or notes what is wrong with it.
    fn read(node: &Node, key: &str, mistakes: &mut Mistakes) -> Option<Self>;

    /// The value when the key is not given and the section names no default.
    fn absent(key: &str, mistakes: &mut Mistakes) -> Option<Self> {
        mistakes.add(None, key, format!("is missing; write {}", Self::EXPECTED));
        None
    }

    /// Adds the reference of a type that has keys of its own; false for others.
    fn reference(_key: &str, _out: &mut Vec<reference::Table>) -> bool {
        false
    }
}

/// Reads the whole document.
pub(crate) fn document<T: Setting>(root: &Node, mistakes: &mut Mistakes) -> Option<T> {
    T::read(root, "", mistakes)
}

/// Notes that a value is not what its key expects.
pub(crate) fn refuse<T>(
    node: &Node,
    key: &str,
    expected: &str,
    mistakes: &mut Mistakes,
) -> Option<T> {
    let found = match &node.value {
        Value::Text(text) => format!("\"{text}\""),
        Value::Integer(number) => number.to_string(),
        Value::Float(number) => number.to_string(),
        _ => node.kind().to_owned(),
    };
    mistakes.add(node.at, key, format!("{found} is not right here; write {expected}"));
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
        mistakes: &mut Mistakes,
    ) -> Option<Self> {
        let Value::Table(entries) = &node.value else {
            return refuse(node, key, "a table", mistakes);
        };
        for (name, entry) in entries.iter().filter(|(name, _)| !known.contains(&name.as_str())) {
            let remedy = match nearest(name, known.iter().copied()) {
                Some(meant) => format!("did you mean \"{meant}\"?"),
                None => format!("known here: {}", known.join(", ")),
            };
            mistakes.add(entry.at, &join(key, name), format!("unknown key; {remedy}"));
        }
        Some(Self { node, key, entries })
    }

    /// Reads one key, its default (TOML text) standing in when it is not given.
    pub(crate) fn field<T: Setting>(
        &self,
        name: &str,
        default: Option<&str>,
        mistakes: &mut Mistakes,
    ) -> Option<T> {
        let key = join(self.key, name);
        if let Some(node) = self.entries.get(name) {
            return T::read(node, &key, mistakes);
        }
        match default {
            Some(text) => {
                let document = parse(&format!("default = {text}"), mistakes);
                T::read(document.get("default")?, &key, mistakes)
            }
            None => {
                let mut missing = Mistakes::new("");
                let value = T::absent(&key, &mut missing);
                for mistake in missing.list() {
                    mistakes.add(self.node.at, &mistake.key, mistake.message.clone());
                }
                value
            }
        }
    }
}

impl Setting for String {
    const EXPECTED: &'static str = "a string";

    fn read(node: &Node, key: &str, mistakes: &mut Mistakes) -> Option<Self> {
        match &node.value {
            Value::Text(text) if text.contains('\0') => {
                refuse(node, key, "a string without NUL", mistakes)
            }
            Value::Text(text) => Some(text.clone()),
            _ => refuse(node, key, Self::EXPECTED, mistakes),
        }
    }
}

impl Setting for bool {
    const EXPECTED: &'static str = "true or false";

    fn read(node: &Node, key: &str, mistakes: &mut Mistakes) -> Option<Self> {
        match &node.value {
            Value::Boolean(flag) => Some(*flag),
            Value::Text(text) if text == "true" => Some(true),
            Value::Text(text) if text == "false" => Some(false),
            _ => refuse(node, key, Self::EXPECTED, mistakes),
        }
    }
}

macro_rules! whole_number {
    ($($type:ty: $expected:literal),*) => {$(
        impl Setting for $type {
            const EXPECTED: &'static str = $expected;

            fn read(node: &Node, key: &str, mistakes: &mut Mistakes) -> Option<Self> {
                let number = match &node.value {
                    Value::Integer(number) => <$type>::try_from(*number).ok(),
                    Value::Text(text) => text.parse().ok(),
                    _ => None,
                };
                number.or_else(|| refuse(node, key, Self::EXPECTED, mistakes))
            }
        }
    )*};
}
whole_number!(u32: "a whole number", u64: "a whole number", i32: "a whole number, also negative");

impl Setting for f64 {
    const EXPECTED: &'static str = "a number such as 2.0";

    fn read(node: &Node, key: &str, mistakes: &mut Mistakes) -> Option<Self> {
        let number = match &node.value {
            Value::Float(number) => Some(*number),
            Value::Integer(number) => u32::try_from(*number).ok().map(Self::from),
            Value::Text(text) => text.parse().ok(),
            _ => None,
        };
        number
            .filter(|number| number.is_finite() && *number >= 0.0)
            .or_else(|| refuse(node, key, Self::EXPECTED, mistakes))
    }
}

/// Optional values: not given, or given as the empty string, is none.
impl<T: Setting> Setting for Option<T> {
    const EXPECTED: &'static str = T::EXPECTED;

    fn read(node: &Node, key: &str, mistakes: &mut Mistakes) -> Option<Self> {
        match node.as_text() {
            Some("") => Some(None),
            _ => T::read(node, key, mistakes).map(Some),
        }
    }

    fn absent(_key: &str, _mistakes: &mut Mistakes) -> Option<Self> {
        Some(None)
    }
}

/// Lists; a single string is split at commas and white space, as environment
/// variables give them.
impl<T: Setting> Setting for Vec<T> {
    const EXPECTED: &'static str = "a list";

    fn read(node: &Node, key: &str, mistakes: &mut Mistakes) -> Option<Self> {
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
            _ => return refuse(node, key, Self::EXPECTED, mistakes),
        };
        let read: Vec<Option<T>> =
            items.iter().map(|item| T::read(item, &item_key(key, item), mistakes)).collect();
        read.into_iter().collect()
    }

    fn absent(_key: &str, _mistakes: &mut Mistakes) -> Option<Self> {
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

    fn read(node: &Node, key: &str, mistakes: &mut Mistakes) -> Option<Self> {
        let Value::Table(entries) = &node.value else {
            return refuse(node, key, Self::EXPECTED, mistakes);
        };
        let read: Vec<Option<(String, T)>> = entries
            .iter()
            .map(|(name, entry)| Some((name.clone(), T::read(entry, &join(key, name), mistakes)?)))
            .collect();
        read.into_iter().collect()
    }

    fn absent(_key: &str, _mistakes: &mut Mistakes) -> Option<Self> {
        Some(Self::new())
    }

    fn reference(key: &str, out: &mut Vec<reference::Table>) -> bool {
        T::reference(&join(key, "NAME"), out)
    }
}
