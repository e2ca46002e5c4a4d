"""Ed25519: keys in PEM, signatures and their verification."""

import base64
import binascii

SEED_BYTES = 32
PUBLIC_BYTES = 32
SIGNATURE_BYTES = 64
PKCS8_PREFIX = bytes.fromhex("302e020100300506032b657004220420")
"""What a private key of RFC 8410 begins with; its 32 bytes follow."""


class BadKey(ValueError):  # noqa: N818 - as the library's other ones
    """A text that is no key."""


def seed_of(pem: str) -> bytes:
    """Return the private key in a PEM text, as `openssl genpkey -algorithm ed25519` makes it."""
    lines = [line.strip() for line in pem.strip().splitlines()]
    if not lines or "PRIVATE KEY" not in lines[0] or "ENCRYPTED" in lines[0]:
        raise BadKey("this is no PEM text of an unencrypted private key")
    try:
        der = base64.b64decode("".join(lines[1:-1]), validate=True)
    except (binascii.Error, ValueError):
        raise BadKey("the PEM text is damaged") from None
    if not der.startswith(PKCS8_PREFIX) or len(der) != len(PKCS8_PREFIX) + SEED_BYTES:
        raise BadKey("the private key is not one of Ed25519")
    return der[len(PKCS8_PREFIX) :]


def public_key(seed: bytes) -> bytes:
    """Return the public key of a private one."""
    from santaserver import libcrypto  # noqa: PLC0415 - only when a key is used

    return libcrypto.public_key(seed, PUBLIC_BYTES)


def sign(seed: bytes, message: bytes) -> bytes:
    """Return the signature of a message."""
    from santaserver import libcrypto  # noqa: PLC0415

    return libcrypto.sign(seed, message, SIGNATURE_BYTES)


def verify(public: bytes, signature: bytes, message: bytes) -> bool:
    """Tell whether a signature is the key's own of this message."""
    from santaserver import libcrypto  # noqa: PLC0415

    return len(signature) == SIGNATURE_BYTES and libcrypto.verify(public, signature, message)
