"""Numbers a policy change. Whoever changes rules or settings calls this first in its transaction.

The row lock is held until the commit, so numbers become visible in their own order: a Mac that
confirmed number 11 cannot have missed number 10. A sequence or a time would not promise that.
"""

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from santaserver.models import PolicyHead


async def next_seq(session: AsyncSession) -> int:
    """Take the next number; other writers wait until this transaction ends."""
    statement = update(PolicyHead).values(seq=PolicyHead.seq + 1).returning(PolicyHead.seq)
    return (await session.execute(statement)).scalar_one()


async def lock_policy(session: AsyncSession) -> None:
    """Keep other writers out while a change is compared with what is stored; takes no number yet."""
    await session.execute(select(PolicyHead.seq).with_for_update())
