"""Layers in the REST interface."""

from typing import Annotated, Literal

from pydantic import BaseModel, Field

from santaserver.inputs import Stored

LayerKind = Literal["global", "tag", "user", "machine"]
GLOBAL = "global"

LayerName = Annotated[
    Stored,
    Field(
        max_length=1100,
        pattern=r"^(global|tag:.+|user:.+|machine:.+)$",
        description="`global`, `tag:NAME`, `user:NAME` (the Mac's primary user) or `machine:MACHINE_ID`",
        examples=["global", "tag:finance"],
    ),
]


class Layer(BaseModel):
    """One layer of rules and settings. Tags always have one; users and machines when used."""

    layer: LayerName
    kind: LayerKind
    rules: int = Field(description="Live rules")
    settings: int = Field(description="Settings of its own")
    machines: int = Field(description="Macs that were in it at their last preflight")


class LayerMembers(BaseModel):
    """How many Macs a layer has now."""

    layer: LayerName
    machines: int = Field(description="Macs that are in it by what they reported last, synced since or not")
