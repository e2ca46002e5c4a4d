"""Finds the last time that a program was blocked, without revealing where, when or for whom."""

from datetime import datetime

from msgspec.structs import asdict

from santaserver.audit import Target
from santaserver.blocked import repository
from santaserver.blocked.repository import ContactRow
from santaserver.blocked.schemas import BlockedProgram, Cause, Contact, ContactUpdate
from santaserver.current_user import User
from santaserver.db import Connection
from santaserver.preconditions import IfMatch, entity_tag
from santaserver.stale import Version, check
from santaserver.unit_of_work import UnitOfWork

CAUSES: dict[str, Cause] = {
    "BLOCK_BINARY": "file",
    "BLOCK_BINARY_MISMATCH": "file",
    "BLOCK_CDHASH": "build",
    "BLOCK_SIGNINGID": "app",
    "BLOCK_TEAMID": "developer",
    "BLOCK_CERTIFICATE": "certificate",
    "BLOCK_SCOPE": "path",
    "BLOCK_UNKNOWN": "unknown",
}
NOTHING = BlockedProgram(name="", publisher="", cause=None)


async def blocked_program(connection: Connection, sha256: str, machine_id: str) -> BlockedProgram:
    """Return what was blocked and by which kind of rule; empty for a program that never was."""
    found = await repository.last_block(connection, sha256.lower(), machine_id)
    if found is None:
        return NOTHING
    cause = CAUSES.get(found.decision, "other")
    return BlockedProgram(name=found.name, publisher=found.publisher, cause=cause)


async def get_contact(connection: Connection) -> Contact:
    """Return the contact."""
    return _shown(await repository.read_contact(connection))


async def replace_contact(
    work: UnitOfWork, contact: ContactUpdate, expected: IfMatch, user: User, now: datetime
) -> Contact:
    """Replace the contact."""
    after = ContactRow(contact.text.strip(), contact.url.strip())
    before = await repository.read_contact(work.connection, lock=True)
    await check(work.connection, expected, Version("blocked_contact", "*", asdict(before), _shown(before)))
    if after != before:
        await repository.replace_contact(work.connection, after)
        target: Target = ("blocked_contact", "*")
        shown = asdict(before), asdict(after)
        work.audit(user.actor, now, "blocked_contact_changed", target, *shown)
    return _shown(after)


def _shown(row: ContactRow) -> Contact:
    return Contact(text=row.text, url=row.url, etag=entity_tag("blocked_contact", "*", row.text, row.url))
