"""Reads Macs' claims about the signers of programs by hash."""

from collections.abc import Collection, Sequence

from santaserver.db import Connection
from santaserver.rules.guard import AGREEMENT, Claim, Signer, believed

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


async def signers_of(
    connection: Connection, rule_type: str, hashes: Collection[str]
) -> dict[str, list[Signer]]:
    """Return by hash the accepted signer, for programs that a Mac needs."""
    column = COLUMNS.get(rule_type)
    if column is None or not hashes:
        return {}
    fleet = await connection.fetchval(
        "select count(*) from (select from machine where retired_at is null limit $1) found", AGREEMENT
    )
    found: dict[str, list[Signer]] = {}
    ordered = sorted(hashes)
    for start in range(0, len(ordered), BATCH):
        claims = await _claims(connection, column, ordered[start : start + BATCH])
        found |= {name: believed(said, fleet) for name, said in claims.items()}
    return found


async def _claims(connection: Connection, column: str, hashes: Sequence[str]) -> dict[str, list[Claim]]:
    found: dict[str, list[Claim]] = {}
    for name, team, signing_id, macs in await connection.fetch(SAID.format(column=column), hashes):
        found.setdefault(name, []).append(Claim(Signer(team, signing_id), frozenset(macs)))
    return found
