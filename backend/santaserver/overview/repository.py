"""Counts for the overview."""

from datetime import datetime
from typing import NamedTuple

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from santaserver.events.repository import GROUPS
from santaserver.models import EventHour, Rule


async def count_rules(session: AsyncSession) -> int:
    """Return the number of live rules."""
    query = select(func.count()).select_from(Rule).where(Rule.removed_at.is_(None))
    return (await session.execute(query)).scalar_one()


class Counts(NamedTuple):
    """Events of one hour. `unknown` counts what no rule matched, so it overlaps with the next two."""

    unknown: int = 0
    blocked: int = 0
    allowed: int = 0
    allowed_unknown: int = 0
    total: int = 0


async def count_events_by_hour(session: AsyncSession, since: datetime) -> dict[datetime, Counts]:
    """Count events by the hour in which they happened, in UTC."""
    total = func.sum(EventHour.events)
    groups = (GROUPS["unknown"], GROUPS["blocked"], GROUPS["allowed"], ("ALLOW_UNKNOWN",))
    columns = [total.filter(EventHour.decision.in_(words)) for words in groups]
    query = select(EventHour.hour, *columns, total).where(EventHour.hour >= since).group_by(EventHour.hour)
    return {row[0]: Counts(*(int(number or 0) for number in row[1:])) for row in await session.execute(query)}
