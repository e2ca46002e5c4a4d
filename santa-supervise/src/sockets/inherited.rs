//! Listening sockets that whoever started santa-supervise keeps open: systemd's socket
//! activation (`LISTEN_PID`, `LISTEN_FDS`, `LISTEN_FDNAMES`; podman passes the first two
//! into the container). Connections wait in them while santa-supervise is replaced, so
//! each has to be the one that the configuration means: what does not fit is refused.

use std::collections::BTreeSet;
use std::os::fd::OwnedFd;

use santa_config::{Address, Config, Env};

use super::{Listener, Sockets, Tenure, wanted};
use crate::os::{self, InheritedKind};
use crate::plan::Blueprint;

/// More would be a mistake.
const MOST: usize = 64;

/// How systemd calls a descriptor that has no name, as do engines that pass no names.
const UNNAMED: &str = "unknown";

/// What the environment says of inherited descriptors.
#[derive(Debug, PartialEq, Eq)]
enum Announced {
    /// Their names, from descriptor 3 on.
    Named(Vec<String>),
    /// They are another process's; why.
    Foreign(String),
}

/// What was inherited.
#[derive(Debug, Default)]
pub struct Inherited {
    /// Names and descriptors; `None` is not open.
    descriptors: Vec<(String, Option<OwnedFd>)>,
    /// Why something was left alone.
    pub warning: Option<String>,
}

impl Inherited {
    /// Takes what the environment announces. To be called before anything here opens a
    /// descriptor.
    ///
    /// # Errors
    /// What in the environment contradicts itself.
    pub fn take(env: &Env) -> Result<Self, String> {
        match announced(env, std::process::id())? {
            Announced::Foreign(why) => Ok(Self { warning: Some(why), ..Self::default() }),
            Announced::Named(names) => {
                let taken = os::take_inherited(names.len());
                Ok(Self { descriptors: names.into_iter().zip(taken).collect(), warning: None })
            }
        }
    }
}

fn announced(env: &Env, pid: u32) -> Result<Announced, String> {
    let Some(count) = env.get("LISTEN_FDS") else { return Ok(Announced::Named(Vec::new())) };
    let meant = env.get("LISTEN_PID").map_or("", String::as_str);
    if meant.parse() != Ok(pid) {
        let whom = if meant.is_empty() {
            "no process (LISTEN_PID is not set)".to_owned()
        } else {
            format!("process {meant}")
        };
        return Ok(Announced::Foreign(format!(
            "the sockets of LISTEN_FDS are meant for {whom}, not for santa-supervise (process {pid}), and are left alone; start it without a program in between, such as that of `podman run --init`"
        )));
    }
    let Some(count) = count.parse::<usize>().ok().filter(|count| *count <= MOST) else {
        return Err(format!(
            "LISTEN_FDS: expected a number up to {MOST}, found \"{count}\"; correct it in what starts santa-supervise"
        ));
    };
    let names: Vec<String> = match env.get("LISTEN_FDNAMES").filter(|names| !names.is_empty()) {
        Some(names) => names.split(':').map(str::to_owned).collect(),
        None => vec![UNNAMED.to_owned(); count],
    };
    if names.len() != count {
        return Err(format!(
            "LISTEN_FDNAMES: expected {count} names as LISTEN_FDS says, found {}; correct it in what starts santa-supervise",
            names.len()
        ));
    }
    Ok(Announced::Named(names))
}

impl Sockets {
    /// The sockets that services get, those that were `inherited` among them.
    ///
    /// # Errors
    /// Each descriptor that is not what the configuration means, with the remedy.
    pub fn inheriting(
        inherited: Inherited,
        config: &Config,
        blueprints: &[Blueprint],
    ) -> Result<Self, Vec<String>> {
        let wanted = wanted(config, blueprints);
        let declared: Vec<(&str, &Address)> =
            wanted.iter().map(|(address, (name, _))| (*name, *address)).collect();
        let mut sockets = Self::default();
        let mut problems = Vec::new();
        let mut taken = BTreeSet::new();
        for (number, (name, fd)) in (3..).zip(inherited.descriptors) {
            let place = format!("LISTEN_FDS: descriptor {number} ({name})");
            let assigned = fd.as_ref().map_or_else(|| Err(NOT_OPEN.to_owned()), kind_of);
            match assigned.and_then(|kind| assign(&declared, &name, &kind, &taken)) {
                Err(problem) => problems.push(format!("{place} {problem}")),
                Ok((address, actual)) => {
                    taken.insert(address.clone());
                    let (_, traits) = wanted[&address];
                    if let Some(fd) = fd {
                        let listener = Listener {
                            fd,
                            backlog: traits.1,
                            file: None,
                            tenure: Tenure::Inherited(actual),
                        };
                        sockets.bound.insert(address, (listener, traits));
                    }
                }
            }
        }
        if problems.is_empty() { Ok(sockets) } else { Err(problems) }
    }
}

const NOT_OPEN: &str = "is not open: LISTEN_FDS counts more sockets than were passed; correct it in what starts santa-supervise";

fn kind_of(fd: &OwnedFd) -> Result<InheritedKind, String> {
    os::inherited_kind(fd).map_err(|error| format!("cannot be examined: {error}"))
}

/// The declared address that a descriptor is for, and the one that it listens on. By its
/// name when a socket is called that; by its port or path when it has no name of its own,
/// which is also so when it is called like its unit.
fn assign(
    declared: &[(&str, &Address)],
    name: &str,
    kind: &InheritedKind,
    taken: &BTreeSet<Address>,
) -> Result<(Address, Address), String> {
    let actual = match kind {
        InheritedKind::Listener(address) => address,
        InheritedKind::Stream => return Err("does not listen; use `Accept=no` in the socket unit".to_owned()),
        InheritedKind::Datagram => return Err("is a datagram (UDP) socket; use `ListenStream=` in the socket unit".to_owned()),
        InheritedKind::OtherSocket => return Err("is neither a TCP socket nor a Unix socket with a path; use `ListenStream=` in the socket unit".to_owned()),
        InheritedKind::NoSocket => return Err("is not a socket; use `ListenStream=` in the socket unit".to_owned()),
    };
    let called: Vec<&Address> =
        declared.iter().filter(|(one, _)| *one == name).map(|(_, address)| *address).collect();
    let has_own_name = name != UNNAMED && !name.ends_with(".socket");
    if called.is_empty() && has_own_name {
        return Err(format!(
            "has a name that no socket of a service has ({}); correct `FileDescriptorName=` in the socket unit",
            list(declared)
        ));
    }
    let candidates: Vec<&Address> = match called.as_slice() {
        [] => declared
            .iter()
            .map(|(_, address)| *address)
            .filter(|address| is_at(address, actual))
            .collect(),
        [one] => vec![*one],
        several => several.iter().copied().filter(|address| is_at(address, actual)).collect(),
    };
    let address = match candidates.as_slice() {
        [one] => *one,
        [] => return Err(format!("listens on {actual}, where no socket of a service does ({}); make `ListenStream=` of the socket unit and `listen` of the [socket] agree", list(declared))),
        several => *several.iter().find(|address| **address == actual).ok_or_else(|| format!("listens on {actual}, which may be one of several sockets ({}); set `FileDescriptorName=` in the socket unit", list(declared)))?,
    };
    if matches!(address, Address::Tcp(_)) != matches!(actual, Address::Tcp(_)) {
        return Err(format!(
            "listens on {actual}, but socket.{name} on {address}; a TCP socket cannot stand for a Unix socket, nor the reverse: correct `ListenStream=` in the socket unit"
        ));
    }
    if taken.contains(address) {
        return Err(format!(
            "listens on {actual}, and another descriptor stands for {address} already; leave one `ListenStream=` in the socket unit (`[::]:PORT` with `BindIPv6Only=both` is IPv4, too)"
        ));
    }
    Ok((address.clone(), actual.clone()))
}

/// Whether a listener at `actual` is where `declared` should be: at that path, or that port
/// of whichever address.
fn is_at(declared: &Address, actual: &Address) -> bool {
    match (declared, actual) {
        (Address::Tcp(declared), Address::Tcp(actual)) => declared.port() == actual.port(),
        (Address::Unix(declared), Address::Unix(actual)) => declared == actual,
        _ => false,
    }
}

fn list(declared: &[(&str, &Address)]) -> String {
    let all: Vec<String> =
        declared.iter().map(|(name, address)| format!("{name}: {address}")).collect();
    all.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env(pairs: &[(&str, &str)]) -> Env {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn what_is_announced_is_for_this_process_and_adds_up() {
        let names = |names: &[&str]| {
            Ok(Announced::Named(names.iter().map(|name| (*name).to_owned()).collect()))
        };
        let own = [("LISTEN_PID", "7"), ("LISTEN_FDS", "2")];
        assert_eq!(announced(&env(&[]), 7), names(&[]));
        assert_eq!(announced(&env(&own), 7), names(&["unknown", "unknown"]));
        let named = [own[0], own[1], ("LISTEN_FDNAMES", "http:https")];
        assert_eq!(announced(&env(&named), 7), names(&["http", "https"]));
        for foreign in [&own[..], &own[1..]] {
            let found = announced(&env(foreign), 8);
            assert!(matches!(found, Ok(Announced::Foreign(_))), "{found:?}");
        }
        for wrong in [
            [own[0], own[1], ("LISTEN_FDNAMES", "http")],
            [own[0], ("LISTEN_FDS", "two"), own[1]],
            [own[0], ("LISTEN_FDS", "65"), own[0]],
            [own[0], ("LISTEN_FDS", "-1"), own[0]],
        ] {
            let env = wrong
                .iter()
                .rev()
                .chain(&wrong[..2])
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect();
            assert!(announced(&env, 7).is_err(), "{wrong:?}");
        }
    }

    fn address(text: &str) -> Address {
        match text.strip_prefix("unix:") {
            Some(path) => Address::Unix(path.into()),
            None => Address::Tcp(text.parse().expect("an address")),
        }
    }

    /// The declared address for a listener called `name`, or a part of the refusal.
    fn check(name: &str, listening: &str, expected: Result<&str, &str>) {
        let all = [
            ("http", address("[::]:8080")),
            ("https", address("[::]:8443")),
            ("admin", address("127.0.0.1:9000")),
            ("inner", address("127.0.0.2:9000")),
            ("backend", address("unix:/tmp/b.sock")),
        ];
        let declared: Vec<(&str, &Address)> =
            all.iter().map(|(name, address)| (*name, address)).collect();
        let kind = InheritedKind::Listener(address(listening));
        match (assign(&declared, name, &kind, &BTreeSet::new()), expected) {
            (Ok((found, actual)), Ok(expected)) => {
                assert_eq!(
                    (found, actual),
                    (address(expected), address(listening)),
                    "{name} {listening}"
                );
            }
            (Err(problem), Err(part)) => {
                assert!(problem.contains(part), "{name} {listening}: {problem}")
            }
            (found, _) => panic!("{name} {listening}: {found:?}"),
        }
    }

    #[test]
    fn a_name_decides_and_without_one_the_port_or_the_path() {
        check("http", "[::]:80", Ok("[::]:8080"));
        check("https", "0.0.0.0:443", Ok("[::]:8443"));
        check("unknown", "0.0.0.0:8080", Ok("[::]:8080"));
        check("santaserver.socket", "192.0.2.1:8443", Ok("[::]:8443"));
        check("unknown", "unix:/tmp/b.sock", Ok("unix:/tmp/b.sock"));
        check("unknown", "127.0.0.2:9000", Ok("127.0.0.2:9000"));
    }

    #[test]
    fn what_does_not_fit_is_refused_with_the_remedy() {
        check("htpp", "[::]:8080", Err("FileDescriptorName="));
        check("unknown", "[::]:443", Err("make `ListenStream="));
        check("unknown", "unix:/tmp/c.sock", Err("make `ListenStream="));
        check("unknown", "[::]:9000", Err("one of several sockets"));
        check("http", "unix:/tmp/b.sock", Err("cannot stand for"));
        check("backend", "[::]:8080", Err("cannot stand for"));
    }

    #[test]
    fn a_socket_is_inherited_once_and_only_listeners_are() {
        let http = address("[::]:8080");
        let declared = [("http", &http)];
        let problem = |kind, taken| assign(&declared, "http", &kind, &taken).expect_err("refused");
        let listener = InheritedKind::Listener(address("127.0.0.1:8080"));
        assert!(problem(listener, BTreeSet::from([http.clone()])).contains("another descriptor"));
        for (kind, part) in [
            (InheritedKind::Stream, "Accept=no"),
            (InheritedKind::Datagram, "UDP"),
            (InheritedKind::OtherSocket, "ListenStream="),
            (InheritedKind::NoSocket, "not a socket"),
        ] {
            let found = problem(kind, BTreeSet::new());
            assert!(found.contains(part), "{found}");
        }
    }
}
