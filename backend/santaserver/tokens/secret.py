"""The text of a token: a prefix, 32 random characters, and a checksum. Pure.

The prefix lets scanners of source code find a token that was published by mistake, the checksum lets them and
this server tell it from a typing error without a look-up.
"""

import hashlib
import secrets
import string
import zlib
from typing import Literal

OwnerKind = Literal["person", "service"]

PREFIXES: dict[OwnerKind, str] = {"person": "santa_u_", "service": "santa_s_"}
SCIM = "santa_p_"
"""The prefix of tokens with which a directory provisions people; they are no API tokens."""
ALPHABET = string.digits + string.ascii_uppercase + string.ascii_lowercase
RANDOM = 32
"""Characters; 190 bits."""
CHECKSUM = 6
"""Characters of the CRC32 of what is before it."""
LENGTH = 8 + RANDOM + CHECKSUM
SHOWN = 12
"""Characters that tell one token from another in lists: the prefix and four more."""


def new_token(kind: OwnerKind) -> str:
    """Return a new token for an owner of this kind."""
    return new_secret(PREFIXES[kind])


def new_secret(prefix: str) -> str:
    """Return a new token with this prefix."""
    body = prefix + "".join(secrets.choice(ALPHABET) for _ in range(RANDOM))
    return body + _checksum(body)


def is_well_formed(token: str) -> bool:
    """Tell whether a text can be an API token of this server, or of another SantaServer."""
    return has_form(token, *PREFIXES.values())


def has_form(token: str, *prefixes: str) -> bool:
    """Tell whether a text can be a token with one of these prefixes."""
    return (
        len(token) == LENGTH
        and token.isascii()
        and token.startswith(prefixes)
        and token[-CHECKSUM:] == _checksum(token[:-CHECKSUM])
    )


def hash_token(token: str) -> bytes:
    """Return the stored form; tokens are long and random, so one hash is enough."""
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()


def _checksum(body: str) -> str:
    rest, digits = zlib.crc32(body.encode()), ""
    for _ in range(CHECKSUM):
        rest, digit = divmod(rest, len(ALPHABET))
        digits = ALPHABET[digit] + digits
    return digits
