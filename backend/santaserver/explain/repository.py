"""What explanations are made of."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import and_, case, select, true
from sqlalchemy.ext.asyncio import AsyncSession

from santaserver.layers.repository import named_layers
from santaserver.models import Layer, Machine, MachineSync, PolicyHead, PolicySignature, RuleVersion


@dataclass(frozen=True, slots=True)
class Position:
    """Where a machine stands."""

    machine_id: str
    head: int
    confirmed: bool
    layers: Sequence[int]
    """Lowest rank first, as of the last preflight."""
    level: int
    monitor_until: datetime | None


async def position(session: AsyncSession, machine_id: str) -> Position | None:
    """Return a machine's layers; None when it is unknown or has never begun a sync."""
    acked = and_(
        MachineSync.acked_seq == PolicyHead.seq,
        MachineSync.acked_signature == MachineSync.signature,
        MachineSync.facts_key.is_not(None),
    )
    query = (
        select(
            Machine.machine_id,
            PolicyHead.seq,
            case((acked, True), else_=False),
            PolicySignature.layers,
            PolicySignature.capabilities,
            MachineSync.monitor_until,
        )
        .select_from(Machine)
        .join(MachineSync, MachineSync.machine_id == Machine.id)
        .join(PolicySignature, PolicySignature.id == MachineSync.signature)
        .join(PolicyHead, true())
        .where(Machine.machine_id == machine_id)
    )
    row = (await session.execute(query)).one_or_none()
    return Position(*row) if row else None


async def layer_names(session: AsyncSession, layers: Sequence[int]) -> dict[int, str]:
    """Return the outside names of layers; removed ones have none."""
    rows = await session.execute(named_layers().where(Layer.id.in_(layers)))
    return {row[0]: row[2] for row in rows}


async def candidates(
    session: AsyncSession, layers: Sequence[int], rule_type: str, identifier: str
) -> Sequence[RuleVersion]:
    """Return the versions in force for a target in these layers."""
    query = select(RuleVersion).where(
        RuleVersion.layer_id.in_(layers),
        RuleVersion.rule_type == rule_type,
        RuleVersion.identifier == identifier,
        RuleVersion.opened_seq.is_not(None),
        RuleVersion.closed_seq.is_(None),
    )
    return (await session.scalars(query)).all()
