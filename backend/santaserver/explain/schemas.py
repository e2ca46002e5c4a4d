"""Explanations in the REST interface."""

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, Field

from santaserver.layers.schemas import LayerName
from santaserver.policy.targets import Policy, RuleType
from santaserver.sync_settings.schemas import ClientMode, SyncSettings

Outcome = Literal["wins", "outranked", "loses", "masks", "not_supported"]


class Candidate(BaseModel):
    """A rule for the target in one of the machine's layers."""

    rule_id: int
    layer: LayerName
    policy: Policy
    locked: bool
    outcome: Outcome = Field(
        description="`wins`: Santa uses it; `outranked`: the best for its target, but Santa uses the rule "
        "for a more specific identifier; `masks`: it wins, so the target has no rule; "
        "`not_supported`: the machine's client does not support it, so the next rule applies"
    )
    why: str


class TargetExplanation(BaseModel):
    """The rule in force for one target, and all other rules for it."""

    rule_type: RuleType
    identifier: str
    policy: Policy | None = Field(description="What the Mac is sent; null when it has no rule for the target")
    candidates: list[Candidate] = Field(description="From the lowest layer to the highest")


class Explanation(BaseModel):
    """What decides about a program on one machine, in Santa's order of evaluation."""

    machine_id: str
    seq: int = Field(description="Number of the policy change up to which this is true")
    confirmed: bool = Field(description="Whether the Mac confirmed exactly this policy")
    layers: list[LayerName] = Field(description="The machine's layers that hold something, the lowest first")
    targets: list[TargetExplanation]
    decided_by: RuleType | None = Field(
        description="Whose rule Santa uses; null: without one, path patterns and the mode decide"
    )
    client_mode: ClientMode = Field(description="The mode that the Mac's syncs are answered now")
    mode_layer: LayerName | None = Field(
        description="The layer that the mode comes from; null: the default, or the time-boxed monitor mode"
    )
    monitored: bool = Field(description="A time-boxed monitor mode stands above the client mode")


class SettingExplanation(BaseModel):
    """The origin of one setting."""

    layer: LayerName | None = Field(description="null: the default is in force")
    locked: bool


class SettingsExplanation(BaseModel):
    """The settings that a machine gets, each with its layer."""

    machine_id: str
    settings: SyncSettings
    origins: dict[str, SettingExplanation]
    monitored: bool = Field(description="A time-boxed monitor mode stands above the client mode")


class EffectiveRule(BaseModel):
    """A rule that a machine should have, with its layer."""

    rule_id: int
    rule_type: RuleType
    identifier: str
    policy: Policy = Field(
        description="As the machine is sent it; clients that do not know a policy may get the nearest one"
    )
    cel_expr: str | None
    layer: LayerName
    locked: bool
    expires_at: datetime | None
    comment: str
