"""The stage eventupload: stores a batch, asks for bundles, tells open browsers of blocks.

Takes no lock on the machine: batches arrive beside a running sync and before the first one.
"""

import logging
from typing import Any

import msgspec

from santaserver.events import store
from santaserver.events.parse import ExecutionRow, Upload, parse_upload
from santaserver.events.schemas import Event, SigningCertificate
from santaserver.live.messages import EventSeen, message
from santaserver.sync import enrollment, repository
from santaserver.sync.service import Stage
from santaserver.sync.wire import EventUploadAnswer

log = logging.getLogger(__name__)

MAX_LIVE = 20
"""Blocked executions of one batch that are shown one by one; more become a number."""


async def event_upload(stage: Stage, machine_id: str, raw: dict[str, Any]) -> bytes:
    """Store a batch and answer which bundles to upload in full."""
    row_id, hostname = await _machine(stage, machine_id)
    upload = parse_upload(raw, machine_id, stage.now)
    everything = (*upload.executions, *upload.bundle_binaries)
    await store.store_certificates(stage.connection, everything)
    programs = await store.store_executables(stage.connection, everything, stage.now)
    added = await store.store_executions(stage.connection, row_id, upload.executions, programs, stage.now)
    await store.store_bundles(
        stage.connection, [row for row in everything if row.event.file_bundle_hash], programs, stage.now
    )
    await store.store_file_accesses(stage.connection, row_id, upload.file_accesses, stage.now)
    if upload.unusable or upload.unsupported:
        log.warning(
            "%s uploaded %d unusable events and %d of kinds that are not stored",
            machine_id,
            upload.unusable,
            upload.unsupported,
        )
    _tell(stage, machine_id, hostname, [row for row in upload.executions if row.key in added], added)
    return msgspec.json.encode(EventUploadAnswer(event_upload_bundle_binaries=await _wanted(stage, upload)))


async def _machine(stage: Stage, machine_id: str) -> tuple[int, str]:
    query = "select id, hostname from machine where machine_id = $1"
    row = await stage.connection.fetchrow(query, machine_id)
    if row is None:
        await enrollment.admit(stage.connection, stage.enrollment, "")
        enrolled_by = stage.enrollment.id if stage.enrollment else None
        await repository.create_machine(stage.connection, machine_id, enrolled_by, stage.now)
        row = await stage.connection.fetchrow(query, machine_id)
    if row is None:
        raise LookupError(f"machine {machine_id} vanished between two statements")
    return row["id"], row["hostname"]


async def _wanted(stage: Stage, upload: Upload) -> list[str]:
    """Ask only where the client listens: it uploads the one bundle of a batch with a single event."""
    hashes = {
        row.event.file_bundle_hash
        for row in upload.executions
        if row.event.file_bundle_hash and row.event.file_bundle_binary_count
    }
    return await store.incomplete_bundles(stage.connection, sorted(hashes))


def _tell(
    stage: Stage, machine_id: str, hostname: str, rows: list[ExecutionRow], ids: dict[bytes, int]
) -> None:
    shown = [row for row in rows if row.blocked][:MAX_LIVE]
    for row in shown:
        event = _event(row, ids[row.key], machine_id, hostname, stage)
        stage.outbox.add(
            message(EventSeen(at=stage.now, machine_id=machine_id, hostname=hostname, event=event))
        )
    others = len(rows) - len(shown)
    if others:
        stage.outbox.add(
            message(EventSeen(at=stage.now, machine_id=machine_id, hostname=hostname, count=others))
        )


def _event(row: ExecutionRow, event_id: int, machine_id: str, hostname: str, stage: Stage) -> Event:
    event, leaf = row.event, store.leaf(row)
    return Event(
        id=event_id,
        machine_id=machine_id,
        hostname=hostname,
        occurred_at=row.occurred_at,
        received_at=stage.now,
        decision=row.decision,
        blocked=row.blocked,
        file_name=event.file_name,
        file_path=event.file_path,
        file_sha256=row.sha256,
        executing_user=event.executing_user,
        parent_name=event.parent_name,
        pid=event.pid,
        ppid=event.ppid,
        team_id=event.team_id,
        signing_id=event.signing_id,
        cdhash=event.cdhash,
        bundle_name=event.file_bundle_name,
        bundle_id=event.file_bundle_id,
        certificate_sha256=leaf.sha256 if leaf else "",
        publisher=(leaf.org or leaf.cn) if leaf else "",
        signing_chain=[
            SigningCertificate(
                sha256=cert.sha256,
                cn=cert.cn,
                org=cert.org,
                ou=cert.ou,
                valid_from=store.valid_time(cert.valid_from),
                valid_until=store.valid_time(cert.valid_until),
            )
            for cert in row.chain
        ],
    )
