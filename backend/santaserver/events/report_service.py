"""Shows file accesses and agents' own actions."""

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from santaserver.db import Connection
from santaserver.events import report_repository as repository
from santaserver.events.report_repository import Row
from santaserver.events.report_schemas import AccessingProcess, AgentAudit, FileAccess
from santaserver.events.service import newest, position_of
from santaserver.paging import Page, encode_cursor


async def list_file_accesses(
    connection: Connection,
    cursor: str | None,
    limit: int,
    text: str,
    decision: str,
    machine_id: str,
    now: datetime,
) -> Page[FileAccess]:
    """Return a page of file accesses, the newest first."""
    before = position_of(cursor) or newest(now)
    rows = await repository.list_file_accesses(connection, text, decision, machine_id, before, limit + 1)
    items = [
        FileAccess.model_validate({**row, "process_chain": _chain(row["process_chain"])})
        for row in rows[:limit]
    ]
    return Page(items=items, next_cursor=_following(rows, limit))


async def list_agent_audits(
    connection: Connection, cursor: str | None, limit: int, machine_id: str, now: datetime
) -> Page[AgentAudit]:
    """Return a page of what agents did on their own, the newest first."""
    before = position_of(cursor) or newest(now)
    rows = await repository.list_agent_audits(connection, machine_id, before, limit + 1)
    items = [AgentAudit.model_validate(dict(row)) for row in rows[:limit]]
    return Page(items=items, next_cursor=_following(rows, limit))


def _following(rows: Sequence[Row], limit: int) -> str | None:
    if len(rows) <= limit:
        return None
    last = rows[limit - 1]
    return encode_cursor((last["occurred_at"].isoformat(), last["id"]))


def _chain(stored: str) -> list[AccessingProcess]:
    """Return the processes as they are stored: what was empty was left out."""
    processes: list[dict[str, Any]] = json.loads(stored)
    return [
        AccessingProcess(
            pid=process.get("pid", 0),
            **{name: process.get(name, "") for name in AccessingProcess.model_fields if name != "pid"},
        )
        for process in processes
    ]
