"""Puts the overview together."""

from datetime import datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncSession

from santaserver.machines import repository as machines
from santaserver.overview import repository
from santaserver.overview.schemas import (
    EventNumbers,
    Hour,
    MachineNumbers,
    ModeNumbers,
    Overview,
    RuleNumbers,
)

HOURS = 24


async def get_overview(session: AsyncSession, now: datetime) -> Overview:
    """Count machines, rules and the events of the last 24 full or begun hours."""
    states = await machines.count_states(session, now)
    modes = await machines.count_modes(session)
    first = now.replace(minute=0, second=0, microsecond=0) - timedelta(hours=HOURS - 1)
    by_hour = await repository.count_events_by_hour(session, first)
    hours = [first + timedelta(hours=number) for number in range(HOURS)]
    counts = [by_hour.get(hour, repository.Counts()) for hour in hours]
    return Overview(
        machines=MachineNumbers(
            total=sum(states.values()),
            **{name: states.get(name, 0) for name in ("in_sync", "pending", "overdue", "never", "drifted")},
        ),
        rules=RuleNumbers(total=await repository.count_rules(session)),
        events=EventNumbers(
            blocked_24h=sum(count.blocked for count in counts),
            unknown_24h=sum(count.unknown for count in counts),
            total_24h=sum(count.total for count in by_hour.values()),
        ),
        modes=ModeNumbers(
            **{name: modes.get(name.upper(), 0) for name in ("monitor", "lockdown", "standalone")}
        ),
        hourly=[
            Hour(
                hour=hour,
                blocked=count.blocked,
                unknown=count.allowed_unknown,
                allowed=count.allowed - count.allowed_unknown,
            )
            for hour, count in zip(hours, counts, strict=True)
        ],
    )
