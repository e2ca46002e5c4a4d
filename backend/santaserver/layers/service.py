"""Finds layers by name and makes those of users and machines when they are first needed."""

from typing import cast

from santaserver.db import Connection
from santaserver.errors import NotFound, wrong_field
from santaserver.layers import repository
from santaserver.layers.repository import NamedLayer
from santaserver.layers.schemas import Layer, LayerKind, LayerName
from santaserver.policy.change import Change
from santaserver.scope import Scope

MISSING = {
    "tag": "There is no tag with this name",
    "machine": "There is no machine with this id; it gets a layer once it has synced",
    "user": "This user has no layer: no rule or setting was ever made for this user",
}


async def list_layers(connection: Connection, scope: Scope) -> list[Layer]:
    """Return all live layers, the lowest first."""
    return [
        Layer(
            layer=row.name,
            kind=cast("LayerKind", row.kind),
            rules=row.rules,
            settings=row.settings,
            machines=row.machines,
        )
        for row in await repository.list_layers(connection, scope)
    ]


async def find_layer(connection: Connection, scope: Scope, name: str) -> NamedLayer:
    """Return a layer to read from; raise `NotFound` when there is none."""
    kind, owner = parts(name)
    layer = await repository.find_layer(connection, scope, kind, owner)
    if layer is None:
        raise NotFound(missing(kind))
    return layer


async def layer_if_known(connection: Connection, scope: Scope, name: str) -> tuple[bool, NamedLayer | None]:
    """Return whether a layer's owner is known or possible, and the layer if it exists."""
    kind, owner = parts(name)
    layer = await repository.find_layer(connection, scope, kind, owner)
    if layer is not None:
        return True, layer
    if kind == "user":
        return scope.everywhere, None
    return kind == "machine" and await repository.is_machine(connection, scope, owner), None


async def layer_to_read(connection: Connection, scope: Scope, name: str) -> NamedLayer | None:
    """Return a layer; None when its owner is known or possible but has no layer yet."""
    known, layer = await layer_if_known(connection, scope, name)
    return layer if known else await find_layer(connection, scope, name)


async def layer_to_fill(change: Change, scope: Scope, name: str) -> NamedLayer:
    """Return a layer that is about to hold something; raise `NotFound` when it is out of scope."""
    connection = change.connection
    kind, owner = parts(name)
    if not scope.everywhere and not (await layer_if_known(connection, scope, name))[0]:
        raise NotFound(missing(kind))
    if kind == "user":
        await repository.add_user_layer(connection, owner)
    elif kind == "machine":
        await repository.add_machine_layer(connection, owner)
    layer = await repository.find_layer(connection, scope, kind, owner)
    if layer is None:
        raise wrong_field("layer", missing(kind))
    if not layer.used:
        await repository.mark_used(connection, layer.id)
        change.layers_changed()
    return layer


def missing(kind: str) -> str:
    """Return the error for a layer that does not exist."""
    return MISSING.get(kind, "There is no such layer")


def parts(name: LayerName) -> tuple[str, str]:
    """Take a layer's name apart: its kind, and whose it is."""
    kind, _, owner = name.partition(":")
    return kind, owner
