//! Names and numbers of signals, as people write them: `TERM`, `SIGTERM`, `15`.

use crate::diagnostic::Diagnostics;
use crate::node::{Node, Value};
use crate::read::{Setting, type_error};

/// The signals that can be named, in the order of their usual numbers.
const NAMES: &[(&str, i32)] = &[
    ("HUP", libc::SIGHUP),
    ("INT", libc::SIGINT),
    ("QUIT", libc::SIGQUIT),
    ("ILL", libc::SIGILL),
    ("TRAP", libc::SIGTRAP),
    ("ABRT", libc::SIGABRT),
    ("BUS", libc::SIGBUS),
    ("FPE", libc::SIGFPE),
    ("KILL", libc::SIGKILL),
    ("USR1", libc::SIGUSR1),
    ("SEGV", libc::SIGSEGV),
    ("USR2", libc::SIGUSR2),
    ("PIPE", libc::SIGPIPE),
    ("ALRM", libc::SIGALRM),
    ("TERM", libc::SIGTERM),
    ("CHLD", libc::SIGCHLD),
    ("CONT", libc::SIGCONT),
    ("STOP", libc::SIGSTOP),
    ("TSTP", libc::SIGTSTP),
    ("TTIN", libc::SIGTTIN),
    ("TTOU", libc::SIGTTOU),
    ("XCPU", libc::SIGXCPU),
    ("XFSZ", libc::SIGXFSZ),
    ("WINCH", libc::SIGWINCH),
    ("SYS", libc::SIGSYS),
];

/// A signal, by its number on this system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Signal(pub i32);

impl Setting for Signal {
    const EXPECTED: &'static str = "a signal such as \"TERM\", \"HUP\" or 15";

    fn read(node: &Node, key: &str, diagnostics: &mut Diagnostics) -> Option<Self> {
        let found = match &node.value {
            Value::Text(text) => number(text),
            Value::Integer(given) => number(&given.to_string()),
            _ => None,
        };
        found.map(Self).or_else(|| type_error(node, key, Self::EXPECTED, diagnostics))
    }
}

/// The number of a signal given by name (with or without `SIG`, in any case)
/// or by number.
#[must_use]
pub fn number(text: &str) -> Option<i32> {
    if let Ok(number) = text.parse::<i32>() {
        return (1..=64).contains(&number).then_some(number);
    }
    let upper = text.to_ascii_uppercase();
    let name = upper.strip_prefix("SIG").unwrap_or(&upper);
    NAMES.iter().find(|(known, _)| *known == name).map(|(_, number)| *number)
}

/// The name of a signal, such as `SIGTERM`.
#[must_use]
pub fn name(number: i32) -> String {
    match NAMES.iter().find(|(_, known)| *known == number) {
        Some((name, _)) => format!("SIG{name}"),
        None => format!("signal {number}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_are_understood_however_people_write_them() {
        for text in ["TERM", "SIGTERM", "sigterm", "term", "15"] {
            assert_eq!(number(text), Some(15), "{text}");
        }
        for text in ["", "TERMINATE", "0", "65", "-9"] {
            assert_eq!(number(text), None, "{text}");
        }
        assert_eq!(name(9), "SIGKILL");
        assert_eq!(name(34), "signal 34");
    }
}
