"""SCIM tokens in the REST interface."""

from datetime import datetime

from pydantic import BaseModel, Field

from santaserver.inputs import Input, Line, Time
from santaserver.tokens.schemas import NetworkText, PreviousSecret


class ScimTokenCreate(Input):
    """A token to create."""

    name: Line = Field(min_length=1, max_length=100, description="Such as the name of the directory")
    networks: list[NetworkText] = Field(
        [], max_length=50, description="Addresses and networks (CIDR) that may use it; empty: any"
    )
    expires_at: Time = Field(description="When it ends; in at most 366 days")


class ScimToken(BaseModel):
    """A SCIM token without its secret."""

    id: int
    name: str
    hint: str = Field(description="How it begins")
    networks: list[str]
    created_at: datetime
    created_by: str | None = Field(description="User name; null when that user is deleted")
    rotated_at: datetime | None
    expires_at: datetime
    revoked: bool
    last_used_at: datetime | None = Field(description="Kept to the minute")
    last_address: str
    previous: PreviousSecret | None


class ScimTokenSecret(BaseModel):
    """A token with its secret, which is shown this once."""

    token: ScimToken
    secret: str


class ScimState(BaseModel):
    """What the directory has provisioned."""

    url: str = Field(description="What the directory has to be told: the tenant URL, or SCIM base URL")
    users: int
    active_users: int
    groups: int
    unlinked_users: int = Field(
        description="Those whose `externalId` is no object id of Entra's: signing in makes another account. "
        "Always 0 with other providers"
    )
