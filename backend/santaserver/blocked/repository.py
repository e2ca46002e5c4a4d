"""Blocked programs and the contact in the database."""

from msgspec import Struct

from santaserver.db import Connection

LAST_BLOCK = """
select e.decision, coalesce(nullif(x.bundle_name, ''), e.file_name), coalesce(nullif(c.org, ''), c.cn, '')
from program x
join event e on e.program_id = x.id and e.blocked
left join certificate c on c.sha256 = x.signing_chain[1]
where x.sha256 = $1
  and ($2 = '' or e.machine_id = (select id from machine where machine_id = $2))
order by e.occurred_at desc, e.id desc limit 1
"""


class LastBlock(Struct, frozen=True):
    """The last time that a program was blocked."""

    decision: str
    name: str
    publisher: str


class ContactRow(Struct, frozen=True):
    """The contact."""

    text: str
    url: str


async def last_block(connection: Connection, sha256: str, machine_id: str) -> LastBlock | None:
    """Return the last time that a program was blocked, on one machine or on any."""
    row = await connection.fetchrow(LAST_BLOCK, sha256, machine_id)
    return LastBlock(*row) if row else None


async def read_contact(connection: Connection, *, lock: bool = False) -> ContactRow:
    """Return the contact; `lock` prevents other changes until the end of the transaction."""
    query = "select text, url from blocked_contact"
    row = await connection.fetchrow(f"{query} for update" if lock else query)
    return ContactRow(*row) if row else ContactRow("", "")


async def replace_contact(connection: Connection, contact: ContactRow) -> None:
    """Replace the contact."""
    await connection.execute("update blocked_contact set text = $1, url = $2", contact.text, contact.url)
