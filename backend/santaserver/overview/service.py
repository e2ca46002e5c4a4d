"""Builds the overview."""

from datetime import datetime, timedelta

from santaserver.db import Connection
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
STATES = ("in_sync", "pending", "overdue", "never", "drifted")


async def get_overview(connection: Connection, now: datetime) -> Overview:
    """Count machines, rules and the events of the last 24 full or begun hours."""
    first = now.replace(minute=0, second=0, microsecond=0) - timedelta(hours=HOURS - 1)
    fleet = await repository.count_everything(connection, now, first)
    hours = [first + timedelta(hours=number) for number in range(HOURS)]
    counts = [fleet.hours.get(hour, repository.Counts()) for hour in hours]
    return Overview(
        counted_at=now,
        machines=MachineNumbers(
            total=sum(fleet.states.values()),
            withheld=fleet.withheld,
            **{name: fleet.states.get(name, 0) for name in STATES},
        ),
        rules=RuleNumbers(total=fleet.rules),
        events=EventNumbers(
            blocked_24h=sum(count.blocked for count in counts),
            unknown_24h=sum(count.unknown for count in counts),
            total_24h=sum(count.total for count in fleet.hours.values()),
        ),
        modes=ModeNumbers(
            **{name: fleet.modes.get(name.upper(), 0) for name in ("monitor", "lockdown", "standalone")}
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
