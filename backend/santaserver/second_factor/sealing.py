"""Encrypts what is stored and has to be read again: the secrets of authenticator apps."""

import secrets
from typing import NamedTuple

from santaserver.secret_keys import SecretKeys

NONCE_BYTES = 12
PURPOSE = "totp"


class CannotOpen(Exception):  # noqa: N818 - a state, not a mistake
    """The text was encrypted with another key, or for another account."""


class Opened(NamedTuple):
    """A secret that was decrypted."""

    plain: bytes
    current: bool
    """Whether it was encrypted with the present key; else it should be encrypted again."""


def seal(keys: SecretKeys, user_id: int, plain: bytes) -> bytes:
    """Encrypt a secret of an account with a key derived from `SECRET_KEY`."""
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: PLC0415 - only second factors need it

    nonce = secrets.token_bytes(NONCE_BYTES)
    return nonce + AESGCM(keys.current(PURPOSE)).encrypt(nonce, plain, _account(user_id))


def open_sealed(keys: SecretKeys, user_id: int, sealed: bytes) -> Opened:
    """Decrypt a secret with the first of these keys that fits; raise `CannotOpen` when none does."""
    from cryptography.exceptions import InvalidTag  # noqa: PLC0415
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: PLC0415

    nonce, text = sealed[:NONCE_BYTES], sealed[NONCE_BYTES:]
    for number, key in enumerate(keys.accepted(PURPOSE)):
        try:
            plain = AESGCM(key).decrypt(nonce, text, _account(user_id))
            return Opened(plain, current=number == 0)
        except InvalidTag:
            continue
    raise CannotOpen


def _account(user_id: int) -> bytes:
    return f"user {user_id}".encode()
