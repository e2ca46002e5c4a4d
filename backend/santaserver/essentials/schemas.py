"""Essentials in the REST interface."""

from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, Field

from santaserver.inputs import Input, Line, unchanged
from santaserver.policy.targets import RuleType

MAX_ITEMS = 50

Name = Annotated[Line, Field(min_length=1, max_length=100)]
Use = Annotated[
    Line, Field(max_length=100, description="What it is for, such as VPN, sign-in, browser, chat")
]
Identifiers = Annotated[
    list[Annotated[Line, Field(min_length=1, max_length=1000)]],
    Field(
        min_length=1,
        max_length=MAX_ITEMS,
        description="Of its programs, as rules name them. TEAMID: every program of the publisher",
    ),
]
Paths = Annotated[
    list[Annotated[Line, Field(min_length=2, max_length=1000, pattern="^/")]],
    Field(
        max_length=MAX_ITEMS,
        description="Where its programs are on Macs, to check path patterns; programs that Macs reported "
        "need none",
    ),
]


class EssentialCreate(Input):
    """A program that must keep running on every Mac."""

    name: Name
    use: Use = ""
    rule_type: RuleType
    identifiers: Identifiers
    paths: Paths = Field([])


class EssentialChange(Input):
    """What to change of it; what is left out stays."""

    name: Name = Field(default_factory=unchanged)
    use: Use = Field(default_factory=unchanged)
    rule_type: RuleType = Field(default_factory=unchanged)
    identifiers: Identifiers = Field(default_factory=unchanged)
    paths: Paths = Field(default_factory=unchanged)


class OwnEssential(BaseModel):
    """A program that must keep running on every Mac: changes that would block it are refused."""

    id: int
    name: str
    use: str
    rule_type: RuleType
    identifiers: list[str]
    paths: list[str]
    created_at: datetime
    created_by: str | None = Field(description="User name; null when the user was removed")
    changed_at: datetime
    etag: str = Field(description="For `If-Match`")
