"""Finds layers by name and makes those of users and machines when they are first needed."""

from typing import cast

from sqlalchemy.ext.asyncio import AsyncSession

from santaserver.errors import NotFound, wrong_field
from santaserver.layers import repository
from santaserver.layers.repository import NamedLayer
from santaserver.layers.schemas import Layer, LayerKind, LayerName
from santaserver.policy.head import layers_changed

MISSING = {
    "tag": "There is no tag with this name",
    "machine": "There is no machine with this id; it gets a layer once it has synced",
    "user": "This user has no layer: no rule or setting was ever made for this user",
}


async def list_layers(session: AsyncSession) -> list[Layer]:
    """Return all live layers, the lowest first."""
    return [
        Layer(layer=name, kind=cast("LayerKind", kind), rules=rules, settings=settings, machines=machines)
        for name, kind, rules, settings, machines in await repository.list_layers(session)
    ]


async def find_layer(session: AsyncSession, name: str) -> NamedLayer:
    """Return a layer to read from; raise `NotFound` when there is none."""
    kind, owner = parts(name)
    layer = await repository.find_layer(session, kind, owner)
    if layer is None:
        raise NotFound(missing(kind))
    return layer


async def layer_if_known(session: AsyncSession, name: str) -> tuple[bool, NamedLayer | None]:
    """Return whether something could be said for a layer's owner, and the layer when something ever was."""
    kind, owner = parts(name)
    layer = await repository.find_layer(session, kind, owner)
    return layer is not None or await repository.could_exist(session, kind, owner), layer


async def layer_to_read(session: AsyncSession, name: str) -> NamedLayer | None:
    """Return a layer; None when nothing was ever said for its owner, who is known or could be."""
    known, layer = await layer_if_known(session, name)
    return layer if known else await find_layer(session, name)


async def layer_to_fill(session: AsyncSession, name: str) -> NamedLayer:
    """Return a layer that is about to hold something. The policy's head must be locked by the caller."""
    kind, owner = parts(name)
    if kind == "user":
        await repository.add_user_layer(session, owner)
    elif kind == "machine":
        await repository.add_machine_layer(session, owner)
    layer = await repository.find_layer(session, kind, owner)
    if layer is None:
        raise wrong_field("layer", missing(kind))
    if not layer.used:
        await repository.mark_used(session, layer.id)
        await layers_changed(session)
    return layer


def missing(kind: str) -> str:
    """Say that there is no layer of this kind with the name that was asked for."""
    return MISSING.get(kind, "There is no such layer")


def parts(name: LayerName) -> tuple[str, str]:
    """Take a layer's name apart: its kind, and whose it is."""
    kind, _, owner = name.partition(":")
    return kind, owner
