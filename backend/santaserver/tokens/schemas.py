"""API tokens in the REST interface."""

from datetime import datetime
from typing import Annotated

from pydantic import AfterValidator, BaseModel, Field

from santaserver.inputs import Input, Line, RowId, Stored, Time
from santaserver.permissions import Permission
from santaserver.tokens.limits import parse_network
from santaserver.tokens.secret import OwnerKind


def _network(text: str) -> str:
    try:
        return str(parse_network(text))
    except ValueError as error:
        raise ValueError(
            f"Not an address or network such as 10.20.0.0/16 or 2001:db8::/32: {error}"
        ) from None


NetworkText = Annotated[Stored, Field(max_length=60), AfterValidator(_network)]


class TokenCreate(Input):
    """A token to create."""

    name: Line = Field(min_length=1, max_length=100, description="Unique among the tokens of its owner")
    user_id: RowId | None = Field(
        None, description="The service account that it is for, which needs `user:write`; null: yourself"
    )
    permissions: list[Permission] = Field(
        min_length=1, max_length=100, description="What it is for: a part of what its owner may do"
    )
    tags: list[Stored] | None = Field(
        None, min_length=1, max_length=100, description="Limits it to what has one of these tags"
    )
    networks: list[NetworkText] = Field(
        [], max_length=50, description="Addresses and networks (CIDR) that may use it; empty: any"
    )
    expires_at: Time = Field(description="When it ends; in at most 366 days")


class TokenRotate(Input):
    """Another secret for a token."""

    previous_valid_until: Time | None = Field(
        None, description="How long the present secret still works, at most 30 days; null: it ends at once"
    )
    expires_at: Time | None = Field(None, description="Another end for the token; null: it stays")


class PreviousSecret(BaseModel):
    """The secret before the last rotation, while it is still valid."""

    valid_until: datetime
    last_used_at: datetime | None = Field(description="Kept to the minute; null: not since the rotation")


class Token(BaseModel):
    """An API token without its secret."""

    id: int
    name: str
    hint: str = Field(description="How it begins")
    user_id: int
    username: str = Field(description="Its owner")
    owner_kind: OwnerKind
    owner_disabled: bool = Field(description="Then the token does not work either")
    permissions: list[str]
    tags: list[str] | None = Field(description="null: as far as its owner reaches")
    networks: list[str]
    created_at: datetime
    created_by: str | None = Field(description="User name; null when created on the command line")
    rotated_at: datetime | None
    expires_at: datetime
    revoked: bool
    last_used_at: datetime | None = Field(description="Kept to the minute")
    last_address: str
    previous: PreviousSecret | None


class TokenSecret(BaseModel):
    """A token with its secret, which is shown this once."""

    token: Token
    secret: str
