//! What docs/configuration.md says of each table and key, and how it is printed.

use std::fmt::Write as _;

/// One table of the file and its keys.
pub(crate) struct Table {
    key: String,
    about: &'static str,
    pub(crate) repeated: bool,
    pub(crate) keys: Vec<Key>,
}

/// One key.
pub(crate) struct Key {
    pub(crate) name: &'static str,
    pub(crate) expected: &'static str,
    pub(crate) default: Option<&'static str>,
    pub(crate) about: &'static str,
}

impl Table {
    pub(crate) fn new(key: &str, about: &'static str) -> Self {
        Self { key: key.to_owned(), about, repeated: false, keys: Vec::new() }
    }

    fn heading(&self) -> String {
        match (self.key.is_empty(), self.repeated) {
            (true, _) => "top level".to_owned(),
            (false, true) => format!("[[{}]]", self.key),
            (false, false) => format!("[{}]", self.key),
        }
    }
}

/// All tables that have keys, as Markdown.
pub(crate) fn markdown(tables: &[Table]) -> String {
    let mut out = String::new();
    for table in tables.iter().filter(|table| !table.keys.is_empty()) {
        // Writing to a String cannot fail.
        let _ = write!(out, "## `{}`\n\n{}\n\n", table.heading(), one_line(table.about));
        out.push_str("| key | value | default | meaning |\n|---|---|---|---|\n");
        for key in &table.keys {
            let default = key.default.map_or(String::new(), |text| format!("`{text}`"));
            let _ = writeln!(
                out,
                "| `{}` | {} | {default} | {} |",
                key.name,
                key.expected,
                one_line(key.about)
            );
        }
        out.push('\n');
    }
    out
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ").replace('|', "\\|")
}
