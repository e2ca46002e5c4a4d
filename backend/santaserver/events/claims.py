"""Stores what Macs say about who signed a program: every version of it, and how many Macs said so.

A program's signature is a Mac's word. One Mac's word must not stand for the program, so the catalogue
shows what most Macs say, and the lock-out guard asks how many do. A Mac's first word about a program is
the one that counts. Words are written by a task of each worker, for many Macs and programs at once.
"""

import asyncio
import logging
from collections.abc import Iterable, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Protocol

import msgspec

from santaserver.clock import Clock
from santaserver.db import Connection, Database
from santaserver.errors import DatabaseUnavailable, StatementTimeout
from santaserver.events.parse import ExecutionRow
from santaserver.events.plausible import identify
from santaserver.events.witnesses import (
    MAX_CLAIMS,
    MAX_WITNESSES,
    KnownProgram,
    Witnesses,
    Word,
    mark_of,
    word_of,
)

log = logging.getLogger(__name__)

EVERY = 2.0
"""Seconds that a word waits for others."""
RETRY = 30.0
LAST_TRY = 1.0
"""Seconds for what still waits when the process ends."""

ADD = """
with said as (
  select * from unnest(
      $1::bigint[], $2::bigint[], $3::bytea[], $4::text[], $5::text[], $6::text[], $7::jsonb[])
    with ordinality s(program, mac, digest, team_id, signing_id, cdhash, chain, place)),
macs as materialized (
  select id from machine where id in (select mac from said) order by id for key share),
first_words as (
  select said.* from said join macs on macs.id = said.mac
  where not exists (
    select from executable_witness w where w.executable_id = program and w.machine_id = mac)),
claims as (
  select c.*,
    exists (select from executable_claim k where k.executable_id = program and k.digest = c.digest) as known,
    (select count(*) from executable_claim k where k.executable_id = program) as others,
    (select count(*) from executable_witness w
     where w.executable_id = program and w.digest = c.digest) as macs
  from (
    select said.program, said.digest, min(said.place) as place, count(first_words.place) as more
    from said left join first_words using (program, mac) group by said.program, said.digest) c),
kept as (
  select * from (
    select *, others + row_number() over (partition by program, known order by place) as turn
    from claims where more > 0) numbered
  where known or turn <= $9),
claimed as (
  insert into executable_claim (executable_id, digest, team_id, signing_id, cdhash, signing_chain, claimed_at)
  select kept.program, kept.digest, team_id, signing_id, cdhash,
    array(select jsonb_array_elements_text(chain)), $10
  from kept join said using (program, place) where not known order by 1, 2
  on conflict do nothing),
witnessed as (
  insert into executable_witness (executable_id, machine_id, digest)
  select program, mac, digest from (
    select w.*, kept.macs + row_number() over (partition by w.program, w.digest order by w.place) as turn
    from first_words w join kept using (program, digest)) numbered
  where turn <= $8 order by 1, 2
  on conflict do nothing)
select program, digest, macs + more >= $8 or (not known and others >= $9) as settled from claims
"""

SETTLE = """
with best as (
  select distinct on (c.executable_id) c.*
  from executable_claim c join executable x on x.id = c.executable_id
  where c.executable_id = any($1)
  order by c.executable_id, (
      select count(*) from executable_witness w
      where w.executable_id = c.executable_id and w.digest = c.digest) desc,
    (c.team_id, c.signing_id, c.cdhash) = (x.team_id, x.signing_id, x.cdhash) desc, c.claimed_at, c.digest),
others as materialized (
  select x.id from executable x join best on best.executable_id = x.id
  where (x.team_id, x.signing_id, x.cdhash, x.signing_chain)
    is distinct from (best.team_id, best.signing_id, best.cdhash, best.signing_chain)
  order by x.sha256 collate "C" for no key update of x)
update executable x set team_id = best.team_id, signing_id = best.signing_id, cdhash = best.cdhash,
  signing_chain = best.signing_chain
from best join others on others.id = best.executable_id where x.id = best.executable_id
"""
"""Locks programs in the order in which uploads do."""


class Programs(Protocol):
    """The programs that a process knows, by SHA-256."""

    def get(self, key: str) -> KnownProgram | None:
        """Return what is known of a program."""

    def put(self, key: str, value: KnownProgram) -> KnownProgram:
        """Remember a program."""


def hear(
    known: Programs,
    witnesses: Witnesses,
    reports: Iterable[tuple[ExecutionRow, KnownProgram]],
    machine_id: str,
    machine: int,
) -> None:
    """Note what a Mac says of programs, unless enough Macs say so or this one was heard before."""
    mac = hash(machine_id)
    for row, found in reports:
        if witnesses.full:
            return
        program = known.get(row.sha256) or found  # a batch may name a program more than once
        mark = mark_of(row.event)
        if witnesses.enough(program.id, mark):
            known.put(row.sha256, program.with_claim(mark, settled=True))  # until the database says otherwise
            continue
        identify(row.event)
        mark = mark_of(row.event)
        if mark in program.settled or mac in program.heard:
            continue
        if witnesses.add(word_of(row, program.id, machine, mark)):
            known.put(row.sha256, program.heard_from(mac))


async def keep_claims(database: Database, known: Programs, witnesses: Witnesses, clock: Clock) -> None:
    """Store what Macs say, a while after they said it, until cancelled; then what still waits."""
    try:
        while True:
            await witnesses.some.wait()
            await asyncio.sleep(EVERY)
            if not await _try(database, known, witnesses, clock()):
                await asyncio.sleep(RETRY)
    finally:
        with suppress(TimeoutError):
            async with asyncio.timeout(LAST_TRY):
                while witnesses.some.is_set() and await _try(database, known, witnesses, clock()):
                    pass


async def _try(database: Database, known: Programs, witnesses: Witnesses, now: datetime) -> bool:
    """Store some words; tell whether the database could take them."""
    words = witnesses.take()
    try:
        async with database.statements() as connection:
            await store_claims(connection, known, words, now)
    except (DatabaseUnavailable, StatementTimeout):
        witnesses.put_back(words)
        return False
    except asyncio.CancelledError:
        witnesses.put_back(words)
        raise
    except Exception:
        log.exception(
            "what some Macs say of programs' signatures could not be stored; they will say it again"
        )
    return True


async def store_claims(connection: Connection, known: Programs, words: Sequence[Word], now: datetime) -> None:
    """Store what Macs say, and let the catalogue show what most of them do."""
    if not words:
        return
    settled = await _add(connection, words, now)
    await connection.execute(SETTLE, sorted({word.program for word in words}))
    for word in words:
        program = known.get(word.sha256)
        if program is not None:
            enough = (word.program, word.digest) in settled
            known.put(word.sha256, program.with_claim(word.mark, settled=enough))


async def _add(connection: Connection, words: Sequence[Word], now: datetime) -> set[tuple[int, bytes]]:
    """Store words; return the claims that need no more of them."""
    rows = await connection.fetch(
        ADD,
        [word.program for word in words],
        [word.machine for word in words],
        [word.digest for word in words],
        [word.team_id for word in words],
        [word.signing_id for word in words],
        [word.cdhash for word in words],
        [msgspec.json.encode(word.chain).decode() for word in words],
        MAX_WITNESSES,
        MAX_CLAIMS,
        now,
    )
    return {(row["program"], row["digest"]) for row in rows if row["settled"]}
