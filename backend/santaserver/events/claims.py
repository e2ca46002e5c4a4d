"""What Macs say about who signed a program: every version of it, and how many Macs said so.

A program's hash is a Mac's word, and so is its signature. One Mac's word about another team's
signature must not stand for the program, so the catalogue shows what most Macs say, and the lock-out
guard asks how many do. A Mac's first word about a program is the one that counts.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import msgspec

from santaserver.db import Connection
from santaserver.events.parse import ExecutionRow
from santaserver.events.plausible import identify
from santaserver.sync.caches import LruCache

REMEMBERED = 50_000
"""Claims, by their hash, that need not be stored any more: some 8 MB."""
MAX_WITNESSES = 20
"""Macs that are kept of a claim: with more of them it is not any more certain."""
MAX_CLAIMS = 32
"""Different claims that are kept of a program."""

Claim = tuple[int, str, str, str, tuple[str, ...]]
"""(program, team, signing ID, cdhash, certificates)"""

ADD = """
with said as (
  select s.program, s.team_id, s.signing_id, s.cdhash,
    array(select jsonb_array_elements_text(s.chain)) as signing_chain,
    decode(md5(jsonb_build_array(s.team_id, s.signing_id, s.cdhash, s.chain)::text), 'hex') as digest
  from unnest($1::bigint[], $2::text[], $3::text[], $4::text[], $5::jsonb[])
    s(program, team_id, signing_id, cdhash, chain)),
counted as (
  select s.*, macs.number,
    exists (select from executable_claim c where c.executable_id = s.program and c.digest = s.digest) as known
  from said s cross join lateral (
    select count(*) as number from executable_witness w
    where w.executable_id = s.program and w.digest = s.digest) macs),
new as (
  select * from counted c
  where number < $7
    and not exists (select from executable_witness w where w.executable_id = program and w.machine_id = $6)
    and (known or $8 > (select count(*) from executable_claim o where o.executable_id = program))),
claimed as (
  insert into executable_claim (executable_id, digest, team_id, signing_id, cdhash, signing_chain, claimed_at)
  select program, digest, team_id, signing_id, cdhash, signing_chain, $9 from new order by 1, 2
  on conflict do nothing),
witnessed as (
  insert into executable_witness (executable_id, machine_id, digest)
  select program, $6, digest from new order by 1 on conflict do nothing)
select c.program, c.number >= $7 as enough, n.program is not null and exists (
    select from executable_claim o where o.executable_id = c.program and o.digest <> c.digest) as contested
from counted c left join new n using (program, digest)
"""

SETTLE = """
with best as (
  select distinct on (c.executable_id) c.* from executable_claim c
  where c.executable_id = any($1)
  order by c.executable_id, (
    select count(*) from executable_witness w
    where w.executable_id = c.executable_id and w.digest = c.digest) desc, c.claimed_at, c.digest)
update executable x set team_id = best.team_id, signing_id = best.signing_id, cdhash = best.cdhash,
  signing_chain = best.signing_chain
from best where best.executable_id = x.id
  and (x.team_id, x.signing_id, x.cdhash, x.signing_chain)
    is distinct from (best.team_id, best.signing_id, best.cdhash, best.signing_chain)
"""


@dataclass(frozen=True)
class ClaimCache:
    """Hashes of claims that are known to be stored: of one Mac, or (with None) of enough of them."""

    known: LruCache[int, bool] = field(default_factory=lambda: LruCache(REMEMBERED))


async def store_claims(
    connection: Connection,
    cache: ClaimCache,
    rows: Sequence[ExecutionRow],
    programs: Mapping[str, int],
    machine: int,
    now: datetime,
) -> None:
    """Keep what a Mac says of its programs' signatures, as far as that is new."""
    said: dict[int, Claim] = {}
    claims: dict[int, Claim] = {}
    for row in rows:
        program = programs[row.sha256]
        claim = _claim(row, program)
        if program in said or cache.known.get(hash((machine, claim))) or cache.known.get(hash((None, claim))):
            continue
        said[program] = claim
        identify(row.event)
        claims[program] = _claim(row, program)
    if not claims:
        return
    names = list(zip(*claims.values(), strict=True))
    chains = [msgspec.json.encode(chain).decode() for chain in names.pop()]
    stored = await connection.fetch(ADD, *names, chains, machine, MAX_WITNESSES, MAX_CLAIMS, now)
    contested = [row["program"] for row in stored if row["contested"]]
    if contested:
        await connection.execute(SETTLE, sorted(contested))
    for row in stored:
        mark = (None if row["enough"] else machine, said[row["program"]])
        cache.known.put(hash(mark), True)


def _claim(row: ExecutionRow, program: int) -> Claim:
    event = row.event
    chain = tuple(cert.sha256 for cert in event.signing_chain)
    return program, event.team_id, event.signing_id, event.cdhash, chain
