"""The changes of one request: one transaction, its audit entries and its live messages.

The audit log is written last: it is one object that all writers need, so it is held the shortest time, and no
transaction waits for rows of the policy or of machines while holding it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from santaserver import audit
from santaserver.audit import NO_REQUEST, Actor, AuditEntry, ObjectType, RequestInfo, Target
from santaserver.confirmation import UNASKED
from santaserver.outbox import Outbox
from santaserver.postgres.connection import Connection

EACH = 100
"""Objects of one kind that get audit entries of their own in one change."""


@dataclass(slots=True)
class GuardOptions:
    """What a request says to the lock-out guard, and what the guard says to the request."""

    override: bool = False
    widely_used: int = 50
    """Macs: blocking a program that more of them ran lately is worth a warning."""
    warnings: list[str] = field(default_factory=list)


class UnitOfWork:
    """A connection inside one transaction, and what is done at its end."""

    __slots__ = ("_entries", "accounts_changed", "confirmation", "connection", "guard", "outbox", "request")

    def __init__(
        self, connection: Connection, request: RequestInfo = NO_REQUEST, outbox: Outbox | None = None
    ) -> None:
        """Begin with nothing to say; the transaction is the caller's."""
        self.connection = connection
        self.accounts_changed = False
        """Whether cached sessions are out of date after the commit."""
        self.request = request
        self.outbox = Outbox() if outbox is None else outbox
        self.guard = GuardOptions()
        self.confirmation = UNASKED
        self._entries: list[AuditEntry] = []

    def audit(
        self,
        actor: Actor,
        now: datetime,
        action: str,
        target: Target,
        before: Mapping[str, Any] | None = None,
        after: Mapping[str, Any] | None = None,
        policy_seq: int | None = None,
        *,
        reason: str = "",
    ) -> None:
        """Add an audit entry, which is stored at the end."""
        self._entries.append(
            audit.entry(
                actor, now, action, target, before, after, policy_seq, reason=reason, request=self.request
            )
        )

    def audit_each(
        self,
        actor: Actor,
        now: datetime,
        action: str,
        object_type: ObjectType,
        objects: Sequence[int],
        policy_seq: int | None = None,
    ) -> None:
        """Add the same audit entry for each of some objects, or one that lists them if they are many.

        Entries are stored one by one, while everybody else waits for the log and mostly for the policy too.
        """
        if len(objects) > EACH:
            listed = {f"{object_type}s": len(objects), "ids": objects}
            self.audit(actor, now, action, (object_type, "*"), after=listed, policy_seq=policy_seq)
            return
        for number in objects:
            self.audit(actor, now, action, (object_type, str(number)), policy_seq=policy_seq)

    async def finish(self) -> None:
        """Store the audit entries: the last statement before the commit."""
        await audit.store(self.connection, self._entries)
