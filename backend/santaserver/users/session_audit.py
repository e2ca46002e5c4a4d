"""The audit entries of sessions that are ended."""

from collections.abc import Sequence
from datetime import datetime

from santaserver.audit import Actor
from santaserver.unit_of_work import UnitOfWork
from santaserver.users.session_repository import Owner


def record_ended(work: UnitOfWork, ended: Sequence[Owner], actor: Actor, now: datetime) -> None:
    """Add an entry for each user whose sessions were ended."""
    sessions: dict[tuple[int, str], list[int]] = {}
    for owner in ended:
        sessions.setdefault((owner.id, owner.username), []).append(owner.session)
    for (number, username), ids in sessions.items():
        before = {"username": username, "sessions": ids}
        work.audit(actor, now, "sessions_ended", ("user", str(number)), before)
