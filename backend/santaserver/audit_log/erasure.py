"""Erases the details of old entries: names, addresses, reasons and contents. The entries themselves stay."""

from datetime import datetime, timedelta

from santaserver.audit import SCHEDULE, Actor
from santaserver.audit_log import repository
from santaserver.audit_log.verify import ERASED
from santaserver.db import Database
from santaserver.outbox import discard
from santaserver.unit_of_work import UnitOfWork


async def erase(work: UnitOfWork, before: datetime, actor: Actor, now: datetime) -> int:
    """Erase the details of all entries before a time, which an entry says; return how many there were."""
    oldest = await repository.oldest_details(work.connection)
    if oldest is None or oldest >= before:
        return 0
    last = await repository.last_before(work.connection, before)
    erased = 0 if last is None else await repository.erase_details(work.connection, last)
    if erased:
        work.audit(actor, now, ERASED, ("audit", f"0-{last}"), None, {"entries": erased})
    return erased


async def erase_outlived(database: Database, days: int, now: datetime) -> int:
    """Erase the details of whole days that are older than so many; return how many there were."""
    today = now.replace(hour=0, minute=0, second=0, microsecond=0)
    async with database.unit_of_work(discard) as work:
        return await erase(work, today - timedelta(days=days), SCHEDULE, now)
