"""The log of policy changes in the REST interface."""

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, Field

from santaserver.inputs import MAX_ROW_ID, Input, Reason
from santaserver.policy.targets import Policy, RuleType

SHOWN = 500
"""Steps and conflicts that a plan lists; all of them are counted."""

WhyConflict = Literal["changed", "layer_gone", "expired", "started", "in_force", "unknown_setting"]


class LoggedChange(BaseModel):
    """One number of the policy: who changed what, when and why."""

    seq: int = Field(description="The policy number that it made")
    at: datetime
    actor_kind: str = Field(description="user, token, schedule, command_line or enrollment")
    actor_name: str
    kind: str = Field(
        description="rule, import, settings, revert, schedule, tag, tag_order, enrollment, membership or "
        "restore"
    )
    reason: str
    layer: str | None = Field(description="Of a rule or of settings; null for several layers or none")
    rule_type: RuleType | None = Field(description="Of the only rule; null for several rules or none")
    identifier: str | None = Field(description="Of the only rule; null for several rules or none")
    reverts: int | None = Field(description="The change that it took back")
    added: int | None = Field(description="Rules; null when the log does not say")
    changed: int | None = Field(description="Rules; null when the log does not say")
    removed: int | None = Field(description="Rules; null when the log does not say")
    settings: int | None = Field(description="Settings; null when the log does not say")
    revertible: bool
    why_not: str = Field(description="Why it cannot be taken back; empty when it can")


class LoggedRule(BaseModel):
    """A rule's content before or after a change."""

    policy: Policy
    cel_expr: str | None
    custom_msg: str
    custom_url: str
    comment: str
    locked: bool
    starts_at: datetime | None
    expires_at: datetime | None


class RuleDifference(BaseModel):
    """What a change did to one rule."""

    layer: str
    rule_type: RuleType
    identifier: str
    before: LoggedRule | None = Field(description="Null: there was no rule")
    after: LoggedRule | None = Field(description="Null: it was removed")


class LoggedSetting(BaseModel):
    """A setting of a layer before or after a change."""

    value: Any
    locked: bool


class SettingDifference(BaseModel):
    """What a change did to one setting of a layer."""

    layer: str
    key: str
    before: LoggedSetting | None = Field(description="Null: the layer did not define it")
    after: LoggedSetting | None = Field(description="Null: the layer no longer defined it")


class ChangeDetails(LoggedChange):
    """A change with what it did; its rules come in pages."""

    rules: list[RuleDifference]
    rules_total: int
    next_cursor: str | None = Field(description="Pass as `cursor` to get the next rules")
    setting_differences: list[SettingDifference]


class ChangeRevert(Input):
    """What to do about a change that is to be taken back."""

    reason: Reason = ""
    dry_run: bool = Field(True, description="Only report what would happen")
    skip_conflicts: bool = Field(
        False, description="Take back the rest, and leave what has changed since; else nothing is done"
    )
    override_guard: bool = Field(
        False, description="Do it even if it blocks what a Mac needs to stay manageable"
    )
    policy_seq: int | None = Field(
        None,
        ge=0,
        le=MAX_ROW_ID,
        description="Do it only if the policy is still the one that the plan was made for",
    )


class RuleStep(BaseModel):
    """What happens to one rule."""

    action: Literal["add", "change", "remove"]
    layer: str
    rule_type: RuleType
    identifier: str
    before: Policy | None = Field(description="Now")
    after: Policy | None


class SettingStep(BaseModel):
    """What happens to one setting of a layer."""

    action: Literal["add", "change", "remove"]
    layer: str
    key: str
    before: LoggedSetting | None = Field(description="Now")
    after: LoggedSetting | None


class RevertConflict(BaseModel):
    """Something that cannot be put back as it was, and the change that is in the way."""

    layer: str
    rule_type: RuleType | None = Field(description="Null for a setting")
    identifier: str = Field(description="The rule's, or the setting's name")
    why: WhyConflict
    message: str
    seq: int | None = Field(description="The newest change of it since; null without one")
    at: datetime | None
    actor_name: str | None
    kind: str | None


class RevertPlan(BaseModel):
    """What taking back a change did, or would do."""

    applied: bool
    reverts: int
    policy_seq: int = Field(description="Number of the policy that it was made for, or has made")
    added: int
    changed: int
    removed: int
    settings: int = Field(description="Settings that change")
    unchanged: int = Field(description="Rules and settings that are already as they were before")
    rule_steps: list[RuleStep] = Field(description=f"The first {SHOWN}")
    setting_steps: list[SettingStep]
    conflicts: list[RevertConflict] = Field(description=f"The first {SHOWN}")
    conflicts_total: int
    refused: list[str] = Field(
        [], description="Rules that the lock-out check refuses; that of settings runs when they are stored"
    )
    warnings: list[str] = Field([], description="What else to know: what is blocked already, or may be")
