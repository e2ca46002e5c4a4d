//! Certificates for one bench: an authority and a server's certificate.

use std::path::Path;

use anyhow::{Context, Result};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};

use crate::target::NAME;

/// Writes `ca.pem`, `certificate.pem` and `key.pem` (ECDSA P-256) into `directory`.
pub(crate) fn write(directory: &Path) -> Result<()> {
    let authority_key = KeyPair::generate().context("cannot make a key")?;
    let mut authority = CertificateParams::new(Vec::new())?;
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let root = authority.self_signed(&authority_key).context("cannot make an authority")?;
    let issuer = Issuer::new(authority, authority_key);
    let key = KeyPair::generate().context("cannot make a key")?;
    let leaf = CertificateParams::new(vec![NAME.to_owned()])?
        .signed_by(&key, &issuer)
        .context("cannot make a certificate")?;
    for (name, text) in
        [("ca.pem", root.pem()), ("certificate.pem", leaf.pem()), ("key.pem", key.serialize_pem())]
    {
        let path = directory.join(name);
        std::fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}
