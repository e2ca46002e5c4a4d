"""Stores claims: every version of what Macs report, and which Macs report it.

Programs, certificates and bundles have tables of the same form: the claims about each of them, and for
each Mac the one claim that it made. The row itself holds what most Macs claim, which is what is shown.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import msgspec

from santaserver.db import Connection
from santaserver.events.catalog import ProgramCache, store_certificates, valid_time
from santaserver.events.pending_claims import MAX_CLAIMS, MAX_MACS, Claim
from santaserver.events.wire import Certificate


@dataclass(frozen=True, slots=True)
class Subject:
    """What claims are about: a table, and the columns that are claimed."""

    table: str
    claims: str
    key: str
    """The column of `claims` that refers to the table."""
    kind: str
    id: str
    columns: tuple[str, ...]
    order: str
    """The order in which all writers lock rows of the table."""
    decisive: tuple[str, ...] = ()
    """Columns that tell claims apart; all of them if none are named."""

    def add(self) -> str:
        """Write the statement that adds claims: one row for each claim, whether it is settled."""
        return _ADD.format(
            claims=self.claims,
            key=self.key,
            kind=self.kind,
            columns=", ".join(self.columns),
            values=", ".join(f"facts.{column}" for column in self.columns),
        )

    def settle(self) -> str:
        """Write the statement that makes the table show what most Macs claim."""

        def row(name: str, columns: Iterable[str]) -> str:
            return f"row({', '.join(f'{name}.{column}' for column in columns)})"

        decisive = self.decisive or self.columns
        return _SETTLE.format(
            table=self.table,
            claims=self.claims,
            key=self.key,
            id=self.id,
            order=self.order,
            shown=f"{row('c', decisive)} is not distinct from {row('x', decisive)}",
            differs=f"{row('x', self.columns)} is distinct from {row('best', self.columns)}",
            changes=", ".join(f"{column} = best.{column}" for column in self.columns),
        )


_ADD = """
with said as (
  select * from unnest($1::{kind}[], $2::bigint[], $3::bytea[], $4::jsonb[])
    with ordinality s(subject, mac, digest, facts, place)),
macs as materialized (
  select id from machine where id in (select mac from said) order by id for key share),
firsts as (
  select said.* from said join macs on macs.id = said.mac
  where not exists (
    select from {claims}_machine m where m.{key} = said.subject and m.machine_id = said.mac)),
counts as materialized (
  select m.{key}, m.digest, count(*) as macs from {claims}_machine m
  where m.{key} = any($1) group by m.{key}, m.digest),
versions as (
  select v.*,
    exists (select from {claims} k where k.{key} = v.subject and k.digest = v.digest) as known,
    (select count(*) from {claims} k where k.{key} = v.subject) as others,
    coalesce((select n.macs from counts n where n.{key} = v.subject and n.digest = v.digest), 0) as macs
  from (
    select said.subject, said.digest, min(said.place) as place, count(firsts.place) as more
    from said left join firsts using (subject, mac) group by said.subject, said.digest) v),
kept as (
  select * from (
    select *, others + row_number() over (partition by subject, known order by place) as turn
    from versions where more > 0) numbered
  where known or turn <= $6),
claimed as (
  insert into {claims} ({key}, digest, {columns}, claimed_at)
  select kept.subject, kept.digest, {values}, $7
  from kept join said using (subject, place)
  cross join lateral jsonb_populate_record(null::{claims}, said.facts) facts
  where not known order by 1, 2
  on conflict do nothing),
reported as (
  insert into {claims}_machine ({key}, machine_id, digest)
  select subject, mac, digest from (
    select f.*, kept.macs + row_number() over (partition by f.subject, f.digest order by f.place) as turn
    from firsts f join kept using (subject, digest)) numbered
  where turn <= $5 order by 1, 2
  on conflict do nothing)
select subject, digest, macs + more >= $5 or (not known and others >= $6) as settled from versions
"""

_SETTLE = """
with counts as materialized (
  select m.{key}, m.digest, count(*) as macs from {claims}_machine m
  where m.{key} = any($1) group by m.{key}, m.digest),
best as (
  select distinct on (c.{key}) c.*
  from {claims} c join {table} x on x.{id} = c.{key}
  left join counts n on n.{key} = c.{key} and n.digest = c.digest
  where c.{key} = any($1)
  order by c.{key}, coalesce(n.macs, 0) desc, {shown} desc, c.claimed_at, c.digest),
others as materialized (
  select x.{id} from {table} x join best on best.{key} = x.{id}
  where {differs}
  order by {order} for no key update of x)
update {table} x set {changes} from best join others on others.{id} = best.{key} where x.{id} = best.{key}
"""

Fact = str | int | datetime | Sequence[str] | None
Reported = tuple[int | str, int, dict[str, Fact]]
"""What a claim is about, the Mac's row, and what is claimed."""

SIGNATURES = Subject(
    table="program",
    claims="program_claim",
    key="program_id",
    kind="bigint",
    id="id",
    columns=("team_id", "signing_id", "cdhash", "signing_chain"),
    decisive=("team_id", "signing_id", "cdhash"),
    order='x.sha256 collate "C"',  # as uploads do
)
PROGRAM_BUNDLES = Subject(
    table="program",
    claims="program_bundle_claim",
    key="program_id",
    kind="bigint",
    id="id",
    columns=("bundle_id", "bundle_name", "bundle_version", "bundle_hash"),
    order='x.sha256 collate "C"',
)
CERTIFICATES = Subject(
    table="certificate",
    claims="certificate_claim",
    key="sha256",
    kind="text",
    id="sha256",
    columns=("cn", "org", "ou", "valid_from", "valid_until"),
    order="x.sha256",
)
BUNDLES = Subject(
    table="bundle",
    claims="bundle_claim",
    key="hash",
    kind="text",
    id="hash",
    columns=("binary_count",),
    order="x.hash",
)


async def store_claims(
    connection: Connection, programs: ProgramCache, claims: Sequence[Claim], now: datetime
) -> None:
    """Store what Macs claim, and let the catalog show what most of them do."""
    if not claims:
        return
    certificates = {(cert.sha256, claim.machine): cert for claim in claims for cert in claim.chain}
    await store_certificates(connection, programs, certificates.values())
    await _store(connection, CERTIFICATES, _certificates(certificates), now)
    await _store(connection, PROGRAM_BUNDLES, map(_program_bundle, claims), now)
    await _store(connection, BUNDLES, _bundles(claims), now)
    settled = await _store(connection, SIGNATURES, map(_signature, claims), now)
    for claim in claims:
        program = programs.known.get(claim.sha256)
        if program is not None:
            enough = (claim.program, _digest(SIGNATURES, _signature(claim)[2])) in settled
            programs.known.put(claim.sha256, program.with_claim(claim.key, settled=enough))


async def _store(
    connection: Connection, subject: Subject, reports: Iterable[Reported], now: datetime
) -> set[tuple[int | str, bytes]]:
    """Store claims about one kind of thing; return those that need no further Mac."""
    rows = list(reports)
    if not rows:
        return set()
    added = await connection.fetch(
        subject.add(),
        [key for key, _, _ in rows],
        [machine for _, machine, _ in rows],
        [_digest(subject, facts) for _, _, facts in rows],
        [msgspec.json.encode(facts).decode() for _, _, facts in rows],
        MAX_MACS,
        MAX_CLAIMS,
        now,
    )
    await connection.execute(subject.settle(), sorted({key for key, _, _ in rows}))
    return {(row["subject"], row["digest"]) for row in added if row["settled"]}


def _signature(claim: Claim) -> Reported:
    return (
        claim.program,
        claim.machine,
        {
            "team_id": claim.team_id,
            "signing_id": claim.signing_id,
            "cdhash": claim.cdhash,
            "signing_chain": [cert.sha256 for cert in claim.chain],
        },
    )


def _program_bundle(claim: Claim) -> Reported:
    return (
        claim.program,
        claim.machine,
        {
            "bundle_id": claim.bundle_id,
            "bundle_name": claim.bundle_name,
            "bundle_version": claim.bundle_version,
            "bundle_hash": claim.bundle_hash,
        },
    )


def _certificates(certificates: Mapping[tuple[str, int], Certificate]) -> Iterator[Reported]:
    for (sha256, machine), cert in certificates.items():
        yield (
            sha256,
            machine,
            {
                "cn": cert.cn,
                "org": cert.org,
                "ou": cert.ou,
                "valid_from": valid_time(cert.valid_from),
                "valid_until": valid_time(cert.valid_until),
            },
        )


def _bundles(claims: Iterable[Claim]) -> Iterator[Reported]:
    counts = {
        (claim.bundle_hash, claim.machine): claim.binary_count
        for claim in claims
        if claim.bundle_hash and claim.binary_count
    }
    for (bundle, machine), count in counts.items():
        yield bundle, machine, {"binary_count": count}


def _digest(subject: Subject, facts: Mapping[str, Fact]) -> bytes:
    """Return what tells claims apart; migrations 0050 and 0100 compute the same."""
    texts = []
    for column in subject.columns:
        fact = facts[column]
        if isinstance(fact, datetime):
            fact = int(fact.timestamp())
        elif isinstance(fact, list):
            fact = fact[0] if fact else ""  # of a chain, the leaf
        texts.append("" if fact is None else str(fact))
    return hashlib.sha256("\n".join(texts).encode()).digest()[:16]
