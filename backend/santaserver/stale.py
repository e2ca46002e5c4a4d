"""Refuses a change of an object that is not the version its author has seen, and says who changed it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
from pydantic import BaseModel

from santaserver.db import Connection
from santaserver.errors import ChangeNote, PreconditionFailed
from santaserver.preconditions import IfMatch, entity_tag

LOOKED_AT = 50
"""Entries of the audit log, for a version that is older or was never there."""
NUMBER = "seq"
"""Part of a version, but nothing that anybody changes."""
TOLD = 5
"""Of them, when none made the version that the request names."""

HISTORY = """
select e.at, coalesce(e.actor_name, ''), e.actor_kind, e.action, coalesce(e.reason, ''), e.before::text,
  e.after::text, e.object_id
from audit_log e
where e.object_type = $1 and (e.object_id = $2 or e.object_id = '*' and e.policy_seq = any($3))
order by e.id desc limit $4
"""


@dataclass(frozen=True, slots=True)
class Version:
    """An object as it is now."""

    kind: str
    """Also the type of object in the audit log."""
    name: int | str
    state: Mapping[str, Any]
    """What can be changed, by the names that audit entries use."""
    shown: BaseModel
    """As a GET shows it."""
    imports: Sequence[int] = ()
    """Policy numbers under which it may have been changed together with many others."""

    @property
    def etag(self) -> str:
        """The tag of this version."""
        return _tag(self, self.state)


async def check(connection: Connection, expected: IfMatch, version: Version) -> None:
    """Raise `PreconditionFailed` unless this is the version that the request may change.

    The caller holds the lock that every change of the object takes.
    """
    if expected.holds(version.etag):
        return
    changes = await _changes_since(connection, expected, version)
    raise refusal(version.etag, version.shown, changes)


def refusal(etag: str, shown: BaseModel, changes: Sequence[ChangeNote]) -> PreconditionFailed:
    """Return the error for a version that is not the present one; the latest change is the first."""
    return PreconditionFailed(
        _told(changes),
        members={
            "changes": [change.model_dump(mode="json") for change in changes],
            "current": shown.model_dump(mode="json", exclude_unset=True),
        },
        headers={"ETag": etag},
    )


def _tag(version: Version, state: Mapping[str, Any]) -> str:
    return entity_tag(version.kind, version.name, *(state[name] for name in version.state))


async def _changes_since(connection: Connection, expected: IfMatch, version: Version) -> list[ChangeNote]:
    """Return the changes since the expected version, the latest first; of an unknown one the latest."""
    rows = await connection.fetch(HISTORY, version.kind, str(version.name), list(version.imports), LOOKED_AT)
    state = dict(version.state)
    changes: list[ChangeNote] = []
    for at, actor, actor_kind, action, reason, stored_before, stored_after, name in rows:
        before, after = _decoded(stored_before), _decoded(stored_after)
        touched = [field for field in state if field in before or field in after]
        if not touched and name != "*":
            continue
        changes.append(
            ChangeNote(
                at=at,
                actor=actor,
                actor_kind=actor_kind,
                kind=action,
                reason=reason,
                fields=_differing(before, after, touched),
            )
        )
        state |= {field: before.get(field) for field in touched}
        if expected.holds(_tag(version, state)):
            return changes
    return changes[:TOLD]


def _decoded(stored: str | None) -> dict[str, Any]:
    return {} if stored is None else msgspec.json.decode(stored)


def _differing(before: Mapping[str, Any], after: Mapping[str, Any], names: Sequence[str]) -> list[str]:
    """Return the fields that differ; of an object in a field, its own."""
    found: list[str] = []
    for name in names:
        one, other = before.get(name), after.get(name)
        if isinstance(one, dict) and isinstance(other, dict):
            found += sorted(key for key in one.keys() | other.keys() if one.get(key) != other.get(key))
        elif one != other and name != NUMBER:
            found.append(name)
    return found


def _told(changes: Sequence[ChangeNote]) -> str:
    advice = "Nothing was stored: compare your change with what is there now, then repeat it"
    if not changes:
        return f"This has changed since you read it. {advice}"
    last = changes[0]
    what = f" ({', '.join(last.fields)})" if last.fields else ""
    return f"{last.actor} changed this at {last.at:%Y-%m-%d %H:%M:%S} UTC{what}. {advice}"
