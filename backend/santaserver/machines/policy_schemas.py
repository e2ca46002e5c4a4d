"""The policy of a machine at a moment, in the REST interface."""

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, Field

from santaserver.layers.schemas import LayerName
from santaserver.machines.schemas import MachineTag
from santaserver.policy.targets import Policy, RuleType

Delivery = Literal["confirmed", "pending", "removal_pending", "unknown"]


class ConfirmedPolicy(BaseModel):
    """What a machine had confirmed."""

    seq: int = Field(
        description="Number of the policy that it confirmed; it may have confirmed later ones, in which its "
        "rules and settings were the same"
    )
    at: datetime = Field(description="When its sync ended")
    same_layers: bool = Field(
        description="Whether it confirmed it with the layers and the client it had then"
    )


class MonitorWindowThen(BaseModel):
    """A time-boxed monitor mode that was open."""

    since: datetime
    until: datetime
    reason: str
    opened_by: str | None


class SettingThen(BaseModel):
    """A setting, and where its value came from."""

    value: Any = Field(description="As the Mac was to be sent it")
    layer: LayerName | None = Field(description="null: the default, or the time-boxed monitor mode")
    locked: bool
    seq: int | None = Field(description="Number of the change that set it; null as for `layer`")
    changed_at: datetime | None
    changed_by: str | None
    reason: str
    confirmed: bool | None = Field(
        description="Whether the Mac had confirmed a policy with this value; null: not kept, or temporary"
    )


class RuleThen(BaseModel):
    """A rule, and where it came from."""

    rule_id: int
    version_id: int
    rule_type: RuleType
    identifier: str
    policy: Policy
    sent: Policy = Field(description="The policy in the form that the Mac's client supports")
    cel_expr: str | None
    custom_msg: str
    custom_url: str
    layer: LayerName
    locked: bool
    comment: str
    reason: str
    seq: int = Field(description="Number of the change that put this version into force")
    in_force_since: datetime | None
    written_at: datetime
    written_by: str | None = Field(description="User name; null for the system")
    expires_at: datetime | None
    delivery: Delivery = Field(
        description="`confirmed`: the Mac had confirmed a policy with exactly this rule; `pending`: it had "
        "not; `removal_pending`: the rule did not apply any more, but it was in what the Mac had confirmed; "
        "`unknown`: confirmations of that time are not kept any more"
    )


class MachinePolicyThen(BaseModel):
    """The rules and settings that a machine was to have at a moment, and what it had confirmed by then."""

    machine_id: str
    at: datetime = Field(description="The moment; for a number, the last one at which it was the newest")
    seq: int = Field(description="Number of the policy that was the newest then")
    layers: list[LayerName] = Field(description="The lowest first")
    layers_since: datetime = Field(description="The preflight that determined the layers and the client")
    client: Literal["santa", "pedro", "other"]
    tags: list[MachineTag] = Field(description="Tags that the machine had, the highest first")
    monitor_mode: MonitorWindowThen | None
    settings: dict[str, SettingThen]
    confirmed: ConfirmedPolicy | None = Field(description="null: it was not known what it had")
    confirmations_kept: bool = Field(
        description="Whether the moment is within CONFIRMATION_RETENTION_DAYS; else `confirmed` is null"
    )
    rules: list[RuleThen] = Field(description="By type and identifier")
    next_cursor: str | None = Field(description="Pass as `cursor` to get the next rules")
