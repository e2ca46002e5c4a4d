"""Counts for the overview."""

from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from santaserver.events.repository import GROUPS
from santaserver.models import Event, Rule


async def count_rules(session: AsyncSession) -> int:
    """Return the number of live rules."""
    query = select(func.count()).select_from(Rule).where(Rule.removed_at.is_(None))
    return (await session.execute(query)).scalar_one()


async def count_events_by_hour(
    session: AsyncSession, since: datetime
) -> dict[datetime, tuple[int, int, int, int]]:
    """Return (blocked, unknown, allowed, total) by the hour in which the events happened, in UTC."""
    hour = func.date_trunc("hour", Event.occurred_at, "UTC")
    groups = [func.count().filter(GROUPS[name]) for name in ("blocked", "unknown", "allowed")]
    query = select(hour, *groups, func.count()).where(Event.occurred_at >= since).group_by(hour)
    return {row[0]: (row[1], row[2], row[3], row[4]) for row in await session.execute(query)}
