"""The keys that are derived from `SECRET_KEY`, each for one purpose. Pure.

`SECRET_KEY_PREVIOUS` names keys that were in use before: what they signed or encrypted is still accepted, and
nothing new is made with them. So `SECRET_KEY` can be replaced without ending anything.
"""

import hashlib
import hmac
from collections.abc import Sequence
from functools import lru_cache

SALT = b"santaserver"
KEY_BYTES = 32


class SecretKeys:
    """The present secret and those before it."""

    def __init__(self, current: str, previous: Sequence[str] = ()) -> None:
        """Keep the secrets; keys are derived when they are needed."""
        self._secrets = (current, *previous)

    def __repr__(self) -> str:
        """Show how many there are."""
        return f"SecretKeys({len(self._secrets)} keys)"

    def current(self, purpose: str) -> bytes:
        """Return the key that signs and encrypts for a purpose: 32 bytes."""
        return _derived(self._secrets[0], purpose)

    def accepted(self, purpose: str) -> tuple[bytes, ...]:
        """Return the keys with which a signature may have been made, the present one first."""
        return tuple(_derived(secret, purpose) for secret in self._secrets)

    def sign(self, purpose: str, content: bytes) -> bytes:
        """Return a signature (HMAC-SHA256) by the present key."""
        return hmac.digest(self.current(purpose), content, "sha256")

    def verify(self, purpose: str, content: bytes, signature: bytes) -> bool:
        """Tell whether a signature was made with one of the keys."""
        return any(
            hmac.compare_digest(hmac.digest(key, content, "sha256"), signature)
            for key in self.accepted(purpose)
        )


@lru_cache(maxsize=64)
def _derived(secret: str, purpose: str) -> bytes:
    """Derive a key as HKDF-SHA256 does (RFC 5869); one block of it is enough."""
    extracted = hmac.digest(SALT, secret.encode(), hashlib.sha256)
    return hmac.digest(extracted, purpose.encode() + b"\x01", hashlib.sha256)[:KEY_BYTES]


def previous_keys(text: str) -> tuple[str, ...]:
    """Read `SECRET_KEY_PREVIOUS`: one key a line."""
    return tuple(line.strip() for line in text.splitlines() if line.strip())
