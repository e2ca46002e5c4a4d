//! Standard error, for what cannot go to the log.

use std::io::Write as _;

/// Prints a message for people. An output that takes nothing (a full disk, a closed
/// pipe) is no reason to do anything else.
pub fn complain(message: &str) {
    let mut out = std::io::stderr().lock();
    for line in message.lines() {
        let _ = writeln!(out, "santa-supervise: {line}");
    }
}
