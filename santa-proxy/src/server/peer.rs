//! Who is at the other end of a connection, from the accepted socket, the PROXY protocol
//! and the TLS handshake, never from the requests themselves.

use std::net::IpAddr;
use std::rc::Rc;

use crate::http::bytes::push_base64;
use crate::http::version::Version;
use crate::io::stream::Secure;

/// The other end of a connection.
#[derive(Debug, Clone)]
pub(crate) struct Peer {
    /// Its address.
    pub(crate) address: IpAddr,
    /// Whether the connection uses TLS.
    pub(crate) secure: bool,
    /// Whether the connection uses HTTP/2.
    pub(crate) multiplexes: bool,
    /// Its verified certificate as a value of `Client-Cert` (RFC 9440 §2.2).
    pub(crate) certificate: Option<Rc<[u8]>>,
}

impl Peer {
    /// The other end of a connection without TLS.
    pub(crate) fn plain(address: IpAddr) -> Self {
        Self {
            address: address.to_canonical(),
            secure: false,
            multiplexes: false,
            certificate: None,
        }
    }

    /// The same end after its TLS handshake.
    pub(crate) fn secured(mut self, stream: &Secure) -> Self {
        self.secure = true;
        let (_, session) = stream.get_ref();
        self.multiplexes = session.alpn_protocol() == Some(b"h2");
        let certificate = session.peer_certificates().and_then(<[_]>::first);
        self.certificate = certificate.map(|certificate| {
            let mut value = vec![b':'];
            push_base64(&mut value, certificate);
            value.push(b':');
            value.into()
        });
        self
    }

    /// The protocol of a request whose head reads `version`, in logs.
    pub(crate) fn protocol(&self, version: Version) -> &'static str {
        if self.multiplexes { "HTTP/2.0" } else { version.name() }
    }

    /// The URI scheme of its requests.
    pub(crate) fn scheme(&self) -> &'static str {
        if self.secure { "https" } else { "http" }
    }
}
