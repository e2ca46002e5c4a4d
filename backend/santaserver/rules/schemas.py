"""Rules as the REST interface takes and shows them."""

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, Field

RuleType = Literal["BINARY", "CERTIFICATE", "TEAMID", "SIGNINGID", "CDHASH"]
Policy = Literal[
    "ALLOWLIST",
    "ALLOWLIST_COMPILER",
    "BLOCKLIST",
    "SILENT_BLOCKLIST",
    "SILENT_GUI_BLOCKLIST",
    "SILENT_TTY_BLOCKLIST",
    "CEL",
]

MAX_TEXT = 4000
MAX_CEL = 10_000


class RuleContent(BaseModel):
    """What a rule does; everything about it that can be changed."""

    policy: Policy
    cel_expr: str | None = Field(
        None, max_length=MAX_CEL, description="Required for the policy CEL, else absent"
    )
    custom_msg: str = Field(
        "", max_length=MAX_TEXT, description="Shown in the block dialog instead of the default"
    )
    custom_url: str = Field(
        "", max_length=MAX_TEXT, description="Button of the block dialog; `null` hides it"
    )
    comment: str = Field("", max_length=MAX_TEXT, description="For other admins; never sent to a Mac")


class RuleCreate(RuleContent):
    """A new rule: its target and what it does."""

    rule_type: RuleType
    identifier: str = Field(min_length=1, max_length=1000, description="Stored in the form Santa uses")


class RuleUpdate(RuleContent):
    """A rule's new content; the target stays."""


class Rule(BaseModel):
    """One live rule and how many Macs have confirmed it."""

    id: int
    rule_type: RuleType
    identifier: str
    policy: Policy
    cel_expr: str | None
    custom_msg: str
    custom_url: str
    comment: str
    created_at: datetime
    created_by: str | None = Field(description="User name; null for rules that the system made")
    seq: int = Field(description="Number of the policy change that gave the rule its present content")
    machines_acked: int
    machines_total: int
