"""Enrollments in the database, as the REST interface reads and writes them."""

from collections.abc import Sequence
from datetime import datetime
from functools import cache

from sqlalchemy import BigInteger, Integer, Select, func, insert, select
from sqlalchemy.dialects.postgresql import aggregate_order_by
from sqlalchemy.ext.asyncio import AsyncSession

from santaserver.db import Connection
from santaserver.models import AppUser, EnrollmentRow, Machine, Tag, TagEnrollment
from santaserver.reads import Row, Statement, parameter

ListedEnrollment = tuple[EnrollmentRow, int, str | None, list[str]]
"""(enrollment, machines, who made it, its tags)"""


def _base() -> Select[EnrollmentRow, int, str, list[str] | None]:
    tags = (
        select(func.array_agg(aggregate_order_by(Tag.name, Tag.name)))
        .join(TagEnrollment, TagEnrollment.tag_id == Tag.id)
        .where(TagEnrollment.enrollment_id == EnrollmentRow.id, Tag.removed_at.is_(None))
        .correlate(EnrollmentRow)
        .scalar_subquery()
    )
    machines = (
        select(func.count())
        .where(Machine.enrollment_id == EnrollmentRow.id)
        .correlate(EnrollmentRow)
        .scalar_subquery()
    )
    return select(EnrollmentRow, machines.label("machines"), AppUser.username, tags.label("tags")).outerjoin(
        AppUser, AppUser.id == EnrollmentRow.created_by
    )


@cache
def _list() -> Statement:
    before, limit = parameter("before", BigInteger()), parameter("limit", Integer())
    return Statement(_base().where(EnrollmentRow.id < before).order_by(EnrollmentRow.id.desc()).limit(limit))


async def list_enrollments(connection: Connection, before: int, limit: int) -> Sequence[Row]:
    """Return enrollments, the newest first, before the given id."""
    return await _list().fetch(connection, before=before, limit=limit)


async def find_enrollment(session: AsyncSession, number: int) -> ListedEnrollment | None:
    """Return one enrollment."""
    row = (await session.execute(_base().where(EnrollmentRow.id == number))).one_or_none()
    return (row[0], row[1], row[2], row[3] or []) if row else None


async def lock_enrollment(session: AsyncSession, number: int) -> EnrollmentRow:
    """Return an enrollment that nobody else changes until the end of the transaction."""
    query = select(EnrollmentRow).where(EnrollmentRow.id == number).with_for_update()
    return (await session.scalars(query, execution_options={"populate_existing": True})).one()


async def add_enrollment(session: AsyncSession, enrollment: EnrollmentRow) -> None:
    """Store a new enrollment and learn its id."""
    session.add(enrollment)
    await session.flush()


async def tags_by_name(session: AsyncSession, names: Sequence[str]) -> dict[str, int]:
    """Return the ids of live tags by name in lower case."""
    wanted = [name.lower() for name in names]
    query = select(Tag.name, Tag.id).where(func.lower(Tag.name).in_(wanted), Tag.removed_at.is_(None))
    return {row[0].lower(): row[1] for row in await session.execute(query)}


async def add_tags(session: AsyncSession, enrollment: int, tags: Sequence[int]) -> None:
    """Make the enrollment's machines members of these tags."""
    rows = [{"tag_id": tag, "enrollment_id": enrollment} for tag in sorted(set(tags))]
    await session.execute(insert(TagEnrollment), rows)


async def revoke(session: AsyncSession, enrollment: EnrollmentRow, user_id: int, now: datetime) -> None:
    """Refuse its secret from now on."""
    enrollment.revoked_at, enrollment.revoked_by = now, user_id
    await session.flush()
