"""Finds the last time that a program was blocked, and keeps to itself where, when and for whom."""

from datetime import datetime

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from santaserver.blocked.schemas import BlockedProgram, Cause, Contact
from santaserver.current_user import User
from santaserver.db import Connection
from santaserver.models import BlockedContact
from santaserver.users.repository import audit

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

LAST_BLOCK = """
select e.decision, coalesce(nullif(x.bundle_name, ''), e.file_name) as name,
  coalesce(nullif(c.org, ''), c.cn, '') as publisher
from executable x
join event e on e.executable_id = x.id and e.blocked
left join certificate c on c.sha256 = x.signing_chain[1]
where x.sha256 = $1
  and ($2 = '' or e.machine_id = (select id from machine where machine_id = $2))
order by e.occurred_at desc, e.id desc limit 1
"""


async def blocked_program(connection: Connection, sha256: str, machine_id: str) -> BlockedProgram:
    """Say what was blocked and by which kind of rule; of what was never blocked, nothing."""
    row = await connection.fetchrow(LAST_BLOCK, sha256.lower(), machine_id)
    if row is None:
        return NOTHING
    cause = CAUSES.get(row["decision"], "other")
    return BlockedProgram(name=row["name"], publisher=row["publisher"], cause=cause)


async def get_contact(connection: Connection) -> Contact:
    """Return whom to ask."""
    row = await connection.fetchrow("select text, url from blocked_contact")
    return Contact(**row) if row else Contact()


async def replace_contact(session: AsyncSession, contact: Contact, user: User, now: datetime) -> Contact:
    """Say whom to ask from now on."""
    after = Contact(text=contact.text.strip(), url=contact.url.strip())
    row = (await session.scalars(select(BlockedContact).with_for_update())).one()
    before = Contact(text=row.text, url=row.url)
    if after != before:
        row.text, row.url = after.text, after.url
        actor, target = (user.id, user.username), ("blocked_contact", "*")
        audit(session, actor, now, "blocked_contact_changed", target, before.model_dump(), after.model_dump())
    return after
