//! What is wrong with a configuration, where, and what to do about it.

use std::fmt;

/// Line and column, both counted from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// Line in the file.
    pub line: usize,
    /// Column in characters.
    pub column: usize,
}

/// One error: its place, the dotted key it concerns, and a text that says what was
/// found and what to write instead.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Diagnostic {
    /// Line and column in the file, or nothing for a value from the environment.
    pub position: Option<Position>,
    /// Dotted path of the key, such as `proxy.limits.head_size`; may be empty.
    pub key: String,
    /// What is wrong and how to put it right.
    pub message: String,
}

/// All errors found in one reading of a file, in file order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostics {
    name: String,
    list: Vec<Diagnostic>,
    /// Keys that variables of the environment set, and the variables' names.
    overrides: Vec<(String, String)>,
}

impl Diagnostics {
    pub(crate) fn new(name: &str) -> Self {
        Self { name: name.to_owned(), list: Vec::new(), overrides: Vec::new() }
    }

    /// The one reason why the file at `path` could not be read at all.
    #[must_use]
    pub fn unreadable(path: &std::path::Path, error: &std::io::Error) -> Self {
        let mut diagnostics = Self::new(&path.display().to_string());
        diagnostics.add(
            None,
            "",
            format!("cannot be read: {error}; check the path given to --config"),
        );
        diagnostics
    }

    pub(crate) fn add(
        &mut self,
        position: Option<Position>,
        key: &str,
        message: impl Into<String>,
    ) {
        let diagnostic = Diagnostic { position, key: key.to_owned(), message: message.into() };
        if !self.list.contains(&diagnostic) {
            self.list.push(diagnostic);
        }
        self.list.sort();
    }

    /// Notes that `variable` has set `key`: diagnostics there are not the file's.
    pub(crate) fn overridden(&mut self, key: String, variable: &str) {
        self.overrides.push((key, variable.to_owned()));
    }

    /// The variable that a diagnostic without a place in the file comes from.
    fn variable(&self, diagnostic: &Diagnostic) -> Option<&str> {
        let key = diagnostic.key.replace('-', "_");
        let within = |inner: &str, outer: &str| {
            inner.strip_prefix(outer).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        let set = self.overrides.iter().find(|(set, variable)| {
            *variable == diagnostic.key
                || !key.is_empty() && (within(set, &key) || within(&key, set))
        });
        set.filter(|_| diagnostic.position.is_none()).map(|(_, variable)| variable.as_str())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// The diagnostics, in file order; those of the environment come first.
    #[must_use]
    pub fn list(&self) -> &[Diagnostic] {
        &self.list
    }
}

impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, diagnostic) in self.list.iter().enumerate() {
            if index > 0 {
                writeln!(f)?;
            }
            if let Some(variable) = self.variable(diagnostic) {
                write!(f, "environment variable {variable}: ")?;
                if diagnostic.key != variable {
                    write!(f, "{}: ", diagnostic.key)?;
                }
                f.write_str(&diagnostic.message)?;
                continue;
            }
            f.write_str(&self.name)?;
            if let Some(at) = diagnostic.position {
                write!(f, ":{}:{}", at.line, at.column)?;
            }
            f.write_str(": ")?;
            if !diagnostic.key.is_empty() {
                write!(f, "{}: ", diagnostic.key)?;
            }
            f.write_str(&diagnostic.message)?;
        }
        Ok(())
    }
}

impl std::error::Error for Diagnostics {}

/// The name in `known` that `wrong` was probably meant to be.
pub(crate) fn nearest<'a>(
    wrong: &str,
    known: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    known
        .into_iter()
        .map(|name| (distance(wrong, name), name))
        .filter(|(distance, name)| *distance <= 1 + name.len() / 4)
        .min()
        .map(|(_, name)| name)
}

/// Levenshtein distance in bytes: keys are short ASCII words.
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, left) in a.bytes().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, right) in b.bytes().enumerate() {
            let substituted = diagonal + usize::from(left != right);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_typing_slip_finds_the_key_that_was_meant() {
        assert_eq!(nearest("head_sze", ["head_size", "body_size"]), Some("head_size"));
        assert_eq!(nearest("color", ["head_size", "body_size"]), None);
    }

    #[test]
    fn diagnostics_read_like_compiler_errors_in_file_order() {
        let mut diagnostics = Diagnostics::new("santa.toml");
        diagnostics.add(Some(Position { line: 9, column: 1 }), "b", "second");
        diagnostics.add(Some(Position { line: 2, column: 3 }), "a", "first");
        assert_eq!(diagnostics.to_string(), "santa.toml:2:3: a: first\nsanta.toml:9:1: b: second");
    }
}
