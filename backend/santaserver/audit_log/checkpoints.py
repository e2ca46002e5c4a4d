"""Checkpoints of the audit log: made each hour and on demand.

That a tail was cut or an older copy restored shows only against a checkpoint outside of the database.
"""

import asyncio
import logging
from datetime import datetime, timedelta

import asyncpg

from santaserver.audit_log import repository
from santaserver.audit_log.delivery import send
from santaserver.audit_log.erasure import erase_outlived
from santaserver.audit_log.notes import Signer, read_all, write
from santaserver.audit_log.repository import StoredCheckpoint
from santaserver.audit_log.schemas import AuditCheckpoint
from santaserver.clock import Clock
from santaserver.db import Connection, Database
from santaserver.errors import DatabaseUnavailable, StatementTimeout
from santaserver.merkle import EMPTY
from santaserver.outbox import discard
from santaserver.postgres.failures import describe
from santaserver.settings import Settings

log = logging.getLogger(__name__)

EVERY = timedelta(hours=1)
LOOK = timedelta(minutes=1)
"""Between two looks whether one is due: another process may have made it."""
LATER = (DatabaseUnavailable, StatementTimeout, asyncpg.UndefinedTableError)


def signer_of(settings: Settings) -> Signer | None:
    """Return what signs checkpoints, if a key is configured."""
    seed = settings.audit.seed
    return Signer(settings.audit_origin, seed) if seed else None


async def newest(connection: Connection) -> StoredCheckpoint | None:
    """Return the newest checkpoint."""
    return await repository.last_checkpoint(connection)


def shown(checkpoint: StoredCheckpoint, settings: Settings) -> AuditCheckpoint:
    """Return a checkpoint as REST shows it."""
    signer = signer_of(settings)
    (note,) = read_all(checkpoint.note)
    return AuditCheckpoint(
        at=checkpoint.at,
        size=checkpoint.size,
        root=checkpoint.root.hex(),
        note=checkpoint.note,
        signed=bool(note.signatures),
        verifier_key=str(signer.verifier) if signer else None,
    )


async def make(connection: Connection, settings: Settings, now: datetime) -> StoredCheckpoint:
    """Store and return a checkpoint of the log as it is; the transaction is the caller's."""
    await repository.lock_checkpoints(connection)
    before = await repository.last_checkpoint(connection)
    tree = await repository.read_tree(connection)
    if before is not None and not await _grew_from(connection, before, tree.size):
        log.error(
            "the audit log is not what it was: at %s it had %d entries with the root %s. Entries were "
            "altered or removed, or an older copy was restored; verify an export against your checkpoints",
            before.at.isoformat(timespec="seconds"),
            before.size,
            before.root.hex(),
        )
    note = write(settings.audit_origin, tree.size, tree.root(), signer_of(settings))
    made = StoredCheckpoint(now, tree.size, tree.root(), note)
    await repository.add_checkpoint(connection, made)
    return made


async def _grew_from(connection: Connection, before: StoredCheckpoint, size: int) -> bool:
    if before.size > size:
        return False
    root = await repository.root_at(connection, before.size) if before.size else EMPTY
    return root == before.root


async def keep_checkpoints(database: Database, settings: Settings, clock: Clock) -> None:
    """Make a checkpoint each hour until canceled; one process does it for all."""
    while True:
        try:
            made = await make_due(database, settings, clock())
            if made is not None:
                await send(made.note, settings)
                await _keep_to_retention(database, settings, clock())
        except LATER as error:
            log.debug("the audit checkpoint waits: %s", describe(error))
        except Exception:
            log.exception("no audit checkpoint could be made; the next try is in %s", LOOK)
        await asyncio.sleep(LOOK.total_seconds())


async def _keep_to_retention(database: Database, settings: Settings, now: datetime) -> None:
    days = settings.audit.detail_days
    erased = await erase_outlived(database, days, now) if days else 0
    if erased:
        log.info("erased the details of %d audit entries of more than %d days ago", erased, days)


async def make_due(database: Database, settings: Settings, now: datetime) -> StoredCheckpoint | None:
    """Make a checkpoint unless there is one of the last hour."""
    async with database.transaction(discard) as (connection, _):
        if not _is_due(await repository.last_checkpoint(connection), now):
            return None
        await repository.lock_checkpoints(connection)
        if not _is_due(await repository.last_checkpoint(connection), now):
            return None
        return await make(connection, settings, now)


def _is_due(last: StoredCheckpoint | None, now: datetime) -> bool:
    """Tell whether an hour has passed, also when the clock was set back."""
    return last is None or not last.at <= now < last.at + EVERY
