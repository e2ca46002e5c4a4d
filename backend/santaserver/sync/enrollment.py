"""Who may sync: checks the enrolment secret that a Mac shows."""

import hashlib
from dataclasses import dataclass
from datetime import datetime

from starlette.datastructures import Headers

from santaserver.db import Connection
from santaserver.errors import Unauthorized

HEADER = "x-santa-enrollment"
"""For agents whose system reserves Authorization."""


@dataclass(frozen=True, slots=True)
class Enrollment:
    """What a secret stands for."""

    id: int
    quota: int | None
    serials: tuple[str, ...] | None
    expires_at: datetime | None


def shown_secret(headers: Headers, in_path: str | None) -> str | None:
    """Return the secret a request carries: in the path, as a bearer token, or in a header of its own."""
    if in_path:
        return in_path
    scheme, _, token = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and token.strip():
        return token.strip()
    return headers.get(HEADER) or None


def hash_secret(secret: str) -> bytes:
    """Return the form a secret is stored in; secrets are long and random, so one hash is enough."""
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).digest()


async def authorise(
    connection: Connection, secret: str | None, required: bool, now: datetime
) -> Enrollment | None:
    """Return the enrolment of a secret; raise `Unauthorized` for a wrong one, and for none when required."""
    if secret is None:
        if required:
            raise Unauthorized("Show the enrolment secret: Authorization: Bearer … in SyncExtraHeaders")
        return None
    row = await connection.fetchrow(
        """select id, quota, serial_allowlist, expires_at from enrollment
           where secret_hash = $1 and revoked_at is null""",
        hash_secret(secret),
    )
    if row is None:
        raise Unauthorized("The enrolment secret is not known here")
    serials = tuple(row["serial_allowlist"]) if row["serial_allowlist"] is not None else None
    enrollment = Enrollment(row["id"], row["quota"], serials, row["expires_at"])
    if enrollment.expires_at is not None and enrollment.expires_at <= now:
        raise Unauthorized("The enrolment secret has expired; put a new one into the profile")
    return enrollment


async def admit(connection: Connection, enrollment: Enrollment | None, serial: str) -> None:
    """Check what an enrolment asks of a new machine; raise `Unauthorized` when it does not fit."""
    if enrollment is None:
        return
    if enrollment.serials is not None and serial not in enrollment.serials:
        raise Unauthorized("This enrolment does not list the machine's serial number")
    if enrollment.quota is not None:
        # The lock makes two machines that arrive together count one after the other.
        await connection.execute("select from enrollment where id = $1 for update", enrollment.id)
        used = await connection.fetchval(
            "select count(*) from machine where enrollment_id = $1", enrollment.id
        )
        if used >= enrollment.quota:
            raise Unauthorized("All places of this enrolment are taken")
