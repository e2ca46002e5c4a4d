"""Numbers a policy change. Whoever changes rules or settings calls this first in its transaction.

The row lock is held until the commit, so numbers become visible in their own order: a Mac that
confirmed number 11 cannot have missed number 10. A sequence or a time would not promise that.
Whoever locks rows of machines as well locks those first: syncs do it in that order.
"""

from datetime import datetime

from msgspec import Struct
from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from santaserver.models import PolicyHeadRow as Row


class PolicyHead(Struct, frozen=True):
    """The policy's present numbers."""

    seq: int
    """The newest change."""
    settings_seq: int
    """The newest change of any setting."""
    layer_version: int
    """Grows with every change of who belongs to which layer."""
    next_change_at: datetime | None
    """When the next activation or expiry is due."""


async def head_seq(session: AsyncSession) -> int:
    """Return the number of the newest policy change."""
    return (await session.execute(select(Row.seq))).scalar_one()


async def next_seq(session: AsyncSession) -> int:
    """Take the next number; other writers wait until this transaction ends."""
    statement = update(Row).values(seq=Row.seq + 1).returning(Row.seq)
    return (await session.execute(statement)).scalar_one()


async def lock_policy(session: AsyncSession) -> None:
    """Keep other writers out while a change is compared with what is stored; takes no number yet."""
    await session.execute(select(Row.seq).with_for_update())


async def settings_changed(session: AsyncSession, seq: int) -> None:
    """Say that settings changed under number `seq`."""
    await session.execute(update(Row).values(settings_seq=seq))


async def layers_changed(session: AsyncSession) -> None:
    """Have every machine's layers looked up again at its next preflight."""
    await session.execute(update(Row).values(layer_version=Row.layer_version + 1))


async def change_due_at(session: AsyncSession, *moments: datetime | None) -> None:
    """See to it that somebody looks at the schedule at these times; None stands for never."""
    for moment in moments:
        if moment is not None:
            earliest = func.least(Row.next_change_at, moment)
            await session.execute(update(Row).values(next_change_at=earliest))
