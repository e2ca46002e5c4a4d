"""Password hashes: argon2id with 19 MiB, two passes, one lane (about 30 ms, no GIL held)."""

import asyncio
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from argon2 import PasswordHasher


MAX_PASSWORD = 1000


class Strength(NamedTuple):
    """The parameters of argon2id; hashes of others are replaced at the next login."""

    time_cost: int
    memory_cost: int
    parallelism: int


PRODUCTION = Strength(time_cost=2, memory_cost=19_456, parallelism=1)
STRENGTH = PRODUCTION


@cache
def _hasher() -> "PasswordHasher":
    from argon2 import PasswordHasher  # noqa: PLC0415 - only logins need it

    return PasswordHasher(**STRENGTH._asdict())


@cache
def _nobody() -> str:
    return _hasher().hash("nobody has this password")


def hash_password(password: str) -> str:
    """Return a hash to store."""
    return _hasher().hash(password)


def needs_rehash(stored: str) -> bool:
    """Tell whether a hash was made with other parameters than those of today."""
    return _hasher().check_needs_rehash(stored)


async def check_password(stored: str | None, password: str) -> bool:
    """Tell whether `password` fits; takes as long when there is no such account (`stored` is None)."""
    return await asyncio.to_thread(_verify, stored, password)


def _verify(stored: str | None, password: str) -> bool:
    from argon2.exceptions import InvalidHashError, VerificationError  # noqa: PLC0415

    try:
        _hasher().verify(stored or _nobody(), password)
    except (VerificationError, InvalidHashError):
        return False
    return stored is not None
