//! Where load goes and comes from: TCP or a Unix socket, with TLS if wanted.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

/// The name for which certificates are made and checked.
pub(crate) const NAME: &str = "localhost";

/// An address to connect to or to listen on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Place {
    /// `ADDRESS:PORT`
    Tcp(SocketAddr),
    /// `unix:/absolute/path`
    Unix(PathBuf),
}

impl FromStr for Place {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.strip_prefix("unix:") {
            Some(path) if path.starts_with('/') => Ok(Self::Unix(path.into())),
            Some(_) => Err("the path of a Unix socket must be absolute".to_owned()),
            None => text.parse().map(Self::Tcp).map_err(|_| {
                "neither ADDRESS:PORT nor unix:/absolute/path; names are not looked up".to_owned()
            }),
        }
    }
}

/// Both directions of a connection.
pub(crate) trait Duplex: AsyncRead + AsyncWrite + Unpin {}
impl<T: AsyncRead + AsyncWrite + Unpin> Duplex for T {}

/// A connection of any kind.
pub(crate) type Stream = Box<dyn Duplex>;

/// What is spoken on a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Protocol {
    /// HTTP/1.1
    Http1,
    /// HTTP/2
    Http2,
}

impl Protocol {
    /// Its name in a TLS handshake (RFC 7301).
    fn name(self) -> &'static [u8] {
        match self {
            Self::Http1 => b"http/1.1",
            Self::Http2 => b"h2",
        }
    }
}

/// A server that connections can be opened to.
#[derive(Clone)]
pub(crate) struct Target {
    place: Place,
    protocol: Protocol,
    tls: Option<TlsConnector>,
}

impl Target {
    /// A server at `place`, over TLS when an authority is given.
    pub(crate) fn new(place: Place, protocol: Protocol, authority: Option<&Path>) -> Result<Self> {
        let tls = authority.map(|file| connector(file, protocol)).transpose()?;
        Ok(Self { place, protocol, tls })
    }

    /// Opens a connection.
    pub(crate) async fn connect(&self) -> Result<Stream> {
        let stream: Stream = match &self.place {
            Place::Tcp(address) => {
                let stream = TcpStream::connect(address)
                    .await
                    .with_context(|| format!("cannot connect to {address}"))?;
                stream.set_nodelay(true)?;
                Box::new(stream)
            }
            Place::Unix(path) => Box::new(
                UnixStream::connect(path)
                    .await
                    .with_context(|| format!("cannot connect to {}", path.display()))?,
            ),
        };
        let Some(tls) = &self.tls else { return Ok(stream) };
        let name = ServerName::try_from(NAME).context("a name for TLS")?;
        let stream = tls.connect(name, stream).await.context("the TLS handshake failed")?;
        let chosen = stream.get_ref().1.alpn_protocol();
        // Without a choice it is HTTP/1.1.
        let agreed = chosen.unwrap_or(Protocol::Http1.name()) == self.protocol.name();
        ensure!(agreed, "the server does not speak {:?}", self.protocol);
        Ok(Box::new(stream))
    }
}

/// Whole handshakes every time: resumption would hide their cost.
fn connector(authority: &Path, protocol: Protocol) -> Result<TlsConnector> {
    let mut roots = RootCertStore::empty();
    let certificate = CertificateDer::from_pem_file(authority)
        .with_context(|| format!("cannot read the certificate in {}", authority.display()))?;
    roots.add(certificate).context("the authority is not usable")?;
    let mut config = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = vec![protocol.name().to_vec()];
    config.resumption = tokio_rustls::rustls::client::Resumption::disabled();
    Ok(TlsConnector::from(Arc::new(config)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_addresses_or_absolute_paths() {
        assert_eq!("127.0.0.1:80".parse(), Ok(Place::Tcp(([127, 0, 0, 1], 80).into())));
        assert_eq!("unix:/a/b".parse(), Ok(Place::Unix("/a/b".into())));
        for wrong in ["localhost:80", "unix:a", "80", ""] {
            assert!(wrong.parse::<Place>().is_err(), "{wrong}");
        }
    }
}
