//! The parsed file as a tree of values with their places. The rest of
//! the crate works on this tree, whether a value came from the file or from the
//! environment.

use std::collections::BTreeMap;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::diagnostic::{Diagnostics, Position};

/// A value and its place; values from the environment have none.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub(crate) at: Option<Position>,
    pub(crate) value: Value,
}

#[derive(Debug, Clone)]
pub(crate) enum Value {
    Text(String),
    Integer(i64),
    Float(f64),
    Boolean(bool),
    Array(Vec<Node>),
    Table(BTreeMap<String, Node>),
    /// A kind that no setting uses (dates, numbers beyond 64 bits).
    Other,
}

impl Node {
    pub(crate) fn text(value: impl Into<String>) -> Self {
        Self { at: None, value: Value::Text(value.into()) }
    }

    pub(crate) fn empty_table() -> Self {
        Self { at: None, value: Value::Table(BTreeMap::new()) }
    }

    pub(crate) fn get(&self, key: &str) -> Option<&Self> {
        match &self.value {
            Value::Table(table) => table.get(key),
            _ => None,
        }
    }

    pub(crate) fn as_text(&self) -> Option<&str> {
        match &self.value {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    /// What this value is, for messages.
    pub(crate) fn kind(&self) -> &'static str {
        match &self.value {
            Value::Text(_) => "a string",
            Value::Integer(_) => "a number",
            Value::Float(_) => "a fraction",
            Value::Boolean(_) => "true or false",
            Value::Array(_) => "a list",
            Value::Table(_) => "a table",
            Value::Other => "a value of a kind that is not used here",
        }
    }

    /// Calls `visit` on every string in the tree with its dotted key.
    pub(crate) fn each_text(
        &mut self,
        key: &str,
        visit: &mut impl FnMut(&str, Option<Position>, &mut String),
    ) {
        match &mut self.value {
            Value::Text(text) => visit(key, self.at, text),
            Value::Array(list) => list.iter_mut().for_each(|item| item.each_text(key, visit)),
            Value::Table(table) => {
                for (name, item) in table {
                    item.each_text(&join(key, name), visit);
                }
            }
            _ => {}
        }
    }
}

/// `section` and `key` as one dotted path.
pub(crate) fn join(section: &str, key: &str) -> String {
    if section.is_empty() { key.to_owned() } else { format!("{section}.{key}") }
}

/// Parses TOML; syntax errors become diagnostics and the rest is still read.
pub(crate) fn parse(text: &str, diagnostics: &mut Diagnostics) -> Node {
    let (table, errors) = DeTable::parse_recoverable(text);
    for error in errors {
        let at = error.span().map(|span| position(text, span.start));
        diagnostics.add(at, "", format!("not valid TOML: {}", error.message()));
    }
    Node { at: None, value: from_table(text, table.get_ref()) }
}

fn from_table(text: &str, table: &DeTable<'_>) -> Value {
    Value::Table(
        table
            .iter()
            .map(|(key, value)| {
                (key.get_ref().to_string(), from_value(text, key.span().start, value))
            })
            .collect(),
    )
}

/// `start` is where a diagnostic in this value should point to: the key of a table
/// entry, the item itself in a list.
fn from_value(text: &str, start: usize, value: &Spanned<DeValue<'_>>) -> Node {
    let converted = match value.get_ref() {
        DeValue::String(string) => Value::Text(string.to_string()),
        DeValue::Boolean(flag) => Value::Boolean(*flag),
        DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix())
            .map_or(Value::Other, Value::Integer),
        DeValue::Float(number) => number.as_str().parse().map_or(Value::Other, Value::Float),
        DeValue::Datetime(_) => Value::Other,
        DeValue::Array(list) => Value::Array(
            list.iter().map(|item| from_value(text, item.span().start, item)).collect(),
        ),
        DeValue::Table(table) => from_table(text, table),
    };
    Node { at: Some(position(text, start)), value: converted }
}

fn position(text: &str, offset: usize) -> Position {
    let before = &text[..text.floor_char_boundary(offset)];
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    Position {
        line: before.matches('\n').count() + 1,
        column: before[line_start..].chars().count() + 1,
    }
}
