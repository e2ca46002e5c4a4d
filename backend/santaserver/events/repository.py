"""Events in the database, as the REST interface reads them."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import ColumnElement, Select, or_, select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession

from santaserver.models import Certificate, Event, Executable, Machine
from santaserver.paging import like_pattern

EventRow = tuple[Event, Executable, str, str]
"""(event, program, machine id, host name)"""

GROUPS: dict[str, ColumnElement[bool]] = {
    "blocked": Event.blocked.is_(True),
    "allowed": Event.decision.like("ALLOW%"),
    "unknown": Event.decision.in_(("ALLOW_UNKNOWN", "BLOCK_UNKNOWN")),
}
"""Words for groups of decisions; any other word is an exact decision."""


def _base() -> Select[Event, Executable, str, str]:
    return (
        select(Event, Executable, Machine.machine_id, Machine.hostname)
        .join(Executable, Executable.id == Event.executable_id)
        .join(Machine, Machine.id == Event.machine_id)
    )


async def list_events(
    session: AsyncSession,
    before: tuple[datetime, int] | None,
    limit: int,
    text: str,
    decision: str,
    machine_id: str,
) -> Sequence[EventRow]:
    """Return the newest events that fit, before the given (time, id)."""
    query = _base().order_by(Event.occurred_at.desc(), Event.id.desc()).limit(limit)
    if before is not None:
        query = query.where(tuple_(Event.occurred_at, Event.id) < tuple_(*before))
    if decision:
        query = query.where(GROUPS.get(decision, Event.decision == decision))
    if machine_id:
        query = query.where(Machine.machine_id == machine_id)
    if text.strip():
        pattern = like_pattern(text)
        columns = (
            Event.file_name,
            Event.file_path,
            Event.executing_user,
            Machine.hostname,
            Executable.sha256,
            Executable.signing_id,
            Executable.bundle_name,
        )
        query = query.where(or_(*(column.ilike(pattern) for column in columns)))
    return [(row[0], row[1], row[2], row[3]) for row in await session.execute(query)]


async def find_event(session: AsyncSession, event_id: int) -> EventRow | None:
    """Return one event."""
    row = (await session.execute(_base().where(Event.id == event_id).limit(1))).one_or_none()
    return (row[0], row[1], row[2], row[3]) if row else None


async def certificates(session: AsyncSession, digests: set[str]) -> dict[str, Certificate]:
    """Return certificates by SHA-256."""
    if not digests:
        return {}
    rows = (await session.execute(select(Certificate).where(Certificate.sha256.in_(digests)))).scalars()
    return {row.sha256: row for row in rows}
