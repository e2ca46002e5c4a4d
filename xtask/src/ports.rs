//! TCP ports of this machine: which are free, and what stands against the others.

use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr};

use anyhow::{Context, Result};
use santa_config::Address;

use crate::{run, shipped};

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

/// So many free ports in a row, away from those of the development loop; the first.
pub fn in_a_row(count: u16) -> Result<u16> {
    let all_free =
        |port: &u16| (0..count).all(|offset| free(([127, 0, 0, 1], port + offset).into()));
    let mut candidates = (28080..28980u16).step_by(10);
    candidates.find(all_free).with_context(|| format!("no {count} free ports from 28080 on"))
}
