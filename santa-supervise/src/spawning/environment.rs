//! The environment of a service: what it inherits, what its files hold, what the
//! configuration adds.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::Path;

use santa_config::Service;

use super::problem::Problem;
use crate::files::{Unusable, read_regular};

/// Names and values.
pub(super) type Environment = BTreeMap<OsString, OsString>;

/// More than any file of variables or secret has.
const LARGEST: u64 = 1024 * 1024;

/// What every service inherits: nothing of it is a secret. The reference of
/// `env_pass` lists it.
const HARMLESS: [&str; 16] = [
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "SHELL",
    "LANG",
    "LANGUAGE",
    "LC_*",
    "TZ",
    "TMPDIR",
    "TERM",
    "NO_COLOR",
    "LD_LIBRARY_PATH",
    "LD_PRELOAD",
    "MALLOC_*",
    "RUST_BACKTRACE",
];

/// What a process that declares `names` inherits of `all`; a name after `!` is
/// left out, whatever else lists it.
pub(super) fn inherited(all: &Environment, names: &[String]) -> Environment {
    let passes = |variable: &OsString| {
        let harmless = HARMLESS.iter().any(|name| matches(variable, name));
        let left_out =
            |name: &String| name.strip_prefix('!').is_some_and(|name| matches(variable, name));
        (harmless || names.iter().any(|name| matches(variable, name)))
            && !names.iter().any(left_out)
    };
    let passed = all.iter().filter(|(name, _)| passes(name));
    passed.map(|(name, value)| (name.clone(), value.clone())).collect()
}

/// Whether a variable is meant by a name, or by a pattern that ends with `*`.
fn matches(variable: &OsStr, name: &str) -> bool {
    match name.strip_suffix('*') {
        Some(start) => variable.as_bytes().starts_with(start.as_bytes()),
        None => variable == name,
    }
}

/// Adds what `service` reads from files: first its `env_files`, then its
/// `secrets`, so that the latter win.
///
/// # Errors
/// Which file cannot be used, why, and what to do. Never shows a value.
pub(super) fn add_files(environment: &mut Environment, service: &Service) -> Result<(), Problem> {
    for path in &service.env_files {
        let what = format!("env_files: {}", path.display());
        let lasting = |problem: String| Problem::lasting(problem).about(&what);
        let bytes = read(path).map_err(|problem| problem.about(&what))?;
        let text =
            std::str::from_utf8(&bytes).map_err(|_| lasting("it is not UTF-8".to_owned()))?;
        for (name, value) in parse(text).map_err(lasting)? {
            environment.insert(name.into(), value.into());
        }
    }
    for (name, path) in &service.secrets {
        let what = format!("secrets.{name}: {}", path.display());
        let mut value = read(path).map_err(|problem| problem.about(&what))?;
        while value.last().is_some_and(|byte| matches!(byte, b'\n' | b'\r')) {
            value.pop();
        }
        if value.contains(&0) {
            let problem = "it contains a NUL byte, which a variable cannot hold".to_owned();
            return Err(Problem::lasting(problem).about(&what));
        }
        environment.insert(name.into(), OsString::from_vec(value));
    }
    Ok(())
}

fn read(path: &Path) -> Result<Vec<u8>, Problem> {
    read_regular(path, LARGEST).map_err(|problem| match problem {
        Unusable::Refused(error) => {
            Problem::refused(&error, "is it mounted, and readable by santa-supervise?")
                .about("cannot be read")
        }
        Unusable::NotRegular => {
            Problem::lasting("is not a regular file; put its content into one".to_owned())
        }
        Unusable::TooLarge(most) => Problem::lasting(format!(
            "has more than {most} bytes, too much for variables or a secret"
        )),
    })
}

/// The lines `NAME=value` of a file. Empty lines and those that begin with `#`
/// are passed over; quotes around a whole value are taken off; nothing else is
/// changed or filled in.
fn parse(text: &str) -> Result<Vec<(&str, &str)>, String> {
    let mut found = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (name, value) = line
            .split_once('=')
            .filter(|(name, value)| is_name(name) && !value.contains('\0'))
            .ok_or_else(|| format!("line {} is not NAME=value", number + 1))?;
        found.push((name, unquoted(value)));
    }
    Ok(found)
}

fn is_name(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    name.bytes().all(plain) && !name.is_empty() && !name.as_bytes()[0].is_ascii_digit()
}

fn unquoted(value: &str) -> &str {
    let inside = |quote| value.strip_prefix(quote).and_then(|rest| rest.strip_suffix(quote));
    inside('"').or_else(|| inside('\'')).unwrap_or(value)
}

/// The value of `PATH`.
pub(super) fn path_of(environment: &Environment) -> Option<&OsString> {
    environment.get(OsStr::new("PATH"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_inherits_what_it_declares_and_what_is_harmless() {
        let all: Environment = ["PATH", "LC_ALL", "PG", "PGPORT", "PORT", "SECRET_KEY"]
            .map(|name| (name.into(), "1".into()))
            .into();
        let seen = |names: &[&str]| {
            let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
            let names = inherited(&all, &names).into_keys().map(|name| name.into_string());
            names.collect::<Result<Vec<_>, _>>().expect("UTF-8").join(" ")
        };
        assert_eq!(seen(&[]), "LC_ALL PATH");
        assert_eq!(seen(&["PORT"]), "LC_ALL PATH PORT");
        assert_eq!(seen(&["PG*"]), "LC_ALL PATH PG PGPORT");
        assert_eq!(seen(&["*"]), "LC_ALL PATH PG PGPORT PORT SECRET_KEY");
    }

    #[test]
    fn files_of_variables_are_taken_as_they_stand() {
        let text = "# a comment\n\nA=1\n B=two words \nC='$A #\"'\nD=\"x\"y\"\nE=\n";
        let expected = [("A", "1"), ("B", "two words"), ("C", "$A #\""), ("D", "x\"y"), ("E", "")];
        assert_eq!(parse(text).expect("right"), expected);
    }

    #[test]
    fn a_line_that_is_none_is_named_but_not_shown() {
        for text in ["A=1\nsecret", "A=1\n=secret", "A=1\n9A=secret", "A=1\nexport A=secret"] {
            let problem = parse(text).expect_err(text);
            assert_eq!(problem, "line 2 is not NAME=value");
        }
    }
}
