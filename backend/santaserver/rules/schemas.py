"""Rules in the REST interface."""

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, Field

from santaserver.inputs import Input, Line, Text, Time, unchanged
from santaserver.layers.schemas import GLOBAL, LayerName
from santaserver.policy.targets import Policy, RuleType
from santaserver.web_address import DialogAddress

RuleState = Literal["waiting", "active"]

MAX_TEXT = 4000
MAX_CEL = 10_000


class RuleContent(Input):
    """What a rule does; everything about it that can be changed."""

    policy: Policy = Field(description="`NONE` masks the target's rules in lower layers")
    cel_expr: Text | None = Field(
        None, max_length=MAX_CEL, description="Required for the policy CEL, else absent"
    )
    custom_msg: Text = Field(
        "", max_length=MAX_TEXT, description="Shown in the block dialog instead of the default"
    )
    custom_url: DialogAddress = Field(
        "", max_length=MAX_TEXT, description="Button of the block dialog; `null` hides it"
    )
    comment: Text = Field("", max_length=MAX_TEXT, description="For other admins; never sent to a Mac")
    reason: Text = Field("", max_length=MAX_TEXT, description="Why it was changed; stored with this version")
    locked: bool = Field(
        False, description="Higher layers cannot override it; among locked rules the lowest layer wins"
    )
    starts_at: Time | None = Field(
        None, description="When it comes into force; null: now. Not for a rule in force"
    )
    expires_at: Time | None = Field(None, description="When Macs are told to remove it; null: never")
    override_guard: bool = Field(
        False, description="Save the rule even if it blocks what a Mac needs to stay manageable; not stored"
    )


class RuleCreate(RuleContent):
    """A new rule: its layer, its target and what it does."""

    layer: LayerName = GLOBAL
    rule_type: RuleType
    identifier: Line = Field(min_length=1, max_length=1000, description="Stored in the form Santa uses")


class RuleUpdate(RuleContent):
    """All of a rule's new content; the target stays.

    Nothing of it has a default: what is left out by mistake must not make a rule permanent or unlock it.
    """

    cel_expr: Text | None = Field(max_length=MAX_CEL, description="For the policy CEL, else null")
    custom_msg: Text = Field(max_length=MAX_TEXT)
    custom_url: DialogAddress = Field(max_length=MAX_TEXT)
    comment: Text = Field(max_length=MAX_TEXT)
    locked: bool
    starts_at: Time | None = Field(description="null: now. Not for a rule in force")
    expires_at: Time | None = Field(description="null: never")


class RulePatch(Input):
    """What to change of a rule; what is left out stays."""

    policy: Policy = Field(default_factory=unchanged)
    cel_expr: Text | None = Field(
        default_factory=unchanged,
        max_length=MAX_CEL,
        description="null: none. Left out, it goes when the policy is no longer CEL",
    )
    custom_msg: Text = Field(default_factory=unchanged, max_length=MAX_TEXT)
    custom_url: DialogAddress = Field(default_factory=unchanged, max_length=MAX_TEXT)
    comment: Text = Field(default_factory=unchanged, max_length=MAX_TEXT)
    locked: bool = Field(default_factory=unchanged)
    starts_at: Time | None = Field(
        default_factory=unchanged, description="null: now. Not for a rule in force"
    )
    expires_at: Time | None = Field(default_factory=unchanged, description="null: never")
    reason: Text = Field("", max_length=MAX_TEXT, description="Why it is changed; stored with this version")
    override_guard: bool = Field(False, description="As for a new rule; not stored")


class Rule(BaseModel):
    """One live rule and how many Macs have confirmed it."""

    id: int
    layer: LayerName
    rule_type: RuleType
    identifier: str
    policy: Policy
    cel_expr: str | None
    custom_msg: str
    custom_url: str
    comment: str
    reason: str
    locked: bool
    state: RuleState
    starts_at: datetime | None
    expires_at: datetime | None
    created_at: datetime
    created_by: str | None = Field(description="User name; null for rules created by the system")
    seq: int | None = Field(
        description="Number of the policy change that gave the rule its present content; null while it waits"
    )
    machines_acked: int = Field(description="Macs of the layer that confirmed this content")
    machines_total: int = Field(description="Macs of the layer")
    etag: str = Field(description="For `If-Match`: names this content, not the numbers of Macs")


class RemovedRule(BaseModel):
    """A removed rule, and how many Macs have confirmed its removal."""

    id: int
    layer: LayerName
    rule_type: RuleType
    identifier: str
    policy: Policy = Field(description="Of its last content")
    comment: str
    removed_at: datetime
    machines_acked: int = Field(description="Macs of the layer that confirmed a policy without it")
    machines_total: int = Field(description="Macs of the layer")
