"""Counts for the overview, all in one statement."""

from datetime import datetime
from typing import NamedTuple

from msgspec import Struct, json

from santaserver.db import Connection
from santaserver.events.counts import BY_HOUR
from santaserver.events.repository import GROUPS
from santaserver.machines.sync_state import FLEET_STATES
from santaserver.policy.withholding_repository import WITHHELD


class Counts(NamedTuple):
    """Events of one hour. `unknown` counts what no rule matched, so it overlaps with the next two."""

    unknown: int = 0
    blocked: int = 0
    allowed: int = 0
    allowed_unknown: int = 0
    total: int = 0


class Fleet(Struct):
    """The data of the overview."""

    states: dict[str, int]
    modes: dict[str, int]
    rules: int
    withheld: int
    hours: dict[datetime, Counts]


SUMS = ", ".join(
    f"coalesce(sum(events) filter (where decision = any(${number}::text[])), 0)" for number in range(3, 7)
)
EVERYTHING = f"""
select
  (select coalesce(json_object_agg(state, macs)::text, '{{}}') from ({FLEET_STATES}) states),
  (select coalesce(json_object_agg(client_mode, macs)::text, '{{}}') from (
     select client_mode, count(*) as macs from machine
     where client_mode <> '' and retired_at is null group by client_mode) modes),
  (select count(*) from rule where removed_at is null),
  (select count(distinct machine_id) from ({WITHHELD}) withheld),
  (select coalesce(json_agg(numbers)::text, '[]') from (
     select json_build_array(hour, {SUMS}, sum(events)) as numbers
     from {BY_HOUR} counted where hour >= $2 group by hour) hours)
"""  # noqa: S608 - constants
"""PostgreSQL returns JSON documents as text, which the driver does not parse."""


async def count_everything(connection: Connection, now: datetime, since: datetime) -> Fleet:
    """Count Macs by sync state and mode, live rules, and events by the hour, in UTC, since `since`."""
    groups = (GROUPS["unknown"], GROUPS["blocked"], GROUPS["allowed"], ("ALLOW_UNKNOWN",))
    async with connection.transaction():
        # For a large fleet PostgreSQL would compile the statement, which takes longer than running it.
        await connection.execute("set local jit = off")
        ((states, modes, rules, withheld, hours),) = await connection.fetch(EVERYTHING, now, since, *groups)
    counted = json.decode(hours, type=list[tuple[datetime, int, int, int, int, int]])
    return Fleet(
        states=json.decode(states, type=dict[str, int]),
        modes=json.decode(modes, type=dict[str, int]),
        rules=rules,
        withheld=withheld,
        hours={hour: Counts(*numbers) for hour, *numbers in counted},
    )
