//! TCP ports for the sockets of a configuration.

use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::OwnedFd;

use rustix::net::{
    AddressFamily, SocketAddrAny, SocketFlags, SocketType, bind, getsockname, socket_with, sockopt,
};

/// A port that nobody else is given as long as this is kept: it is bound, but not
/// listened on. santa-supervise can listen there because both use `SO_REUSEADDR`.
pub(crate) struct ReservedPort {
    pub(crate) number: u16,
    _bound: OwnedFd,
}

impl ReservedPort {
    pub(crate) fn new() -> Self {
        let kind = (AddressFamily::INET, SocketType::STREAM, SocketFlags::CLOEXEC);
        let bound = socket_with(kind.0, kind.1, kind.2, None).expect("socket");
        sockopt::set_socket_reuseaddr(&bound, true).expect("SO_REUSEADDR");
        bind(&bound, &SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0))).expect("any port");
        let address: SocketAddrAny = getsockname(&bound).expect("bound");
        let address = SocketAddr::try_from(address).expect("an address of IPv4");
        Self { number: address.port(), _bound: bound }
    }
}
