"""What an import asks the database beside its own tables."""

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from santaserver.models import PolicyHeadRow


async def head_seq(session: AsyncSession) -> int:
    """Return the policy's number."""
    return (await session.execute(select(PolicyHeadRow.seq))).scalar_one()
