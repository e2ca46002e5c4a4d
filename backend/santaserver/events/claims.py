"""Collects what Macs claim about programs, and writes it for many Macs and programs at once.

A single Mac may report false data, so its claim is not enough: the catalog shows what most Macs claim, and
the lock-out guard asks how many do. Each Mac's first claim about a program counts.
"""

import asyncio
import logging
from collections.abc import Iterable
from contextlib import suppress
from datetime import datetime

from santaserver.clock import Clock
from santaserver.db import Database
from santaserver.errors import DatabaseUnavailable, StatementTimeout
from santaserver.events.catalog import ProgramCache
from santaserver.events.claim_store import store_claims
from santaserver.events.parse import ExecutionRow
from santaserver.events.pending_claims import KnownProgram, claim_key, claim_of
from santaserver.events.plausible import identify

log = logging.getLogger(__name__)

EVERY = 2.0
"""Seconds that a claim waits for others."""
RETRY = 30.0
LAST_TRY = 1.0
"""Seconds for the claims that are left when the process ends."""


def collect_claims(
    programs: ProgramCache,
    reports: Iterable[tuple[ExecutionRow, KnownProgram]],
    machine_id: str,
    machine: int,
) -> None:
    """Queue a Mac's claims, unless enough Macs claim the same or this one has made its claim before."""
    known, pending = programs.known, programs.pending
    reporter = hash(machine_id)
    for row, found in reports:
        if not pending.accepts(machine):
            return
        program = known.get(row.sha256) or found  # a batch may name a program more than once
        key = claim_key(row.event)
        if pending.enough(program.id, key):
            known.put(row.sha256, program.with_claim(key, settled=True))  # until the database says otherwise
            continue
        identify(row.event)
        key = claim_key(row.event)
        if key in program.settled or reporter in program.reporters:
            continue
        if not pending.add(claim_of(row, program.id, machine, reporter, key)):
            return
        known.put(row.sha256, program.reported_by(reporter))


async def write_claims(database: Database, programs: ProgramCache, clock: Clock) -> None:
    """Write queued claims, a batch at a time, until canceled; then all that are left."""
    pending = programs.pending
    try:
        while True:
            await pending.some.wait()
            await asyncio.sleep(EVERY)
            if not await _try(database, programs, clock()):
                await asyncio.sleep(RETRY)
    finally:
        with suppress(TimeoutError):
            async with asyncio.timeout(LAST_TRY):
                while pending.some.is_set() and await _try(database, programs, clock()):
                    pass


async def _try(database: Database, programs: ProgramCache, now: datetime) -> bool:
    """Write a batch; return whether the database accepted it."""
    claims = programs.pending.take()
    try:
        async with database.statements() as connection:
            await store_claims(connection, programs, claims, now)
    except (DatabaseUnavailable, StatementTimeout):
        programs.pending.put_back(claims)
        return False
    except asyncio.CancelledError:
        programs.pending.put_back(claims)
        raise
    except Exception:
        log.exception(
            "%d claims of Macs about programs could not be stored; Macs make them again", len(claims)
        )
        for claim in claims:
            programs.forget(claim)
    return True
