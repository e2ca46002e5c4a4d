//! Ed25519 keys in files, as `openssl genpkey -algorithm ed25519` and
//! `openssl pkey -pubout` make them.

use std::path::Path;

use anyhow::{Context, Result, anyhow};
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{PrivatePkcs8KeyDer, SubjectPublicKeyInfoDer};

use super::super::hash;
use xtask::repo;

/// What precedes the 32 bytes of a public key (RFC 8410, 4).
const PREFIX: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

/// A private key.
pub(crate) struct SigningKey(Ed25519KeyPair);

/// A public key.
pub(crate) struct VerifyingKey([u8; 32]);

impl SigningKey {
    /// Reads a file.
    ///
    /// # Errors
    /// The file cannot be read or holds no such key. Never shows its content.
    pub(crate) fn read(file: &Path) -> Result<Self> {
        let what = || format!("the key in {}", repo::shown(file));
        let der = PrivatePkcs8KeyDer::from_pem_file(file)
            .map_err(|error| anyhow!("{error}; make one: openssl genpkey -algorithm ed25519"))
            .with_context(what)?;
        Ed25519KeyPair::from_pkcs8_maybe_unchecked(der.secret_pkcs8_der())
            .map(Self)
            .map_err(|_| {
                anyhow!("it is not an Ed25519 key: openssl genpkey -algorithm ed25519 makes one")
            })
            .with_context(what)
    }

    /// Its public half's SHA-256.
    pub(crate) fn id(&self) -> String {
        self.public().id()
    }

    /// The signature of a message.
    pub(crate) fn sign(&self, message: &[u8]) -> Vec<u8> {
        self.0.sign(message).as_ref().to_vec()
    }

    pub(crate) fn public(&self) -> VerifyingKey {
        let mut bytes = [0; 32];
        bytes.copy_from_slice(self.0.public_key().as_ref());
        VerifyingKey(bytes)
    }

    /// A key of a test.
    #[cfg(test)]
    pub(crate) fn made(seed: u8) -> Self {
        Self(Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).expect("32 bytes"))
    }
}

impl VerifyingKey {
    /// Reads a file.
    ///
    /// # Errors
    /// The file cannot be read or holds no such key.
    pub(crate) fn read(file: &Path) -> Result<Self> {
        let what = || format!("the public key in {}", repo::shown(file));
        let advice = "openssl pkey -in KEY -pubout makes one of an Ed25519 key";
        let der = SubjectPublicKeyInfoDer::from_pem_file(file)
            .map_err(|error| anyhow!("{error}; {advice}"))
            .with_context(what)?;
        let bytes = der.as_ref().strip_prefix(&PREFIX).and_then(|rest| rest.try_into().ok());
        bytes
            .map(Self)
            .with_context(|| format!("it is not of Ed25519: {advice}"))
            .with_context(what)
    }

    /// The SHA-256 of its DER form.
    pub(crate) fn id(&self) -> String {
        hash::sha256(&[&PREFIX[..], &self.0].concat())
    }

    /// Whether a signature of a message is this key's.
    pub(crate) fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        UnparsedPublicKey::new(&ED25519, &self.0).verify(message, signature).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// Made by openssl, for this test only.
    const PRIVATE: &str = concat!(
        "-----BEGIN",
        " PRIVATE KEY-----\n",
        "MC4CAQAwBQYDK2VwBCIEIC3jN23UZ2vy7X/dNAC64dtsRyqT7cpGkiqixtJQCquq\n",
        "-----END PRIVATE KEY-----\n"
    );
    const PUBLIC: &str = "-----BEGIN PUBLIC KEY-----\n\
        MCowBQYDK2VwAyEAERz/WlD1pN/1JXy85QJmDTHLOonkw+WrwrtbZ7aYBCw=\n\
        -----END PUBLIC KEY-----\n";

    #[test]
    fn files_of_openssl_are_read() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let (private, public) = (folder.path().join("key"), folder.path().join("key.pub"));
        fs::write(&private, PRIVATE).expect("written");
        fs::write(&public, PUBLIC).expect("written");
        let (signs, verifies) = (
            SigningKey::read(&private).expect("a key"),
            VerifyingKey::read(&public).expect("a key"),
        );
        assert_eq!(signs.id(), verifies.id());
        assert!(verifies.verifies(b"text", &signs.sign(b"text")));
        assert!(!verifies.verifies(b"text!", &signs.sign(b"text")));
        let short = &signs.sign(b"text")[..63];
        assert!(!verifies.verifies(b"text", short) && !verifies.verifies(b"text", b""));
        // The halves in each other's place, and what is no key.
        for (file, text) in [(&private, PUBLIC), (&private, "none"), (&private, "")] {
            fs::write(file, text).expect("written");
            let error = SigningKey::read(file).err().expect("refused");
            assert!(format!("{error:#}").contains("openssl genpkey"), "{error:#}");
        }
        fs::write(&public, PRIVATE).expect("written");
        let error = VerifyingKey::read(&public).err().expect("refused");
        assert!(format!("{error:#}").contains("-pubout"), "{error:#}");
        assert!(!format!("{error:#}").contains("MC4C"), "the key is shown");
    }
}
