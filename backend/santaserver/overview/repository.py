"""Counts for the overview."""

from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from santaserver.events.repository import GROUPS
from santaserver.models import EventHour, Rule


async def count_rules(session: AsyncSession) -> int:
    """Return the number of live rules."""
    query = select(func.count()).select_from(Rule).where(Rule.removed_at.is_(None))
    return (await session.execute(query)).scalar_one()


async def count_events_by_hour(
    session: AsyncSession, since: datetime
) -> dict[datetime, tuple[int, int, int, int]]:
    """Return (blocked, unknown, allowed, total) by the hour in which the events happened, in UTC."""
    total = func.sum(EventHour.events)
    groups = [
        total.filter(EventHour.decision.in_(GROUPS[name])) for name in ("blocked", "unknown", "allowed")
    ]
    query = select(EventHour.hour, *groups, total).where(EventHour.hour >= since).group_by(EventHour.hour)
    return {
        row[0]: (int(row[1] or 0), int(row[2] or 0), int(row[3] or 0), int(row[4]))
        for row in await session.execute(query)
    }
