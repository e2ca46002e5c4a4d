"""Shows file accesses and audit events of agents."""

from datetime import datetime

import msgspec
from msgspec import Struct

from santaserver.db import Connection
from santaserver.events import report_repository as repository
from santaserver.events.report_schemas import AgentAudit, FileAccess
from santaserver.events.service import newest, position_of
from santaserver.reads import ItemPage, Row, item_of, page_of
from santaserver.scope import Scope


class ProcessItem(Struct):
    """As `report_schemas.AccessingProcess`; what was empty was not stored."""

    pid: int = 0
    file_path: str = ""
    file_sha256: str = ""
    cdhash: str = ""
    signing_id: str = ""
    team_id: str = ""


_file_access_item, _agent_audit_item = item_of(FileAccess), item_of(AgentAudit)
_read_chain = msgspec.json.Decoder(list[ProcessItem]).decode


async def list_file_accesses(
    connection: Connection,
    scope: Scope,
    cursor: str | None,
    limit: int,
    text: str,
    decision: str,
    machine_id: str,
    now: datetime,
) -> ItemPage:
    """Return a page of file accesses, the newest first."""
    before = position_of(cursor) or newest(now)
    rows = await repository.list_file_accesses(
        connection, scope, text, decision, machine_id, before, limit + 1
    )
    return page_of(rows, limit, _file_access, _place)


async def list_agent_audits(
    connection: Connection, scope: Scope, cursor: str | None, limit: int, machine_id: str, now: datetime
) -> ItemPage:
    """Return a page of audit events of agents, the newest first."""
    before = position_of(cursor) or newest(now)
    rows = await repository.list_agent_audits(connection, scope, machine_id, before, limit + 1)
    return page_of(rows, limit, lambda row: _agent_audit_item(*row), _place)


def _place(row: Row) -> tuple[str, int]:
    return row["occurred_at"].isoformat(), row["id"]


def _file_access(row: Row) -> Struct:
    return _file_access_item(*(*row[:-1], _read_chain(row[-1])))
