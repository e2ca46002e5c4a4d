"""Enrolments in the database, as the REST interface reads and writes them."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Select, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from santaserver.models import AppUser, Enrollment, Machine

EnrollmentRow = tuple[Enrollment, int, str | None]
"""(enrolment, machines, who made it)"""


def _base() -> Select[Enrollment, int, str]:
    machines = (
        select(func.count())
        .where(Machine.enrollment_id == Enrollment.id)
        .correlate(Enrollment)
        .scalar_subquery()
    )
    return select(Enrollment, machines, AppUser.username).outerjoin(
        AppUser, AppUser.id == Enrollment.created_by
    )


async def list_enrollments(session: AsyncSession, before: int | None, limit: int) -> Sequence[EnrollmentRow]:
    """Return enrolments, the newest first, before the given id."""
    query = _base().order_by(Enrollment.id.desc()).limit(limit)
    if before is not None:
        query = query.where(Enrollment.id < before)
    return [(row[0], row[1], row[2]) for row in await session.execute(query)]


async def find_enrollment(session: AsyncSession, number: int) -> EnrollmentRow | None:
    """Return one enrolment."""
    row = (await session.execute(_base().where(Enrollment.id == number))).one_or_none()
    return (row[0], row[1], row[2]) if row else None


async def add_enrollment(session: AsyncSession, enrollment: Enrollment) -> None:
    """Store a new enrolment and learn its id."""
    session.add(enrollment)
    await session.flush()


async def revoke(session: AsyncSession, enrollment: Enrollment, user_id: int, now: datetime) -> None:
    """Refuse its secret from now on."""
    enrollment.revoked_at, enrollment.revoked_by = now, user_id
    await session.flush()
