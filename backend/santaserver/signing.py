"""Signs files as CMS (PKCS #7) messages that contain them, as macOS expects of configuration profiles.

`cryptography` is loaded by what signs only, so that commands of the command line start faster.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization.pkcs7 import PKCS7PrivateKeyTypes


class Signer:
    """A certificate with its chain and its private key."""

    def __init__(self, certificates: list[x509.Certificate], key: PKCS7PrivateKeyTypes) -> None:
        """Take the signer's own certificate first."""
        self._certificates = certificates
        self._key = key

    @property
    def subject(self) -> str:
        """The name of the signer, which macOS shows."""
        from cryptography.x509.oid import NameOID  # noqa: PLC0415

        subject = self._certificates[0].subject
        names = subject.get_attributes_for_oid(NameOID.COMMON_NAME)
        return str(names[0].value) if names else subject.rfc4514_string()

    @property
    def expires_at(self) -> datetime:
        """When its certificate ends."""
        return self._certificates[0].not_valid_after_utc

    def sign(self, content: bytes) -> bytes:
        """Return a message (DER) with the content, the signature and the certificates."""
        from cryptography.hazmat.primitives.hashes import SHA256  # noqa: PLC0415
        from cryptography.hazmat.primitives.serialization import Encoding, pkcs7  # noqa: PLC0415

        own, *others = self._certificates
        builder = pkcs7.PKCS7SignatureBuilder().set_data(content).add_signer(own, self._key, SHA256())
        for certificate in others:
            builder = builder.add_certificate(certificate)
        return builder.sign(Encoding.DER, [pkcs7.PKCS7Options.Binary, pkcs7.PKCS7Options.NoCapabilities])


def signer_of(certificates: str, key: str) -> Signer:
    """Read a certificate with its chain and its private key (PEM); raise `ValueError` for unusable ones."""
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat  # noqa: PLC0415

    chain, private = certificates_of(certificates), private_key_of(key)
    form = Encoding.DER, PublicFormat.SubjectPublicKeyInfo
    if chain[0].public_key().public_bytes(*form) != private.public_key().public_bytes(*form):
        raise ValueError("the key does not belong to the first certificate")
    return Signer(chain, private)


def certificates_of(pem: str) -> list[x509.Certificate]:
    """Read certificates (PEM); raise `ValueError` when there is none, or an unreadable one."""
    from cryptography import x509  # noqa: PLC0415

    try:
        return x509.load_pem_x509_certificates(pem.encode())
    except ValueError:
        raise ValueError("no certificate in PEM form (-----BEGIN CERTIFICATE-----)") from None


def pem_of(certificates: list[x509.Certificate]) -> bytes:
    """Return certificates as PEM, without whatever stood between them."""
    from cryptography.hazmat.primitives.serialization import Encoding  # noqa: PLC0415

    return b"".join(certificate.public_bytes(Encoding.PEM) for certificate in certificates)


def private_key_of(pem: str) -> PKCS7PrivateKeyTypes:
    """Read a private key (PEM); raise `ValueError` for one that cannot sign."""
    from cryptography.exceptions import UnsupportedAlgorithm  # noqa: PLC0415
    from cryptography.hazmat.primitives.asymmetric import ec, rsa  # noqa: PLC0415
    from cryptography.hazmat.primitives.serialization import load_pem_private_key  # noqa: PLC0415

    try:
        key = load_pem_private_key(pem.encode(), password=None)
    except TypeError:
        raise ValueError("the private key is encrypted: remove its passphrase (openssl pkey)") from None
    except (ValueError, UnsupportedAlgorithm):
        raise ValueError("no private key in PEM form") from None
    if not isinstance(key, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey):
        raise ValueError("the private key is neither RSA nor ECDSA")  # noqa: TRY004 - of a setting
    return key
