"""How many events are counted, whether or not a worker has added them up."""

from typing import Any

from santaserver.events.counts import BY_HOUR, BY_PROGRAM
from tests.support.postgres import fetch

HOURS = f"select hour, decision, sum(events)::bigint as events from {BY_HOUR} c group by 1, 2 order by 1, 2"  # noqa: S608
PROGRAMS = f"""select program_id, decision, sum(events)::bigint as events from {BY_PROGRAM} c
  group by 1, 2 order by 1, 2"""  # noqa: S608


def by_hour(dsn: str) -> list[dict[str, Any]]:
    """Return the events of each hour and decision."""
    return fetch(dsn, HOURS)


def by_program(dsn: str) -> list[dict[str, Any]]:
    """Return the events of each program and decision."""
    return fetch(dsn, PROGRAMS)


def total(counts: list[dict[str, Any]]) -> int:
    """Add them up."""
    return sum(row["events"] for row in counts)
