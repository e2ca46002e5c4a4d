"""A change of the policy: the one way that rules, settings, tags and their order are written.

`policy_change` locks the policy's head, gives out the next number when it is first needed, collects what else
the head has to say, and writes it once at the end. It commits nothing: that is the unit of work's part.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

import msgspec
from msgspec import structs

from santaserver.audit import Actor, ObjectType, Target
from santaserver.db import Connection
from santaserver.outbox import Message
from santaserver.policy.head import ChangeRow, PolicyHead, lock_head, store_head
from santaserver.unit_of_work import UnitOfWork

ChangeKind = Literal[
    "rule",
    "import",
    "settings",
    "revert",
    "tag",
    "tag_order",
    "enrollment",
    "membership",
    "schedule",
    "restore",
]
"""What a change is about; a `membership` writes neither rules nor settings nor layers, a `revert` rules or
settings."""


@dataclass(slots=True)
class Change:
    """One change, while the policy's head is locked."""

    work: UnitOfWork
    actor: Actor
    now: datetime
    kind: ChangeKind
    reason: str
    before: PolicyHead
    """The numbers that everybody else sees until the commit."""
    numbered: bool = False
    """Whether a number was taken."""
    _summary: dict[str, Any] = field(default_factory=dict, init=False)
    _settings: bool = field(default=False, init=False)
    _layers: bool = field(default=False, init=False)
    _next_change_at: datetime | None = field(init=False)

    def __post_init__(self) -> None:
        """Start with what is due in any case."""
        self._next_change_at = self.before.next_change_at

    @property
    def connection(self) -> Connection:
        """The connection inside of the transaction."""
        return self.work.connection

    @property
    def next_seq(self) -> int:
        """The number that this change has if it takes one."""
        return self.before.seq + 1

    def take_number(self) -> int:
        """Return the number of this change; without one, no Mac has anything to fetch."""
        self.numbered = True
        return self.next_seq

    def sum_up(self, **facts: Any) -> None:  # noqa: ANN401 - plain JSON values
        """Add to what the policy log says about this change."""
        self._summary |= facts

    def settings_changed(self) -> None:
        """Say that settings changed under this change's number."""
        self.take_number()
        self._settings = True

    def layers_changed(self) -> None:
        """Make every machine's layers be determined again at its next preflight."""
        self._layers = True

    def due_at(self, *moments: datetime | None) -> None:
        """Make the schedule run at these times; None stands for never."""
        known = (self._next_change_at, *moments)
        self._next_change_at = min((at for at in known if at is not None), default=None)

    def next_change_is(self, at: datetime | None) -> None:
        """Say when the next activation or expiry is due, after all that were due have been applied."""
        self._next_change_at = at

    def audit(
        self,
        action: str,
        target: Target,
        before: Mapping[str, Any] | None = None,
        after: Mapping[str, Any] | None = None,
    ) -> None:
        """Add an audit entry that is stored with the commit, under the number if one has been taken."""
        self.work.audit(self.actor, self.now, action, target, before, after, self._number, reason=self.reason)

    def audit_each(self, action: str, object_type: ObjectType, objects: Sequence[int]) -> None:
        """Add the same entry for each of many objects."""
        self.work.audit_each(self.actor, self.now, action, object_type, objects, self._number)

    @property
    def _number(self) -> int | None:
        return self.next_seq if self.numbered else None

    def tell(self, message: Message) -> None:
        """Send a live message after the commit."""
        self.work.outbox.add(message)

    def after(self) -> PolicyHead:
        """Return the numbers that hold from the commit on."""
        head = self.before
        return structs.replace(
            head,
            seq=head.seq + self.numbered,
            settings_seq=self.next_seq if self._settings else head.settings_seq,
            layer_version=head.layer_version + self._layers,
            content_seq=self.next_seq if self.numbered and self.kind != "membership" else head.content_seq,
            next_change_at=self._next_change_at,
        )

    def row(self) -> ChangeRow:
        """Return what the policy log says about this change."""
        return ChangeRow(
            seq=self.next_seq,
            at=self.now,
            actor_kind=self.actor.kind,
            actor_id=self.actor.id,
            actor_name=self.actor.name,
            kind=self.kind,
            reason=self.reason,
            request_id=self.work.request.request_id,
            summary=msgspec.json.encode(self._summary).decode(),
        )


@asynccontextmanager
async def policy_change(
    work: UnitOfWork, actor: Actor, now: datetime, kind: ChangeKind, reason: str = ""
) -> AsyncIterator[Change]:
    """Yield a change; its changes of the policy's head are written at the end of the block."""
    change = Change(work, actor, now, kind, reason, await lock_head(work.connection))
    yield change
    after = change.after()
    if after != change.before:
        await store_head(work.connection, after, change.row() if change.numbered else None)
