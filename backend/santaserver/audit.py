"""The audit log: who did what to which object, with the object before and after it.

An entry is two texts. The one in the log says who, what and when, without names; the other holds names,
address, reason, before and after. The first has a salted hash of the second, which can therefore be erased.
"""

import hashlib
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

import msgspec

from santaserver.canonical import canonical
from santaserver.postgres.connection import Connection

ActorKind = Literal[
    "user", "token", "schedule", "command_line", "enrollment", "provider", "scim", "anonymous"
]
ObjectType = Literal[
    "rule",
    "layer",
    "tag",
    "machine",
    "enrollment",
    "essential",
    "user",
    "group",
    "role",
    "token",
    "scim_token",
    "blocked_contact",
    "policy",
    "audit",
    "schema",
]

VERSION = 1
"""Of the entries' form."""
SALT_BYTES = 16
MAX_CONTEXT = 300
"""Characters of an address or a request id that are kept."""


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acts."""

    name: str
    id: int | None = None
    """Of a user, also when a token acts in the user's name; others have none."""
    kind: ActorKind = "user"
    token: int | None = None
    """The API token that acts in the name of the user, or the SCIM token."""


SYSTEM = Actor("system", kind="command_line")
SCHEDULE = Actor("schedule", kind="schedule")
ANONYMOUS = Actor("", kind="anonymous")
"""Nobody is logged in."""

Target = tuple[ObjectType, str]
"""(type, id) of the object that was changed; `*` for all of a type."""


@dataclass(frozen=True, slots=True)
class RequestInfo:
    """Where a change comes from."""

    request_id: str = ""
    address: str = ""


NO_REQUEST = RequestInfo()


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One act, ready to be stored."""

    text: str
    """What the log holds, and its hashes cover."""
    salt: bytes
    details: str


def entry(
    actor: Actor,
    at: datetime,
    action: str,
    target: Target,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
    policy_seq: int | None = None,
    *,
    reason: str = "",
    request: RequestInfo = NO_REQUEST,
) -> AuditEntry:
    """Make an entry of plain values; later changes of the objects do not affect it."""
    private: dict[str, Any] = {
        "actor": actor.name,
        "address": request.address[:MAX_CONTEXT],
        "reason": reason,
        "before": before,
        "after": after,
    }
    known = {name: value for name, value in private.items() if value is not None}
    details = canonical(msgspec.to_builtins(known))
    salt = secrets.token_bytes(SALT_BYTES)
    text = canonical(
        {
            "v": VERSION,
            "at": stamp(at),
            "actor": {"kind": actor.kind, "id": actor.id}
            | ({} if actor.token is None else {"token": actor.token}),
            "action": action,
            "object": {"type": target[0], "id": target[1]},
            "policy_seq": policy_seq,
            "request_id": request.request_id[:MAX_CONTEXT],
            "details": details_hash(salt, details),
        }
    )
    return AuditEntry(text, salt, details)


def details_hash(salt: bytes, details: str) -> str:
    """Return what an entry says about its details."""
    return hashlib.sha256(salt + details.encode()).hexdigest()


def stamp(at: datetime) -> str:
    """Return a time as entries have it: in UTC and always as long, so that texts sort as times do."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


async def store(connection: Connection, entries: Sequence[AuditEntry]) -> None:
    """Append entries in their order: the last statement before the commit, which unlocks the log."""
    if entries:
        await connection.execute(
            "select audit_append($1, $2, $3)",
            [one.text for one in entries],
            [one.salt for one in entries],
            [one.details for one in entries],
        )
