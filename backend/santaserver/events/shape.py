"""The only mapping from a stored event to its form in the API and the live channel."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from santaserver.events.contradictions import parsed
from santaserver.events.schemas import CertificateClaim, Event, SigningCertificate

StoredEvent = Mapping[str, Any]
"""A row with the columns of `EVENT_COLUMNS`."""
Certificates = Mapping[str, Mapping[str, Any]]
"""Certificates by SHA-256."""

EVENT_COLUMNS = """
  e.id, coalesce(m.machine_id, '') as machine_id, coalesce(m.hostname, '') as hostname, e.occurred_at,
  e.received_at, e.decision, e.blocked, e.file_name, e.file_path, x.sha256 as file_sha256, e.executing_user,
  e.parent_name, e.pid, e.ppid, x.team_id, x.signing_id, x.cdhash, x.bundle_name, x.bundle_id, x.signing_chain
"""
EVENT_JOINS = """
  join program x on x.id = e.program_id left join machine m on m.id = e.machine_id
"""


def show(row: StoredEvent, certificates: Certificates) -> Event:
    """Return an event as its readers get it."""
    chain = [certificates[digest] for digest in row["signing_chain"] if digest in certificates]
    leaf = chain[0] if chain else None
    return Event.model_construct(
        **{name: row[name] for name in _PLAIN},
        certificate_sha256=leaf["sha256"] if leaf else "",
        publisher=publisher(leaf),
        signing_chain=[_certificate(cert) for cert in chain],
    )


def _certificate(cert: Mapping[str, Any]) -> SigningCertificate:
    claims = [CertificateClaim.model_validate(claim) for claim in parsed(cert["claims"])]
    return SigningCertificate.model_construct(**{**cert, "claims": claims})


def publisher(leaf: Mapping[str, Any] | None) -> str:
    """Return the name that a signature is known by."""
    return str(leaf["org"] or leaf["cn"]) if leaf else ""


def digests(rows: Sequence[StoredEvent]) -> list[str]:
    """Return every certificate that these events name."""
    return sorted({digest for row in rows for digest in row["signing_chain"]})


def position(row: StoredEvent) -> tuple[datetime, int]:
    """Return where a row stands in the list."""
    return row["occurred_at"], row["id"]


_PLAIN = tuple(
    name for name in Event.model_fields if name not in {"certificate_sha256", "publisher", "signing_chain"}
)
