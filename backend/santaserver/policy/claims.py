"""Who signed a program, by what Macs claim.

A single Mac may report false data, so a claim counts when at least two Macs agree and fewer contradict.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from santaserver.db import Connection
from santaserver.policy.lifelines import Lifeline, Program

AGREEMENT = 2
"""Macs that have to claim the same signature of a program before it is accepted."""

BATCH = 5_000
"""Hashes of one statement: far below what a driver takes."""

COLUMNS = {"BINARY": "x.sha256", "CDHASH": "s.cdhash", "CERTIFICATE": "s.leaf"}

SAID = """
with s as (
  select c.program_id, c.team_id, c.signing_id, c.cdhash, c.signing_chain[1] as leaf,
    array(select w.machine_id from program_claim_machine w
          where w.program_id = c.program_id and w.digest = c.digest) as macs
  from program_claim c
  union all
  select x.id, x.team_id, x.signing_id, x.cdhash, x.signing_chain[1], array[0]::bigint[]
  from program x where not exists (select from program_claim c where c.program_id = x.id))
select {column}, s.team_id, s.signing_id, array_agg(distinct mac)
from s join program x on x.id = s.program_id cross join lateral unnest(s.macs) mac
where {column} = any($1) group by 1, 2, 3
"""
"""Mac 0 is the one that reported a program first, until its claim is stored, moments later."""


@dataclass(frozen=True, slots=True)
class Signer:
    """Who signed a program; empty texts for what is not known."""

    team_id: str
    signing_id: str

    @property
    def program(self) -> Program:
        """The program, as far as this tells."""
        return Program(team_id=self.team_id, signing_id=self.signing_id)


@dataclass(frozen=True, slots=True)
class Claim:
    """The Macs that claim the same signer of a program."""

    signer: Signer
    macs: frozenset[int]


def believed(claims: Iterable[Claim], lifeline: Lifeline, fleet: int) -> list[Signer]:
    """Return the signers among these that are a lifeline's, if enough Macs agree that one of them signed it.

    More Macs have to say so than say otherwise, and at least two, unless there is only one.
    """
    needed: list[Signer] = []
    agreeing: set[int] = set()
    others: set[int] = set()
    for claim in claims:
        signer = claim.signer
        names = (("TEAMID", signer.team_id), ("SIGNINGID", signer.signing_id))
        if any(identifier and lifeline.is_named(kind, identifier) for kind, identifier in names):
            needed.append(signer)
            agreeing |= claim.macs
        else:
            others |= claim.macs
    enough = len(agreeing) >= max(1, min(AGREEMENT, fleet)) and len(agreeing) > len(others)
    return needed if enough else []


async def fleet_size(connection: Connection) -> int:
    """Return how many Macs there are, as far as agreement is concerned."""
    number: int = await connection.fetchval(
        "select count(*) from (select from machine where retired_at is null limit $1) found", AGREEMENT
    )
    return number


async def claims_of(
    connection: Connection, rule_type: str, hashes: Collection[str]
) -> dict[str, list[Claim]]:
    """Return by hash what Macs claim about its program; nothing for types that are no hashes."""
    column = COLUMNS.get(rule_type)
    if column is None:
        return {}
    found: dict[str, list[Claim]] = {}
    ordered = sorted(hashes)
    for start in range(0, len(ordered), BATCH):
        found |= await _claims(connection, column, ordered[start : start + BATCH])
    return found


async def _claims(connection: Connection, column: str, hashes: Sequence[str]) -> dict[str, list[Claim]]:
    found: dict[str, list[Claim]] = {}
    for name, team, signing_id, macs in await connection.fetch(SAID.format(column=column), hashes):
        found.setdefault(name, []).append(Claim(Signer(team, signing_id), frozenset(macs)))
    return found
