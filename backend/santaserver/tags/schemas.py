"""Tags in the REST interface."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, Field

from santaserver.inputs import Input, Line, Reason, RowId, Text
from santaserver.layers.schemas import LayerName

MemberSource = Literal["manual", "enrollment", "group", "predicate"]

TagName = Annotated[
    str,
    Field(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9 ._-]{0,99}$",
        description="Letters, digits, space, dot, dash and underscore; case does not tell tags apart",
    ),
]


class TagContent(Input):
    """What a tag is and who its members are, besides those added manually."""

    name: TagName
    description: Text = Field("", max_length=4000)
    predicate: Text | None = Field(
        None,
        max_length=10_000,
        description="CEL over machine_id, serial, hostname, model, os_version, os_build, santa_version, "
        "primary_user, groups (list), client_mode and sip_enabled (bool); evaluated at each preflight",
        examples=["hostname.startsWith('lab-') && os_version.startsWith('26.')"],
    )
    groups: list[Annotated[Line, Field(min_length=1, max_length=500)]] = Field(
        [], max_length=200, description="Directory groups whose users' Macs are members"
    )
    enrollments: list[RowId] = Field([], max_length=200, description="Enrollments whose Macs are members")


class TagChange(TagContent):
    """A new tag, or what one becomes."""

    reason: Reason = ""


class Tag(TagContent):
    """A live tag."""

    description: str
    predicate: str | None
    groups: list[str]
    id: int
    layer: LayerName
    position: int = Field(description="Place in the order, from 1; a higher tag's rules win")
    members: int
    rules: int
    settings: int = Field(description="Settings of its layer")
    created_at: datetime


class TagOrder(Input):
    """All live tags in their new order."""

    tags: list[int] = Field(max_length=10_000, description="Ids, the lowest first")


class TagOrderChange(TagOrder):
    """The order that tags are to have."""

    reason: Reason = ""


class TagMember(BaseModel):
    """A Mac that has a tag."""

    machine_id: str
    hostname: str
    sources: list[MemberSource]
    joined_at: datetime


class TagOrderImpact(BaseModel):
    """The effect of another order of the tags, by each Mac's last preflight."""

    machines: int = Field(description="Macs that have tags whose order among each other would change")
    differing: int = Field(
        description="Of these, Macs for which two such tags have a rule for the same target or the same "
        "setting, so that what they are sent can change"
    )


class PredicateTrial(Input):
    """A predicate to try out."""

    predicate: str = Field(
        min_length=1, max_length=10_000, description="Errors in it are reported in the response's `error`"
    )


class PredicateResult(BaseModel):
    """What a predicate would do."""

    error: str | None = Field(description="Why the expression is invalid; null when it is valid")
    tried: int = Field(description="Macs that it was tried on: those that synced last")
    matching: int = Field(description="Of these, how many would be members")
    examples: list[str] = Field(description="Host names of the first that would be")
