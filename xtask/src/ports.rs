//! TCP ports of this machine: which are free, and what stands against the others.

use std::collections::VecDeque;
use std::fs::File;
use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Result, ensure};
use santa_config::Address;

use crate::{private, run, shipped};

/// Ports are given out in blocks, each with a lock that lasts as long as this process,
/// or until it has been given as many others.
const BLOCK: u16 = 10;
const MOST_RESERVED: usize = 32;

static RESERVED: Mutex<VecDeque<File>> = Mutex::new(VecDeque::new());

/// The public port of the container, which the development loop takes too.
pub fn public_port() -> Result<u16> {
    let config = shipped::configuration()?;
    match config.sockets.get(&config.proxy.socket).map(|socket| &socket.listen) {
        Some(Address::Tcp(address)) => Ok(address.port()),
        _ => None.context("docker/santa.toml: the public socket is not a TCP address"),
    }
}

/// Whether an address can be listened on right now.
pub fn free(address: SocketAddr) -> bool {
    run::check().is_ok() && std::net::TcpListener::bind(address).is_ok()
}

/// What stands against listening on a port here; `what` is for. Nothing, when it is free.
pub(crate) fn obstacle(port: u16, what: &str) -> Option<String> {
    let error = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, port)).err()?;
    Some(match error.kind() {
        ErrorKind::AddrInUse => format!(
            "port {port} ({what}) is taken; stop what uses it, or choose another: cargo xtask dev --port PORT"
        ),
        ErrorKind::PermissionDenied => format!(
            "no permission to listen on port {port} ({what}), which takes root; choose one from 1024 on: cargo xtask dev --port PORT"
        ),
        _ => format!("cannot listen on port {port} ({what}): {error}"),
    })
}

/// This many consecutive free ports, away from those of the development loop; the first. No
/// other process of this user is given them while this one needs them: whoever listens
/// on them does so a little later.
pub fn in_a_row(count: u16) -> Result<u16> {
    ensure!(count <= BLOCK, "no more than {BLOCK} ports are given out at once");
    let folder = std::env::temp_dir()
        .join(format!("santaserver-ports-{}", rustix::process::geteuid().as_raw()));
    private::folder(&folder)?;
    let mut reserved = RESERVED.lock().unwrap_or_else(PoisonError::into_inner);
    for first in (28080..28980u16).step_by(usize::from(BLOCK)) {
        let file = File::create(folder.join(first.to_string()))
            .context("cannot reserve ports in the folder of temporary files")?;
        let all_free = || (0..count).all(|offset| free(([127, 0, 0, 1], first + offset).into()));
        if file.try_lock().is_ok() && all_free() {
            if reserved.len() == MOST_RESERVED {
                reserved.pop_front();
            }
            reserved.push_back(file);
            return Ok(first);
        }
    }
    run::check()?;
    None.with_context(|| format!("no {count} free ports from 28080 on"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_given_out_once() {
        let (first, second) = (in_a_row(3).expect("free"), in_a_row(3).expect("free"));
        assert!(first.abs_diff(second) >= BLOCK, "{first} {second}");
        let taken = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, first)).expect("free");
        assert!(!free(taken.local_addr().expect("an address")));
    }
}
