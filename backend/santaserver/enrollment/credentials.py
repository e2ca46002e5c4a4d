"""A Mac is its credential: compares what a request shows with what the Mac is bound to. Pure.

A machine id is no secret: it is in inventories and on labels. So a Mac is bound to the enrollment that it
was first seen with, and to its client certificate if it showed one. A certificate belongs to one Mac, so it
proves more than a secret that many Macs share: whoever shows it may come with another enrollment's secret.
"""

import base64
import binascii
import hashlib
from collections.abc import Mapping
from enum import Enum

from msgspec import Struct

CERTIFICATE = "client-cert"
"""Only santa-proxy sets this field: it removes it from clients' requests."""


class Credential(Struct, frozen=True):
    """What a request shows, or what a Mac is bound to."""

    enrollment: int | None = None
    certificate: bytes | None = None
    """SHA-256 of the client certificate."""


class Fit(Enum):
    """How a shown credential compares with the one that a Mac is bound to."""

    SAME = "same"
    MORE = "more"
    """It is the Mac, and shows something to keep: its first credential, a certificate, or another
    enrollment's secret beside its certificate.
    """
    OTHER = "other"


def compare(kept: Credential, shown: Credential) -> Fit:
    """Compare a shown credential with that of a Mac; `FITS` is the same for whatever is not OTHER."""
    if kept.certificate is not None:
        if shown.certificate != kept.certificate:
            return Fit.OTHER
        return Fit.SAME if shown.enrollment in {None, kept.enrollment} else Fit.MORE
    if kept.enrollment is not None and shown.enrollment != kept.enrollment:
        return Fit.OTHER
    return Fit.SAME if shown == kept else Fit.MORE


FITS = """(case when {0}.client_certificate is not null then {0}.client_certificate = {2}
  when {0}.enrollment_id is not null then {0}.enrollment_id = {1} else true end)"""
"""The condition that the credential ({1}, {2}) is not another one than that of the machine {0}."""


def joined(kept: Credential, shown: Credential) -> Credential:
    """Return what a Mac is bound to that showed more than before."""
    return Credential(
        kept.enrollment if shown.enrollment is None else shown.enrollment,
        kept.certificate if shown.certificate is None else shown.certificate,
    )


def certificate_of(fields: Mapping[str, str]) -> bytes | None:
    """Return the digest of the client certificate that santa-proxy verified (RFC 9440), if there is one."""
    der = certificate_in(fields)
    return hashlib.sha256(der).digest() if der else None


def certificate_in(fields: Mapping[str, str]) -> bytes | None:
    """Return that client certificate itself, DER."""
    value = fields.get(CERTIFICATE)
    if value is None:
        return None
    try:
        return base64.b64decode(value.strip().strip(":"), validate=True) or None
    except (binascii.Error, ValueError):
        return None


def shown_as(certificate: bytes | None) -> str | None:
    """Return a digest as people compare it."""
    return None if certificate is None else certificate.hex()
