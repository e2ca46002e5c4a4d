"""Setup links in the REST interface."""

from datetime import datetime

from pydantic import BaseModel, Field

from santaserver.inputs import Input, Line, Stored
from santaserver.users.password_rules import SHORTEST
from santaserver.users.passwords import MAX_PASSWORD

Secret = Stored


class SetupQuestion(Input):
    """Which link is meant."""

    secret: Secret = Field(min_length=1, max_length=100, description="What follows # in the link")


class SetupOffer(BaseModel):
    """What a valid setup link is for."""

    username: str | None = Field(description="Whose password is chosen; null: that of a new administrator")
    display_name: str
    expires_at: datetime


class Setup(Input):
    """What is chosen with a setup link."""

    secret: Secret = Field(min_length=1, max_length=100)
    username: Line | None = Field(
        None, min_length=1, max_length=200, description="Of the first administrator; others have one"
    )
    password: Stored = Field(min_length=SHORTEST, max_length=MAX_PASSWORD)
