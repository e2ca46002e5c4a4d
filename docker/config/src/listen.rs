//! Listening on a TCP address of the configuration, in the same way for santa-supervise
//! and santa-proxy.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::os::fd::OwnedFd;

use rustix::net::{AddressFamily, SocketType, bind, listen, socket, sockopt};

/// A listening socket; see [`bind_tcp`].
///
/// # Errors
/// When the address cannot be had.
pub fn listen_tcp(address: SocketAddr, backlog: i32, shared: bool) -> io::Result<TcpListener> {
    let bound = bind_tcp(address, shared)?;
    listen(&bound, backlog)?;
    Ok(bound.into())
}

/// A socket that does not listen yet. `[::]` stands for every address of the machine, those
/// of IPv4 included, so a machine without IPv6 gets 0.0.0.0 instead. With `shared`, other
/// sockets of this user may listen at the same address (`SO_REUSEPORT`).
///
/// # Errors
/// When the address cannot be had.
pub fn bind_tcp(address: SocketAddr, shared: bool) -> io::Result<OwnedFd> {
    with_fallback(address, |address| bind_exactly(address, shared))
}

fn with_fallback<L>(
    address: SocketAddr,
    listen: impl Fn(SocketAddr) -> io::Result<L>,
) -> io::Result<L> {
    let any_v4 = (Ipv4Addr::UNSPECIFIED, address.port()).into();
    match listen(address) {
        Err(error) if address.ip() == Ipv6Addr::UNSPECIFIED && lacks_ipv6(&error) => listen(any_v4),
        listening => listening,
    }
}

fn lacks_ipv6(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EAFNOSUPPORT | libc::EADDRNOTAVAIL))
}

fn bind_exactly(address: SocketAddr, shared: bool) -> io::Result<OwnedFd> {
    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let made = socket(family, SocketType::STREAM, None)?;
    rustix::io::fcntl_setfd(&made, rustix::io::FdFlags::CLOEXEC)?;
    if address.is_ipv6() {
        // Whatever the machine's default (net.ipv6.bindv6only) is.
        sockopt::set_ipv6_v6only(&made, false)?;
    }
    sockopt::set_socket_reuseaddr(&made, true)?;
    if shared {
        sockopt::set_socket_reuseport(&made, true)?;
    }
    bind(&made, &address)?;
    Ok(made)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_address_is_that_of_ipv4_only_where_there_is_no_ipv6() {
        let listens_at = |text: &str, failure: i32| {
            let listen = |address: SocketAddr| match address {
                SocketAddr::V6(_) => Err(io::Error::from_raw_os_error(failure)),
                SocketAddr::V4(_) => Ok(address.to_string()),
            };
            let listening = with_fallback(text.parse().expect("an address"), listen);
            listening.map_err(|error| error.raw_os_error())
        };
        assert_eq!(listens_at("[::]:8080", libc::EAFNOSUPPORT), Ok("0.0.0.0:8080".into()));
        assert_eq!(listens_at("[::]:8080", libc::EADDRNOTAVAIL), Ok("0.0.0.0:8080".into()));
        assert_eq!(listens_at("[::]:8080", libc::EADDRINUSE), Err(Some(libc::EADDRINUSE)));
        assert_eq!(listens_at("[::1]:8080", libc::EAFNOSUPPORT), Err(Some(libc::EAFNOSUPPORT)));
        assert_eq!(listens_at("127.0.0.1:80", libc::EAFNOSUPPORT), Ok("127.0.0.1:80".into()));
    }
}
