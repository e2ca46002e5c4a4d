"""The audit log: who did what to which object, with the object before and after it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

import msgspec

from santaserver.postgres.connection import Connection

ActorKind = Literal["user", "token", "schedule", "command_line", "enrollment"]


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acts."""

    name: str
    id: int | None = None
    """Of a user; others have none."""
    kind: ActorKind = "user"


SYSTEM = Actor("system", kind="command_line")
SCHEDULE = Actor("schedule", kind="schedule")

Target = tuple[str, str]
"""(type, id) of the object that was changed; `*` for all of a type."""


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One act, ready to be stored."""

    at: datetime
    actor: Actor
    action: str
    target: Target
    policy_seq: int | None
    before: str | None
    after: str | None
    """Both are JSON."""


STORE = """
insert into audit_log (at, actor_id, actor_name, action, object_type, object_id, policy_seq, before, after)
select at, actor_id, actor_name, action, object_type, object_id, policy_seq, before::jsonb, after::jsonb
from unnest($1::timestamptz[], $2::bigint[], $3::text[], $4::text[], $5::text[], $6::text[], $7::bigint[],
    $8::text[], $9::text[])
  with ordinality e (at, actor_id, actor_name, action, object_type, object_id, policy_seq, before, after, n)
order by n
"""

STORE_EACH = """
insert into audit_log (at, actor_id, actor_name, action, object_type, object_id, policy_seq)
select $1, $2, $3, $4, $5, id::text, $6 from unnest($7::bigint[]) with ordinality e (id, n) order by n
"""


@dataclass(frozen=True, slots=True)
class AuditBatch:
    """The same act on many objects; one entry each."""

    at: datetime
    actor: Actor
    action: str
    object_type: str
    objects: Sequence[int]
    policy_seq: int | None


def entry(
    actor: Actor,
    at: datetime,
    action: str,
    target: Target,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
    policy_seq: int | None = None,
) -> AuditEntry:
    """Make an entry of plain values; later changes of the objects do not affect it."""
    return AuditEntry(at, actor, action, target, policy_seq, _json(before), _json(after))


async def store(connection: Connection, entries: Sequence[AuditEntry]) -> None:
    """Store entries in their order, in one statement."""
    if entries:
        await connection.execute(
            STORE,
            [one.at for one in entries],
            [one.actor.id for one in entries],
            [one.actor.name for one in entries],
            [one.action for one in entries],
            [one.target[0] for one in entries],
            [one.target[1] for one in entries],
            [one.policy_seq for one in entries],
            [one.before for one in entries],
            [one.after for one in entries],
        )


async def store_batch(connection: Connection, batch: AuditBatch) -> None:
    """Store the entries of a batch; PostgreSQL writes their JSON, however many there are."""
    await connection.execute(
        STORE_EACH,
        batch.at,
        batch.actor.id,
        batch.actor.name,
        batch.action,
        batch.object_type,
        batch.policy_seq,
        batch.objects,
    )


def _json(values: Mapping[str, Any] | None) -> str | None:
    return None if values is None else msgspec.json.encode(values).decode()
