"""Live messages about rules."""

from datetime import datetime
from typing import Literal

from pydantic import BaseModel

from santaserver.rules.schemas import Rule


class RuleChanged(BaseModel):
    """A rule was made, changed or removed; `rule` is its last state."""

    type: Literal["rule"] = "rule"
    at: datetime
    action: Literal["created", "changed", "removed"]
    rule: Rule
