"""Layers in the database."""

from msgspec import Struct

from santaserver.db import Connection
from santaserver.policy.layer_names import NAME, NAMED
from santaserver.policy.layer_ranks import MACHINE_RANK, USER_RANK
from santaserver.scope import Scope, layer_in, machine_in

OWNED_BY = {
    "tag": "l.kind = 'tag' and lower(t.name) = lower($1)",
    "user": "l.kind = 'user' and l.name = lower($1)",
    "machine": "l.kind = 'machine' and m.machine_id = $1",
}
"""Kind of a layer → the condition that it is that of an owner; the global one has none."""
GLOBAL = "l.kind = 'global' and $1::text is not null"

LIST = f"""
select {NAME}, l.kind, coalesce(r.n, 0), coalesce(s.n, 0), coalesce(y.n, 0)
from {NAMED}
left join (select layer_id, count(*) as n from rule where removed_at is null group by layer_id) r
  on r.layer_id = l.id
left join (select layer_id, count(*) as n from setting_version where closed_seq is null group by layer_id) s
  on s.layer_id = l.id
left join (
    select layer_id, count(*) as n from machine_sync y join policy_signature p on p.id = y.signature
      cross join unnest(p.layers) layer_id group by layer_id) y
  on y.layer_id = l.id
where l.removed_at is null and {layer_in("$1")}
order by l.rank, 1
"""  # noqa: S608 - put together from constants


class NamedLayer(Struct, frozen=True):
    """A layer and the name that it has outside."""

    id: int
    kind: str
    name: str
    used: bool


class CountedLayer(Struct, frozen=True):
    """A layer, and how much belongs to it."""

    name: str
    kind: str
    rules: int
    settings: int
    machines: int


async def find_layer(connection: Connection, scope: Scope, kind: str, owner: str) -> NamedLayer | None:
    """Return the live layer of a kind and owner: a tag's or user's name, a machine's id."""
    row = await connection.fetchrow(
        f"""select l.id, l.kind, {NAME}, l.used from {NAMED}
            where l.removed_at is null and {OWNED_BY.get(kind, GLOBAL)} and {layer_in("$2")}""",  # noqa: S608 - constants
        owner,
        scope.tag_ids,
    )
    return NamedLayer(*row) if row else None


async def add_user_layer(connection: Connection, user: str) -> None:
    """Give a user a layer; another request may have been faster."""
    await connection.execute(
        """insert into layer (kind, name, rank) values ('user', lower($1), $2)
           on conflict (name) where kind = 'user' do nothing""",
        user,
        USER_RANK,
    )


async def add_machine_layer(connection: Connection, machine_id: str) -> None:
    """Give a known machine a layer; of an unknown one nothing is stored."""
    await connection.execute(
        """insert into layer (kind, name, rank, machine_id)
           select 'machine', machine_id, $2::integer, id from machine where machine_id = $1
           on conflict (machine_id) do nothing""",
        machine_id,
        MACHINE_RANK,
    )


async def is_machine(connection: Connection, scope: Scope, machine_id: str) -> bool:
    """Tell whether there is such a machine."""
    found: bool = await connection.fetchval(
        f"select exists (select from machine where machine_id = $1 and {machine_in('id', '$2')})",  # noqa: S608
        machine_id,
        scope.tag_ids,
    )
    return found


async def rank_of(connection: Connection, layer_id: int) -> int:
    """Return a layer's place among all."""
    rank: int = await connection.fetchval("select rank from layer where id = $1", layer_id)
    return rank


async def mark_used(connection: Connection, layer_id: int) -> None:
    """Mark a layer as not empty, so that signatures include it from now on."""
    await connection.execute("update layer set used = true where id = $1", layer_id)


async def list_layers(connection: Connection, scope: Scope) -> list[CountedLayer]:
    """Return live layers, the lowest first."""
    return [CountedLayer(*row) for row in await connection.fetch(LIST, scope.tag_ids)]
