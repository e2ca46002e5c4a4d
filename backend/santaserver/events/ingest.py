"""The stage eventupload: stores a batch, requests bundles, queues news for open browsers.

It does not lock the machine and is independent of its syncs: batches arrive during a sync and before the
first one, and use separate connections, so that a burst never delays a sync.
"""

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime

import msgspec

from santaserver.db import Connection
from santaserver.enrollment.credentials import Credential
from santaserver.errors import NotFound
from santaserver.events import store
from santaserver.events.catalog import (
    ProgramCache,
    has_unknown,
    incomplete_bundles,
    program_ids,
    store_bundles,
)
from santaserver.events.claims import collect_claims
from santaserver.events.measured import count_upload
from santaserver.events.news import EventNews
from santaserver.events.oddities import Oddity, count
from santaserver.events.parse import Upload
from santaserver.events.places import store_places
from santaserver.events.store import Reporter
from santaserver.protocol.messages import EventUploadResponse

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Intake:
    """What an upload works with."""

    connection: Connection
    """Outside of a transaction: each statement commits on its own, and repeating one is harmless."""
    programs: ProgramCache
    shown: Credential
    enroll: Callable[[], Awaitable[None]]
    """Makes the machine known, or raises what its enrollment or its credential says against it."""
    news: EventNews
    now: datetime


async def event_upload(intake: Intake, machine_id: str, upload: Upload) -> bytes:
    """Store a batch; return which bundles to upload in full."""
    connection, now = intake.connection, intake.now
    reporter = Reporter(machine_id, intake.shown)
    everything = (*upload.executions, *upload.bundle_binaries)
    if has_unknown(intake.programs, everything, now) and not await store.find_machine(connection, reporter):
        await intake.enroll()  # before anything is stored
    programs, reports = await program_ids(connection, intake.programs, everything, machine_id, now)
    added = await store.add_executions(connection, reporter, upload.executions, programs, now)
    if added is None:
        await intake.enroll()
        added = await store.add_executions(connection, reporter, upload.executions, programs, now)
    if added is None:
        raise NotFound("The machine was removed during its upload; start again with a preflight")
    await store_places(connection, intake.programs.places, everything, programs)
    bundled = [row for row in everything if row.event.file_bundle_hash]
    await store_bundles(connection, bundled, programs, now)
    collect_claims(intake.programs, reports, machine_id, added.machine)
    await store.add_file_accesses(connection, added.machine, upload.file_accesses, now)
    await store.add_audits(connection, added.machine, upload.audits, now)
    if upload.unusable or upload.unsupported:
        count(Oddity.EVENT_UNUSABLE, upload.unusable)
        count(Oddity.EVENT_UNSUPPORTED, upload.unsupported)
        log.warning(
            "%s uploaded %d unusable events and %d of kinds that are not stored",
            machine_id,
            upload.unusable,
            upload.unsupported,
        )
    intake.news.add(machine_id, added)
    count_upload(upload, added, now)
    response = EventUploadResponse(event_upload_bundle_binaries=await _wanted(connection, upload))
    return msgspec.json.encode(response)


async def _wanted(connection: Connection, upload: Upload) -> list[str]:
    """Ask only where the client listens: it uploads the one bundle of a batch with a single event."""
    hashes = {
        row.event.file_bundle_hash
        for row in upload.executions
        if row.event.file_bundle_hash and row.event.file_bundle_binary_count
    }
    return await incomplete_bundles(connection, sorted(hashes))
