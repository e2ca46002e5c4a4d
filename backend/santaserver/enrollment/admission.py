"""Checks the enrollment secret that a Mac shows, and what its enrollment asks of a new machine.

The database is asked by the secret's SHA-256, so that nothing can be learned from how long a
comparison takes. A process remembers the response for a moment; a revocation made elsewhere takes
that long to be noticed.
"""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime, timedelta

from msgspec import Struct

from santaserver import sizes
from santaserver.cache import CacheMemory, LruCache
from santaserver.db import Connection
from santaserver.enrollment import machine_repository as repository
from santaserver.enrollment.certificates import names_serial
from santaserver.enrollment.refused_secret import RefusalReason, SecretRefused
from santaserver.enrollment.secrets import hash_secret
from santaserver.errors import Unauthorized
from santaserver.tokens.limits import Network, is_allowed, parse_network

REMEMBERED = timedelta(seconds=5)


@dataclass(frozen=True, slots=True)
class EnrollmentTerms:
    """What a secret stands for."""

    id: int
    quota: int | None
    serials: frozenset[str] | None
    expires_at: datetime | None
    client_certificate: bool = False
    """Whether a Mac has to present a client certificate as well."""
    reenroll_retired: bool = False
    """Whether a retired Mac that syncs with it joins the fleet again."""
    certificate_serial: bool = False
    """Whether the subject of that certificate has to contain the Mac's serial number."""
    revoked: bool = False
    secret: int | None = None
    """Which of its secrets was shown."""
    valid_until: datetime | None = None
    """Until when that one is accepted, if it was replaced."""
    networks: tuple[Network, ...] = ()
    """From where that one is accepted; empty: from anywhere."""


class EnrollmentCache:
    """The enrollments that Macs showed the secret of lately."""

    def __init__(self, memory: CacheMemory) -> None:
        """Know none."""
        self.known: LruCache[bytes, tuple[EnrollmentTerms, datetime]] = LruCache(
            memory, "enrollments", lambda _, value: 3 * sizes.ENTRY + _serials_size(value[0])
        )
        """Secret's hash → (enrollment, when the database said so)."""


def _serials_size(enrollment: EnrollmentTerms) -> int:
    serials = sum(2 * sizes.text(serial) for serial in enrollment.serials or ())
    return serials + 2 * sizes.ENTRY * len(enrollment.networks)


class Proof(Struct, frozen=True):
    """The credentials of a Mac's request."""

    secret: str | None
    certificate: bytes | None
    """SHA-256 of the client certificate that santa-proxy has verified (`Client-Cert`, RFC 9440)."""
    address: str = ""
    """The client address as santa-proxy determined it; empty when it is not known."""


async def authorize(
    acquire: Callable[[], AbstractAsyncContextManager[Connection]],
    cache: EnrollmentCache,
    proof: Proof,
    required: bool,
    now: datetime,
) -> EnrollmentTerms | None:
    """Return the enrollment of a secret; raise `Unauthorized` for a wrong one, and for none when required.

    A connection is used only for a secret that is not cached.
    """
    secret = proof.secret
    if secret is None:
        if required:
            raise Unauthorized(
                "An enrollment secret is required: send Authorization: Bearer … (SyncExtraHeaders)"
            )
        return None
    hashed = hash_secret(secret)
    known = cache.known.get(hashed)
    if known is not None and timedelta(0) <= now - known[1] < REMEMBERED:
        enrollment = known[0]
    else:
        async with acquire() as connection:
            found = await _find(connection, hashed)
        if found is None:
            raise Unauthorized("Unknown enrollment secret")
        enrollment, _ = cache.known.put(hashed, (found, now))
    if enrollment.revoked:
        raise refusal(enrollment, "revoked")
    if enrollment.expires_at is not None and enrollment.expires_at <= now:
        raise refusal(enrollment, "expired")
    if enrollment.valid_until is not None and enrollment.valid_until <= now:
        raise refusal(enrollment, "replaced")
    if not is_allowed(enrollment.networks, proof.address):
        raise refusal(enrollment, "network")
    if enrollment.client_certificate and proof.certificate is None:
        raise refusal(enrollment, "certificate")
    return enrollment


def refusal(enrollment: EnrollmentTerms, reason: RefusalReason) -> SecretRefused:
    """Return the problem of a request that shows a known secret, but does not meet its conditions."""
    return SecretRefused(enrollment.id, enrollment.secret, reason)


def check_serial(enrollment: EnrollmentTerms | None, serial: str) -> None:
    """Refuse a serial number that is not among those that an enrollment lists."""
    if enrollment is not None and enrollment.serials is not None and serial.upper() not in enrollment.serials:
        raise refusal(enrollment, "serial")


def check_certificate(enrollment: EnrollmentTerms | None, der: bytes | None, serial: str) -> None:
    """Refuse a client certificate without the Mac's serial number where an enrollment asks for it."""
    if enrollment is None or not enrollment.certificate_serial:
        return
    if der is None or not names_serial(der, serial):
        raise refusal(enrollment, "certificate_serial")


async def admit(connection: Connection, enrollment: EnrollmentTerms | None, serial: str) -> None:
    """Check an enrollment's conditions for a new machine; refuse it when they are not met."""
    check_serial(enrollment, serial)
    if enrollment is None or enrollment.quota is None:
        return
    # The lock serializes the counts of two machines that enroll at the same time.
    if await repository.lock_and_count(connection, enrollment.id) >= enrollment.quota:
        raise refusal(enrollment, "quota")


async def _find(connection: Connection, hashed: bytes) -> EnrollmentTerms | None:
    row = await repository.find_by_secret(connection, hashed)
    if row is None:
        return None
    listed = row.serial_allowlist
    serials = None if listed is None else frozenset(serial.upper() for serial in listed)
    return EnrollmentTerms(
        row.id,
        row.quota,
        serials,
        row.expires_at,
        row.client_certificate,
        row.reenroll_retired,
        row.certificate_serial,
        row.revoked_at is not None,
        row.secret,
        row.valid_until,
        tuple(parse_network(one) for one in row.networks),
    )
