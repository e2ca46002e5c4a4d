"""Shows the audit log."""

import msgspec
from msgspec import Struct

from santaserver.audit_log import repository
from santaserver.audit_log.repository import Filters
from santaserver.audit_log.schemas import AuditedAct
from santaserver.db import Connection
from santaserver.inputs import MAX_ROW_ID
from santaserver.paging import decode_cursor
from santaserver.reads import ItemPage, Row, item_of, page_of

_act = item_of(AuditedAct)
PLAIN = [name for name in AuditedAct.model_fields if name not in {"before", "after"}]


async def list_acts(connection: Connection, filters: Filters, cursor: str | None, limit: int) -> ItemPage:
    """Return a page of entries, the newest first."""
    key = decode_cursor(cursor, (int,))
    before = int(key[0]) if key else MAX_ROW_ID
    rows = await repository.read_page(connection, filters, before, limit + 1)
    return page_of(rows, limit, _item, lambda row: (row["seq"],))


def _item(row: Row) -> Struct:
    objects = {
        name: None if row[name] is None else msgspec.Raw(row[name].encode()) for name in ("before", "after")
    }
    return _act(**{name: row[name] for name in PLAIN}, **objects)
