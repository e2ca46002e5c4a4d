"""Tags in the REST interface."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, Field

from santaserver.inputs import Input, Line, Reason, RowId, Text, unchanged
from santaserver.layers.schemas import LayerName

MAX_TAGS = 10_000
"""Live tags: all of them are named in an order."""
MemberSource = Literal["manual", "enrollment", "group", "predicate"]

TagName = Annotated[
    str,
    Field(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9 ._-]{0,99}$",
        description="Letters, digits, space, dot, dash and underscore; case does not tell tags apart",
    ),
]


Predicate = Annotated[
    Text,
    Field(
        max_length=10_000,
        description="CEL over machine_id, serial, hostname, model, os_version, os_build, santa_version, "
        "primary_user, groups (list), client_mode and sip_enabled (bool); evaluated at each preflight",
        examples=["hostname.startsWith('lab-') && os_version.startsWith('26.')"],
    ),
]
Groups = Annotated[
    list[Annotated[Line, Field(min_length=1, max_length=500)]],
    Field(max_length=200, description="Directory groups whose users' Macs are members"),
]
EnrollmentIds = Annotated[
    list[RowId], Field(max_length=200, description="Enrollments whose Macs are members")
]


class TagContent(Input):
    """What a tag is and who its members are, besides those added manually."""

    name: TagName
    description: Text = Field("", max_length=4000)
    predicate: Predicate | None = None
    groups: Groups = Field([])
    enrollments: EnrollmentIds = Field([])


class TagUpdate(TagContent):
    """All of a tag's new definition; what is left out by mistake must not take the tag from Macs."""

    description: Text = Field(max_length=4000)
    predicate: Predicate | None
    groups: Groups
    enrollments: EnrollmentIds
    reason: Reason = ""


class TagPatch(Input):
    """What to change of a tag; what is left out stays."""

    name: TagName = Field(default_factory=unchanged)
    description: Text = Field(default_factory=unchanged, max_length=4000)
    predicate: Predicate | None = Field(default_factory=unchanged, description="null: none")
    groups: Groups = Field(default_factory=unchanged)
    enrollments: EnrollmentIds = Field(default_factory=unchanged)
    reason: Reason = ""


class TagCreate(TagContent):
    """A new tag."""

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
    etag: str = Field(description="For `If-Match`: names this definition, not the order or the numbers")


class TagOrder(Input):
    """All live tags in their new order."""

    tags: list[int] = Field(max_length=MAX_TAGS, description="Ids, the lowest first")


class TagOrderChange(TagOrder):
    """The order that tags are to have."""

    reason: Reason = ""


class PresentOrder(BaseModel):
    """The order of all live tags."""

    tags: list[int] = Field(description="Ids, the lowest first")
    etag: str = Field(description="For `If-Match`")


class Membership(BaseModel):
    """Whether one Mac was given one tag manually."""

    manual: bool
    sources: list[MemberSource] = Field(description="Why it has the tag; empty when it does not")
    etag: str = Field(description="For `If-Match`; names whether it was given manually")


class TagMember(BaseModel):
    """A Mac that has a tag."""

    machine_id: str
    hostname: str
    sources: list[MemberSource]
    joined_at: datetime
    etag: str = Field(description="Of its membership, for `If-Match`")


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
