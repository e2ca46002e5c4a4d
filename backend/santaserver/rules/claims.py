"""Reads what Macs say about who signed the programs that a hash stands for."""

from collections.abc import Collection, Sequence

from sqlalchemy import SQLColumnExpression, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from santaserver.models import Executable, ExecutableClaim, ExecutableWitness, Machine
from santaserver.rules.guard import AGREEMENT, Claim, Signer, believed

BATCH = 5_000
"""Hashes of one statement: far below what a driver takes."""

COLUMNS = {
    "BINARY": Executable.sha256,
    "CDHASH": ExecutableClaim.cdhash,
    "CERTIFICATE": ExecutableClaim.signing_chain[1],
}


async def signers_of(
    session: AsyncSession, rule_type: str, hashes: Collection[str]
) -> dict[str, list[Signer]]:
    """Return by hash who is believed to have signed what a Mac needs."""
    column = COLUMNS.get(rule_type)
    if column is None or not hashes:
        return {}
    fleet = (
        await session.execute(
            select(func.count()).select_from(select(Machine.id).limit(AGREEMENT).subquery())
        )
    ).scalar_one()
    found: dict[str, list[Signer]] = {}
    ordered = sorted(hashes)
    for start in range(0, len(ordered), BATCH):
        claims = await _claims(session, column, ordered[start : start + BATCH])
        found |= {name: believed(said, fleet) for name, said in claims.items()}
    return found


async def _claims(
    session: AsyncSession, column: SQLColumnExpression[str], hashes: Sequence[str]
) -> dict[str, list[Claim]]:
    signer = (column, ExecutableClaim.team_id, ExecutableClaim.signing_id)
    query = (
        select(*signer, func.array_agg(ExecutableWitness.machine_id.distinct()))
        .select_from(ExecutableClaim)
        .join(Executable, Executable.id == ExecutableClaim.executable_id)
        .join(
            ExecutableWitness,
            (ExecutableWitness.executable_id == ExecutableClaim.executable_id)
            & (ExecutableWitness.digest == ExecutableClaim.digest),
        )
        .where(column.in_(hashes))
        .group_by(*signer)
    )
    found: dict[str, list[Claim]] = {}
    for name, team, signing_id, macs in await session.execute(query):
        found.setdefault(name, []).append(Claim(Signer(team, signing_id), frozenset(macs)))
    return found
