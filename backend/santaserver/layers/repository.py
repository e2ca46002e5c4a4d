"""Layers in the database."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Select, case, func, literal, select, text, true, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from santaserver.models import Layer, Machine, MachineSync, PolicySignature, Rule, SettingVersion, Tag
from santaserver.models.policy import MACHINE_RANK, USER_RANK


@dataclass(frozen=True, slots=True)
class NamedLayer:
    """A layer and the name that it has outside."""

    id: int
    kind: str
    name: str
    used: bool


def layer_name() -> ColumnElement[str]:
    """Return the expression for a layer's outside name; needs `named_layers`' joins."""
    return case(
        (Layer.kind == "tag", literal("tag:") + Tag.name),
        (Layer.kind == "user", literal("user:") + Layer.name),
        (Layer.kind == "machine", literal("machine:") + Machine.machine_id),
        else_="global",
    )


def named_layers() -> Select[int, str, str, bool]:
    """Select live layers with their names."""
    return (
        select(Layer.id, Layer.kind, layer_name(), Layer.used)
        .select_from(Layer)
        .outerjoin(Tag, Tag.id == Layer.tag_id)
        .outerjoin(Machine, Machine.id == Layer.machine_id)
        .where(Layer.removed_at.is_(None))
    )


async def layer_names(session: AsyncSession, layers: Sequence[int]) -> dict[int, str]:
    """Return the outside names of layers; removed ones have none."""
    rows = await session.execute(named_layers().where(Layer.id.in_(layers)))
    return {row[0]: row[2] for row in rows}


async def find_layer(session: AsyncSession, kind: str, owner: str) -> NamedLayer | None:
    """Return the live layer of a kind and owner: a tag's or user's name, a machine's id."""
    owners = {
        "tag": func.lower(Tag.name) == func.lower(owner),
        "user": Layer.name == func.lower(owner),
        "machine": Machine.machine_id == owner,
    }
    query = named_layers().where(Layer.kind == kind)
    if kind in owners:
        query = query.where(owners[kind])
    row = (await session.execute(query)).one_or_none()
    return NamedLayer(*row) if row else None


async def add_user_layer(session: AsyncSession, user: str) -> None:
    """Give a user a layer; another request may have been faster."""
    values = {"kind": "user", "name": func.lower(user), "rank": USER_RANK}
    statement = insert(Layer).values(values)
    await session.execute(
        statement.on_conflict_do_nothing(index_elements=["name"], index_where=text("kind = 'user'"))
    )


async def add_machine_layer(session: AsyncSession, machine_id: str) -> None:
    """Give a known machine a layer; of an unknown one nothing is stored."""
    owner = select(literal("machine"), Machine.machine_id, literal(MACHINE_RANK), Machine.id).where(
        Machine.machine_id == machine_id
    )
    statement = insert(Layer).from_select(["kind", "name", "rank", "machine_id"], owner)
    await session.execute(statement.on_conflict_do_nothing(index_elements=["machine_id"]))


async def could_exist(session: AsyncSession, kind: str, owner: str) -> bool:
    """Tell whether a layer would be made for this owner when something is said for it."""
    if kind == "machine":
        known = select(Machine.id).where(Machine.machine_id == owner)
        return (await session.execute(known)).first() is not None
    return kind == "user"


async def mark_used(session: AsyncSession, layer_id: int) -> None:
    """Remember that a layer holds something, so that signatures name it from now on."""
    await session.execute(update(Layer).where(Layer.id == layer_id).values(used=True))


async def list_layers(session: AsyncSession) -> Sequence[tuple[str, str, int, int, int]]:
    """Return (name, kind, rules, settings, machines) of live layers, the lowest first."""
    rules = (
        select(Rule.layer_id, func.count().label("n"))
        .where(Rule.removed_at.is_(None))
        .group_by(Rule.layer_id)
        .subquery()
    )
    settings = (
        select(SettingVersion.layer_id, func.count().label("n"))
        .where(SettingVersion.closed_seq.is_(None))
        .group_by(SettingVersion.layer_id)
        .subquery()
    )
    member = func.unnest(PolicySignature.layers).table_valued("layer_id").render_derived()
    machines = (
        select(member.c.layer_id, func.count().label("n"))
        .select_from(MachineSync)
        .join(PolicySignature, PolicySignature.id == MachineSync.signature)
        .join(member, true())
        .group_by(member.c.layer_id)
        .subquery()
    )
    query = (
        select(
            layer_name(),
            Layer.kind,
            func.coalesce(rules.c.n, 0),
            func.coalesce(settings.c.n, 0),
            func.coalesce(machines.c.n, 0),
        )
        .select_from(Layer)
        .outerjoin(Tag, Tag.id == Layer.tag_id)
        .outerjoin(Machine, Machine.id == Layer.machine_id)
        .outerjoin(rules, rules.c.layer_id == Layer.id)
        .outerjoin(settings, settings.c.layer_id == Layer.id)
        .outerjoin(machines, machines.c.layer_id == Layer.id)
        .where(Layer.removed_at.is_(None))
        .order_by(Layer.rank, layer_name())
    )
    return [(row[0], row[1], row[2], row[3], row[4]) for row in await session.execute(query)]
