//! The public listener: handed down by santa-supervise (`LISTEN_FDS` and
//! `LISTEN_FDNAMES`, descriptors from 3 on), or bound here when it is not.

use std::net::{SocketAddr, TcpListener};
use std::os::fd::{FromRawFd, OwnedFd};

use anyhow::{Context, Result, bail};
use santa_config::{Address, Config, Env};

/// The first descriptor that is handed down.
const FIRST: i32 = 3;

/// The public listener.
#[derive(Debug)]
pub(crate) struct Public {
    /// Ready to accept.
    pub(crate) listener: TcpListener,
    /// Whether somebody else keeps it open when this process ends.
    pub(crate) inherited: bool,
}

/// Takes the inherited listener called `proxy.socket`, or binds its address.
///
/// # Errors
/// When there is neither.
pub(crate) fn public(config: &Config, env: &Env) -> Result<Public> {
    let name = &config.proxy.socket;
    let (address, backlog) = address(config)?;
    let public = match descriptor(env, std::process::id(), name) {
        Some(number) => {
            let listener = adopt(number)
                .with_context(|| format!("taking socket {name} from descriptor {number}"))?;
            Public { listener, inherited: true }
        }
        None => Public { listener: bind(address, backlog)?, inherited: false },
    };
    public.listener.set_nonblocking(true).context("preparing the public listener")?;
    // Accepted connections inherit this on Linux, which saves a call for each.
    rustix::net::sockopt::set_tcp_nodelay(&public.listener, true)
        .context("preparing the public listener")?;
    Ok(public)
}

/// The public address and its backlog.
///
/// # Errors
/// When the configuration names none that could be used.
pub(crate) fn address(config: &Config) -> Result<(SocketAddr, u32)> {
    let name = &config.proxy.socket;
    let Some(socket) = config.sockets.get(name) else {
        bail!("proxy.socket names [socket.{name}], which does not exist");
    };
    match socket.listen {
        Address::Tcp(address) => Ok((address, socket.backlog)),
        Address::Unix(_) => {
            bail!("[socket.{name}] must listen on a TCP address, not on {}", socket.listen)
        }
    }
}

/// The number of the descriptor called `name`, when one was handed to process `pid`.
fn descriptor(env: &Env, pid: u32, name: &str) -> Option<i32> {
    let variable = |name: &str| env.get(name).map(String::as_str);
    if let Some(meant) = variable("LISTEN_PID")
        && meant.parse() != Ok(pid)
    {
        return None;
    }
    let count: usize = variable("LISTEN_FDS")?.parse().ok()?;
    let names = variable("LISTEN_FDNAMES").unwrap_or_default();
    let place = names.split(':').take(count).position(|found| found == name)?;
    i32::try_from(place).ok().map(|place| FIRST + place)
}

#[expect(unsafe_code, reason = "a descriptor that was handed down is known by its number only")]
fn adopt(number: i32) -> Result<TcpListener> {
    // SAFETY: LISTEN_FDS promises that this descriptor is open and ours; this
    // runs once, before anything else could have opened or closed it.
    let descriptor = unsafe { OwnedFd::from_raw_fd(number) };
    ensure_listening(&descriptor)?;
    rustix::io::fcntl_setfd(&descriptor, rustix::io::FdFlags::CLOEXEC)
        .context("keeping it from programs started later")?;
    Ok(TcpListener::from(descriptor))
}

/// Refuses what could never be accepted on.
#[cfg(not(target_vendor = "apple"))]
fn ensure_listening(descriptor: &OwnedFd) -> Result<()> {
    let listening = rustix::net::sockopt::socket_acceptconn(descriptor)
        .context("LISTEN_FDS names a descriptor that is no socket")?;
    if !listening {
        bail!("the socket is not listening");
    }
    Ok(())
}

/// Apple's systems cannot be asked whether a socket is listening.
#[cfg(target_vendor = "apple")]
fn ensure_listening(descriptor: &OwnedFd) -> Result<()> {
    rustix::net::sockopt::socket_type(descriptor)
        .context("LISTEN_FDS names a descriptor that is no socket")?;
    Ok(())
}

fn bind(address: SocketAddr, backlog: u32) -> Result<TcpListener> {
    use rustix::net::{AddressFamily, SocketType, bind, listen, socket, sockopt};
    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let made = socket(family, SocketType::STREAM, None).context("making the public socket")?;
    rustix::io::fcntl_setfd(&made, rustix::io::FdFlags::CLOEXEC)
        .context("making the public socket")?;
    sockopt::set_socket_reuseaddr(&made, true).context("making the public socket")?;
    bind(&made, &address).with_context(|| {
        format!("binding {address}; is another program (or an earlier santa-proxy) using it?")
    })?;
    listen(&made, i32::try_from(backlog).unwrap_or(i32::MAX))
        .with_context(|| format!("listening on {address}"))?;
    Ok(TcpListener::from(made))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env(pairs: &[(&str, &str)]) -> Env {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn the_descriptor_is_found_by_its_name() {
        let both = [("LISTEN_FDS", "2"), ("LISTEN_FDNAMES", "backend:http")];
        assert_eq!(descriptor(&env(&both), 1, "http"), Some(4));
        assert_eq!(descriptor(&env(&both), 1, "backend"), Some(3));
        assert_eq!(descriptor(&env(&both), 1, "other"), None);
        assert_eq!(descriptor(&env(&[]), 1, "http"), None);
        let few = [("LISTEN_FDS", "1"), ("LISTEN_FDNAMES", "backend:http")];
        assert_eq!(descriptor(&env(&few), 1, "http"), None);
    }

    #[test]
    fn descriptors_for_another_process_are_left_alone() {
        let mut pairs =
            env(&[("LISTEN_FDS", "1"), ("LISTEN_FDNAMES", "http"), ("LISTEN_PID", "7")]);
        assert_eq!(descriptor(&pairs, 8, "http"), None);
        assert_eq!(descriptor(&pairs, 7, "http"), Some(3));
        pairs.insert("LISTEN_PID".into(), "nonsense".into());
        assert_eq!(descriptor(&pairs, 7, "http"), None);
    }
}
