//! The table `[[hook]]`: who is told when a service changes its state.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::diagnostic::Diagnostics;
use crate::node::Node;
use crate::read::{Setting, type_error};
use crate::section::{section, string_enum};
use crate::values::Address;

section! {
    /// Runs a program, or posts JSON, when a service enters one of `states`. It
    /// is given what `santa-supervise events --json` shows: a program on its
    /// standard input (and as `SANTA_EVENT_NAME`, `SANTA_EVENT_INSTANCE`,
    /// `SANTA_EVENT_FROM`, `SANTA_EVENT_TO`, `SANTA_EVENT_WHY`), an address as the
    /// body of the request. A hook that fails is only a warning in the log;
    /// at the end of santa-supervise those under way are waited for two seconds.
    pub struct Hook {
        /// Name in the log: lower-case letters, digits and dashes.
        name: String,
        /// States that it is for.
        states: Vec<State> = ["failed"],
        /// Services that it is for; all of them when empty.
        services: Vec<String>,
        /// Program and arguments, run as the user of santa-supervise.
        command: Vec<String>,
        /// Variables of santa-supervise that the program inherits, as for a
        /// service.
        env_pass: Vec<String>,
        /// Where to post to, instead of a program.
        post: Option<PostTarget>,
        /// Longest it may take before it is ended.
        timeout: Duration = "10s",
    }
}

string_enum! {
    /// The states of docs/supervise-states.md.
    pub enum State {
        /// Waits for services it depends on.
        Waiting = "waiting",
        /// Runs and is not ready yet.
        Starting = "starting",
        /// Is ready.
        Ready = "ready",
        /// Is being stopped.
        Stopping = "stopping",
        /// Does not run, by request.
        Stopped = "stopped",
        /// Waits for its next start.
        Backoff = "backoff",
        /// Nothing more is tried.
        Failed = "failed",
        /// Ended with success.
        Completed = "completed",
        /// Never started: a service it depends on failed.
        Skipped = "skipped",
    }
}

/// Where a hook posts to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PostTarget {
    /// Where to connect to.
    pub address: Address,
    /// Path of the request.
    pub path: String,
}

impl Setting for PostTarget {
    const EXPECTED: &'static str =
        "\"http://ADDRESS:PORT/path\" or \"unix:/absolute/path.sock:/path\" (no TLS, no names)";

    fn read(node: &Node, key: &str, diagnostics: &mut Diagnostics) -> Option<Self> {
        let target = node.as_text().and_then(target);
        target.or_else(|| type_error(node, key, Self::EXPECTED, diagnostics))
    }
}

fn target(text: &str) -> Option<PostTarget> {
    let (address, path) = match text.strip_prefix("unix:") {
        Some(rest) => {
            let (socket, path) = rest.split_once(':')?;
            let socket = Some(PathBuf::from(socket)).filter(|socket| is_plain(socket))?;
            (Address::Unix(socket), path)
        }
        None => {
            let rest = text.strip_prefix("http://")?;
            let (address, _) = rest.split_at(rest.find('/')?);
            (Address::Tcp(address.parse::<SocketAddr>().ok()?), &rest[address.len()..])
        }
    };
    let visible = path.bytes().all(|byte| byte.is_ascii_graphic());
    (path.starts_with('/') && visible).then(|| PostTarget { address, path: path.to_owned() })
}

fn is_plain(socket: &Path) -> bool {
    socket.is_absolute()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_addresses_with_a_path() {
        let shown =
            |text: &str| target(text).map(|found| format!("{} {}", found.address, found.path));
        assert_eq!(shown("http://127.0.0.1:90/a/b").as_deref(), Some("127.0.0.1:90 /a/b"));
        assert_eq!(shown("http://[::1]:90/").as_deref(), Some("[::1]:90 /"));
        assert_eq!(shown("unix:/run/a.sock:/x").as_deref(), Some("unix:/run/a.sock /x"));
        for wrong in [
            "",
            "http://127.0.0.1:90",
            "http://name:90/",
            "https://127.0.0.1:90/",
            "unix:/run/a.sock",
            "unix:a.sock:/x",
            "http://127.0.0.1:90/a b",
        ] {
            assert_eq!(shown(wrong), None, "{wrong}");
        }
    }
}
