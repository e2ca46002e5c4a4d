"""Which enrollment a known machine belongs to, and which serial numbers its id was used with.

A machine id is a claim, and two Macs can have the same one by mistake. A serial number is stored when it
differs from the previous one; the sync decision treats such a preflight as a conflict. Nothing is read or
written for a Mac that reports the same as last time.
"""

from datetime import datetime

from santaserver.db import Connection
from santaserver.enrollment import machine_repository as repository
from santaserver.enrollment.admission import EnrollmentTerms, admit

MAX_SERIAL = 500
MAX_SERIALS = 20
"""For one machine id; the ones seen last are kept."""


async def keep_enrollment(
    connection: Connection, row_id: int, before: int | None, shown: EnrollmentTerms | None, serial: str
) -> int | None:
    """Move a machine that shows another enrollment's secret there if it has room; return where it is."""
    if shown is None or shown.id == before:
        return before
    await admit(connection, shown, serial)
    await repository.set_enrollment(connection, row_id, shown.id)
    return shown.id


async def note_serial(connection: Connection, row_id: int, before: str, serial: str, now: datetime) -> None:
    """Store that a machine id is used with a different serial number than before."""
    said = serial[:MAX_SERIAL]
    if not said or said == before:
        return
    await repository.end_serial(connection, row_id, before)
    await repository.add_serial(connection, row_id, said, now)
    await repository.forget_serials(connection, row_id, said, MAX_SERIALS)
