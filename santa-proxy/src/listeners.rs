//! The public listeners: inherited from santa-supervise (`LISTEN_FDS` and
//! `LISTEN_FDNAMES`, descriptors from 3 on), or bound here when they are not.

use std::net::{SocketAddr, TcpListener};
use std::os::fd::{FromRawFd, OwnedFd};

use anyhow::{Context, Result, bail};
use santa_config::{Address, Config, Env, listen_tcp};

/// The first inherited descriptor.
const FIRST: i32 = 3;

/// How a listener is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ListenerKind {
    /// Whether another process keeps it open when this one ends.
    pub(crate) inherited: bool,
    /// Whether connections begin with a TLS handshake.
    pub(crate) secure: bool,
}

/// A public listener.
#[derive(Debug)]
pub(crate) struct PublicListener {
    /// Ready to accept.
    pub(crate) listener: TcpListener,
    /// How it is used.
    pub(crate) kind: ListenerKind,
}

impl PublicListener {
    /// The same listener with another descriptor.
    ///
    /// # Errors
    /// When no descriptor is left.
    pub(crate) fn duplicate(&self) -> Result<Self> {
        let listener = self.listener.try_clone().context("duplicating a public listener")?;
        Ok(Self { listener, kind: self.kind })
    }
}

/// The listeners called `proxy.socket` and, if set, `proxy.tls.socket`: those
/// inherited, or bound here.
///
/// # Errors
/// When one cannot be inherited or bound.
pub(crate) fn public(config: &Config, env: &Env) -> Result<Vec<PublicListener>> {
    let plain = (config.proxy.socket.as_str(), false);
    let tls = config.proxy.tls.socket.as_deref().map(|name| (name, true));
    std::iter::once(plain).chain(tls).map(|(name, secure)| one(config, env, name, secure)).collect()
}

fn one(config: &Config, env: &Env, name: &str, secure: bool) -> Result<PublicListener> {
    let (address, backlog) = address(config, name)?;
    let (listener, inherited) = match descriptor(env, std::process::id(), name) {
        Some(number) => {
            let listener = inherit(number)
                .with_context(|| format!("inheriting socket {name} as descriptor {number}"))?;
            (listener, true)
        }
        None => (bind(address, backlog)?, false),
    };
    let public = PublicListener { listener, kind: ListenerKind { inherited, secure } };
    public.listener.set_nonblocking(true).context("configuring the public listener")?;
    // Accepted connections inherit this on Linux, which saves a call for each.
    rustix::net::sockopt::set_tcp_nodelay(&public.listener, true)
        .context("configuring the public listener")?;
    Ok(public)
}

/// Checks that every public listener has a usable address.
///
/// # Errors
/// Which one has none.
pub(crate) fn check(config: &Config) -> Result<()> {
    let names = std::iter::once(&config.proxy.socket).chain(&config.proxy.tls.socket);
    names.into_iter().try_for_each(|name| address(config, name).map(|_| ()))
}

/// The address of a public listener and its backlog.
fn address(config: &Config, name: &str) -> Result<(SocketAddr, u32)> {
    let Some(socket) = config.sockets.get(name) else {
        bail!("[socket.{name}] is missing");
    };
    match socket.listen {
        Address::Tcp(address) => Ok((address, socket.backlog)),
        Address::Unix(_) => {
            bail!("[socket.{name}] must listen on a TCP address, not on {}", socket.listen)
        }
    }
}

/// The number of the descriptor called `name`, if process `pid` inherited one.
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

#[expect(unsafe_code, reason = "an inherited descriptor is known by its number only")]
fn inherit(number: i32) -> Result<TcpListener> {
    // SAFETY: LISTEN_FDS promises that this descriptor is open and ours; this
    // runs once, before anything else could have opened or closed it.
    let descriptor = unsafe { OwnedFd::from_raw_fd(number) };
    ensure_listening(&descriptor)?;
    rustix::io::fcntl_setfd(&descriptor, rustix::io::FdFlags::CLOEXEC)
        .context("closing it on exec")?;
    Ok(TcpListener::from(descriptor))
}

/// Refuses a descriptor that is not a listening socket.
#[cfg(not(target_vendor = "apple"))]
fn ensure_listening(descriptor: &OwnedFd) -> Result<()> {
    let listening = rustix::net::sockopt::socket_acceptconn(descriptor)
        .context("LISTEN_FDS names a descriptor that is not a socket")?;
    if !listening {
        bail!("the descriptor is not a listening socket");
    }
    Ok(())
}

/// Apple's systems cannot be asked whether a socket is listening.
#[cfg(target_vendor = "apple")]
fn ensure_listening(descriptor: &OwnedFd) -> Result<()> {
    rustix::net::sockopt::socket_type(descriptor)
        .context("LISTEN_FDS names a descriptor that is not a socket")?;
    Ok(())
}

fn bind(address: SocketAddr, backlog: u32) -> Result<TcpListener> {
    let backlog = i32::try_from(backlog).unwrap_or(i32::MAX);
    listen_tcp(address, backlog, false).with_context(|| {
        format!("binding {address}; is another program (or an earlier santa-proxy) using it?")
    })
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
