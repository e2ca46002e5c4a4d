"""Shows the policy log."""

from typing import Any

from santaserver.changes import repository
from santaserver.changes.kinds import Counts, counted, why_not
from santaserver.changes.repository import ChangeFilters, LogEntry, Scopes
from santaserver.changes.schemas import (
    ChangeDetails,
    LoggedChange,
    LoggedRule,
    LoggedSetting,
    RuleDifference,
    SettingDifference,
)
from santaserver.db import Connection
from santaserver.errors import NotFound
from santaserver.inputs import MAX_ROW_ID
from santaserver.paging import Page, decode_cursor, encode_cursor

FIRST = (0, "", "")
CONTENT = tuple(LoggedRule.model_fields)
NO_CHANGE = "The policy log has no such change, or it concerns nothing that you can see"


async def list_changes(
    connection: Connection, scopes: Scopes, filters: ChangeFilters, cursor: str | None, limit: int
) -> Page[LoggedChange]:
    """Return a page of changes, the newest first."""
    key = decode_cursor(cursor, (int,))
    before = int(key[0]) if key else MAX_ROW_ID
    entries = await repository.changes(connection, scopes, filters, before, limit + 1)
    page = entries[:limit]
    counts = await _counts(connection, scopes, page)
    return Page(
        items=[LoggedChange(**_facts(entry, counts[entry.seq])) for entry in page],
        next_cursor=encode_cursor((page[-1].seq,)) if len(entries) > limit else None,
    )


async def change_details(
    connection: Connection, scopes: Scopes, seq: int, cursor: str | None, limit: int
) -> ChangeDetails:
    """Return what a change did; of its rules a page."""
    key = decode_cursor(cursor, (int, str, str))
    after = (int(key[0]), str(key[1]), str(key[2])) if key else FIRST
    entry = await repository.find_change(connection, seq)
    if entry is None:
        raise NotFound(NO_CHANGE)
    total = await repository.rules_total(connection, scopes.rules, entry)
    settings = await repository.settings(connection, scopes.settings, seq)
    if not (scopes.everywhere or total or settings):
        raise NotFound(NO_CHANGE)
    rows = await repository.rules(connection, scopes.rules, entry, after, limit + 1)
    page = rows[:limit]
    counts = await _counts(connection, scopes, [entry])
    return ChangeDetails(
        **_facts(entry, counts[seq]),
        rules=[_rule(row) for row in page],
        rules_total=total,
        next_cursor=encode_cursor((page[-1][0], *page[-1][2:4])) if len(rows) > limit else None,
        setting_differences=[
            SettingDifference(
                layer=row.layer, key=row.key, before=setting(row.before), after=setting(row.after)
            )
            for row in settings
        ],
    )


def setting(owned: tuple[Any, bool] | None) -> LoggedSetting | None:
    """Show a setting's (value, locked)."""
    return LoggedSetting(value=owned[0], locked=owned[1]) if owned else None


async def _counts(connection: Connection, scopes: Scopes, entries: list[LogEntry]) -> dict[int, Counts]:
    if scopes.everywhere:
        return {entry.seq: counted(entry.kind, entry.summary) for entry in entries}
    found = await repository.counts(connection, scopes, [entry.seq for entry in entries])
    return {entry.seq: found.get(entry.seq, Counts(0, 0, 0, 0)) for entry in entries}


def _facts(entry: LogEntry, counts: Counts) -> dict[str, Any]:
    reason = why_not(entry.kind)
    return {
        "seq": entry.seq,
        "at": entry.at,
        "actor_kind": entry.actor_kind,
        "actor_name": entry.actor_name,
        "kind": entry.kind,
        "reason": entry.reason,
        "layer": entry.summary.get("layer"),
        "rule_type": entry.rule_type,
        "identifier": entry.identifier,
        "reverts": entry.summary.get("reverts"),
        "added": counts.added,
        "changed": counts.changed,
        "removed": counts.removed,
        "settings": counts.settings,
        "revertible": not reason,
        "why_not": reason,
    }


def _rule(row: Any) -> RuleDifference:  # noqa: ANN401 - a record
    width = len(CONTENT) + 1
    return RuleDifference(
        layer=row[1],
        rule_type=row[2],
        identifier=row[3],
        before=_content(row[4 : 4 + width]),
        after=_content(row[4 + width : 4 + 2 * width]),
    )


def _content(part: Any) -> LoggedRule | None:  # noqa: ANN401 - a version's id, then its content
    if part[0] is None:
        return None
    return LoggedRule(**dict(zip(CONTENT, part[1:], strict=True)))
