//! TLS settings from certificate files, read once per snapshot. Knows nothing of
//! connections; see `server::peer` for the result of a handshake.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use santa_config::{ClientCertificate, ProxyTls};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::{CryptoProvider, ring};
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::server::danger::ClientCertVerifier;
use tokio_rustls::rustls::{RootCertStore, ServerConfig};

/// The protocols offered, the preferred first. WebSockets need HTTP/1.1: browsers
/// open a connection of its own for them (RFC 8441 §3 is not offered).
const PROTOCOLS: [&[u8]; 2] = [b"h2", b"http/1.1"];

/// How to accept TLS connections.
#[derive(Clone)]
pub(crate) struct Tls {
    /// Performs handshakes.
    pub(crate) acceptor: TlsAcceptor,
    /// The `Strict-Transport-Security` line; empty when there is none.
    pub(crate) hsts: Vec<u8>,
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Tls").finish_non_exhaustive()
    }
}

impl Tls {
    /// Reads certificate, key and authorities; nothing when TLS is off.
    ///
    /// # Errors
    /// When a file cannot be read or does not fit the others.
    pub(crate) fn load(settings: &ProxyTls) -> Result<Option<Self>> {
        let (Some(_), Some(certificate), Some(key)) =
            (&settings.socket, &settings.certificate, &settings.key)
        else {
            return Ok(None);
        };
        let provider = Arc::new(ring::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .context("setting up TLS")?;
        let builder = match &settings.client_authorities {
            None => builder.with_no_client_auth(),
            Some(path) => builder.with_client_cert_verifier(verifier(
                path,
                provider,
                settings.client_certificate,
            )?),
        };
        let key_in_file = PrivateKeyDer::from_pem_file(key)
            .with_context(|| format!("reading proxy.tls.key from {}", key.display()))?;
        let mut config = builder
            .with_single_cert(certificates(certificate, "certificate")?, key_in_file)
            .with_context(|| {
                format!("{} is not the key of {}", key.display(), certificate.display())
            })?;
        let first = usize::from(!settings.http2);
        config.alpn_protocols = PROTOCOLS[first..].iter().map(|name| name.to_vec()).collect();
        let hsts = match settings.hsts.as_secs() {
            0 => Vec::new(),
            age => format!("Strict-Transport-Security: max-age={age}\r\n").into_bytes(),
        };
        Ok(Some(Self { acceptor: TlsAcceptor::from(Arc::new(config)), hsts }))
    }
}

/// The files that TLS is made of, to be watched for changes.
pub(crate) fn files(settings: &ProxyTls) -> Vec<PathBuf> {
    if settings.socket.is_none() {
        return Vec::new();
    }
    let files = [&settings.certificate, &settings.key, &settings.client_authorities];
    files.into_iter().flatten().cloned().collect()
}

fn certificates(path: &Path, key: &str) -> Result<Vec<CertificateDer<'static>>> {
    let reading = || format!("reading proxy.tls.{key} from {}", path.display());
    let found = CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .with_context(reading)?;
    if found.is_empty() {
        bail!("{}: the file contains no certificate", reading());
    }
    Ok(found)
}

fn verifier(
    path: &Path,
    provider: Arc<CryptoProvider>,
    wanted: ClientCertificate,
) -> Result<Arc<dyn ClientCertVerifier>> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(path, "client_authorities")? {
        roots
            .add(certificate)
            .with_context(|| format!("reading a certificate authority in {}", path.display()))?;
    }
    let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
    let builder = match wanted {
        ClientCertificate::Optional => builder.allow_unauthenticated(),
        ClientCertificate::Required => builder,
    };
    builder
        .build()
        .with_context(|| format!("using the certificate authorities in {}", path.display()))
}
