"""Reads the catalog of programs, those seen last first."""

from collections.abc import Mapping, Sequence
from typing import Any

from santaserver.db import Connection
from santaserver.events.contradictions import bundle_claims, certificate_claims
from santaserver.events.counts import BY_PROGRAM
from santaserver.events.repository import Position
from santaserver.paging import like_pattern

Row = Mapping[str, Any]

PROGRAM = f"""
  select x.id, x.file_name, x.file_path, x.sha256, x.cdhash, x.signing_id, x.team_id, x.bundle_id,
    x.bundle_name, x.bundle_version, x.bundle_hash, x.first_seen_at, x.last_seen_at,
    coalesce(x.signing_chain[1], '') as certificate_sha256,
    coalesce(nullif(c.org, ''), c.cn, '') as publisher, counts.blocked, counts.allowed,
    claims.list as claims, {certificate_claims("x.signing_chain[1]")} as certificate_claims,
    {bundle_claims("x.id")} as bundle_claims
  from program x
  left join certificate c on c.sha256 = x.signing_chain[1]
  cross join lateral (
    select coalesce(sum(events) filter (where starts_with(decision, 'BLOCK')), 0)::bigint as blocked,
      coalesce(sum(events) filter (where starts_with(decision, 'ALLOW')), 0)::bigint as allowed
    from {BY_PROGRAM} counted where program_id = x.id) counts
  cross join lateral (
    -- What the first Mac reported counts as one Mac's claim until that is stored, moments later.
    select coalesce(jsonb_agg(said order by macs desc, claimed_at), jsonb_build_array(jsonb_build_object(
        'team_id', x.team_id, 'signing_id', x.signing_id, 'cdhash', x.cdhash,
        'certificate_sha256', coalesce(x.signing_chain[1], ''), 'macs', 1)))::text as list
    from (select least(o.macs, 20) as macs, k.claimed_at, jsonb_build_object(
            'team_id', k.team_id, 'signing_id', k.signing_id, 'cdhash', k.cdhash,
            'certificate_sha256', coalesce(k.signing_chain[1], ''), 'macs', least(o.macs, 20)) as said
          from program_claim k cross join lateral (
            select count(*) as macs from program_claim_machine w
            where w.program_id = k.program_id and w.digest = k.digest) o
          where k.program_id = x.id) every) claims
"""  # noqa: S608 - a constant


async def list_programs(
    connection: Connection, text: str, prefix: str, before: Position, limit: int
) -> Sequence[Row]:
    """Return programs seen before a position; `prefix` begins the decisions that one of them has to have."""
    rows: Sequence[Row] = await connection.fetch(
        f"""{PROGRAM}
            where (x.last_seen_at, x.id) < ($1, $2)
              and ($3 = '%%' or x.file_name ilike $3 or x.file_path ilike $3 or x.signing_id ilike $3
                or x.bundle_name ilike $3 or x.sha256 = lower($4) or x.cdhash = lower($4)
                or x.team_id = upper($4) or x.signing_chain[1] = lower($4)
                or c.org ilike $3
                or x.id in (select program_id from program_path p
                            where p.file_path ilike $3 or p.file_name ilike $3))
              and ($5 = '' or exists (select from {BY_PROGRAM} d
                where d.program_id = x.id and starts_with(d.decision, $5)))
            order by x.last_seen_at desc, x.id desc limit $6""",  # noqa: S608 - a constant of this file
        *before,
        like_pattern(text),
        text.strip(),
        prefix,
        limit,
    )
    return rows


async def find_program(connection: Connection, number: int) -> Row | None:
    """Return one program."""
    row: Row | None = await connection.fetchrow(f"{PROGRAM} where x.id = $1", number)
    return row
