//! Certificates made for one test, and a TLS client.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

/// An authority of our own.
pub(crate) struct Authority {
    pem: String,
    issuer: Issuer<'static, KeyPair>,
}

/// A certificate with its key, as PEM.
#[derive(Clone)]
pub(crate) struct Pair {
    pub(crate) certificate: String,
    pub(crate) key: String,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let key = KeyPair::generate().expect("key");
        let mut params = CertificateParams::new(Vec::new()).expect("parameters");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let certificate = params.self_signed(&key).expect("certificate");
        Self { pem: certificate.pem(), issuer: Issuer::new(params, key) }
    }

    /// Its own certificate.
    pub(crate) fn pem(&self) -> &str {
        &self.pem
    }

    /// Connects and shakes hands after sending `preface` in the clear.
    pub(crate) fn connect_after(
        &self,
        address: SocketAddr,
        preface: &[u8],
    ) -> std::io::Result<Secure> {
        Secure::connect_after(address, preface, self, None)
    }

    /// What a client that trusts it needs for a handshake that offers HTTP/2.
    pub(crate) fn connector(&self) -> TlsConnector {
        let mut roots = RootCertStore::empty();
        let root = CertificateDer::from_pem_slice(self.pem.as_bytes()).expect("authority");
        roots.add(root).expect("root");
        let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        TlsConnector::from(Arc::new(config))
    }

    /// A certificate for `name`.
    pub(crate) fn certify(&self, name: &str) -> Pair {
        let key = KeyPair::generate().expect("key");
        let params = CertificateParams::new(vec![name.to_owned()]).expect("parameters");
        let certificate = params.signed_by(&key, &self.issuer).expect("certificate");
        Pair { certificate: certificate.pem(), key: key.serialize_pem() }
    }
}

impl Pair {
    /// The certificate as DER.
    pub(crate) fn der(&self) -> CertificateDer<'static> {
        CertificateDer::from_pem_slice(self.certificate.as_bytes()).expect("certificate")
    }

    /// Writes both into `directory`, replacing what is there at once.
    pub(crate) fn write(&self, directory: &Path) -> (PathBuf, PathBuf) {
        let put = |name: &str, text: &str| {
            let (path, new) = (directory.join(name), directory.join("new"));
            std::fs::write(&new, text).expect("file");
            std::fs::rename(&new, &path).expect("file");
            path
        };
        (put("certificate.pem", &self.certificate), put("key.pem", &self.key))
    }
}

/// A connection over TLS.
pub(crate) struct Secure(StreamOwned<ClientConnection, TcpStream>);

impl Secure {
    /// Connects, trusting `authority` and showing `own`, and shakes hands.
    pub(crate) fn connect(
        address: SocketAddr,
        authority: &Authority,
        own: Option<&Pair>,
    ) -> std::io::Result<Self> {
        Self::connect_after(address, b"", authority, own)
    }

    fn connect_after(
        address: SocketAddr,
        preface: &[u8],
        authority: &Authority,
        own: Option<&Pair>,
    ) -> std::io::Result<Self> {
        let mut roots = RootCertStore::empty();
        let root = CertificateDer::from_pem_slice(authority.pem.as_bytes()).expect("authority");
        roots.add(root).expect("root");
        let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_root_certificates(roots);
        let mut config = match own {
            None => builder.with_no_client_auth(),
            Some(pair) => {
                let key = PrivateKeyDer::from_pem_slice(pair.key.as_bytes()).expect("key");
                builder.with_client_auth_cert(vec![pair.der()], key).expect("own certificate")
            }
        };
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        let name = ServerName::try_from("santa.test").expect("name");
        let session = ClientConnection::new(Arc::new(config), name).expect("session");
        let mut stream = TcpStream::connect(address)?;
        stream.write_all(preface)?;
        stream.set_read_timeout(Some(super::TIMEOUT))?;
        stream.set_write_timeout(Some(super::TIMEOUT))?;
        let mut secure = Self(StreamOwned::new(session, stream));
        while secure.0.conn.is_handshaking() {
            secure.0.conn.complete_io(&mut secure.0.sock)?;
        }
        Ok(secure)
    }

    /// The certificate that was shown.
    pub(crate) fn certificate(&self) -> CertificateDer<'static> {
        self.0.conn.peer_certificates().expect("certificates")[0].clone().into_owned()
    }

    /// The protocol that was agreed on.
    pub(crate) fn protocol(&self) -> Option<&[u8]> {
        self.0.conn.alpn_protocol()
    }

    /// Sends a request and reads a response with a length: head and content.
    pub(crate) fn request(&mut self, text: &str) -> std::io::Result<(String, Vec<u8>)> {
        self.0.write_all(text.as_bytes())?;
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            self.0.read_exact(&mut byte)?;
            head.push(byte[0]);
        }
        let head = String::from_utf8(head).expect("text").to_ascii_lowercase();
        let length = head
            .split_once("content-length: ")
            .and_then(|(_, rest)| rest.split("\r\n").next()?.parse().ok())
            .unwrap_or_else(|| panic!("no length in {head}"));
        let mut content = vec![0; length];
        self.0.read_exact(&mut content)?;
        Ok((head, content))
    }

    /// GET of a path.
    pub(crate) fn get(&mut self, path: &str) -> std::io::Result<(String, Vec<u8>)> {
        self.request(&format!("GET {path} HTTP/1.1\r\nHost: santa.test\r\n\r\n"))
    }

    /// Whether the stream ends properly, with close_notify.
    pub(crate) fn ends_properly(&mut self) -> bool {
        self.0.read(&mut [0]).is_ok_and(|count| count == 0)
    }

    /// The bare stream.
    pub(crate) fn stream(&mut self) -> &mut (impl Read + Write) {
        &mut self.0
    }
}
