"""Groups in the REST interface."""

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, Field

from santaserver.current_user import Grant
from santaserver.groups.repository import Source
from santaserver.inputs import Input, Line, Stored, Text
from santaserver.users.account_schemas import RoleGrant

OwnSource = Literal["local", "claim", "app_role"]
SOURCE = (
    "`local`: members are added here; `claim`: a group of the identity provider, `app_role`: an app role of "
    "it, both with the people as members for whom it was listed at their last sign-in; `scim`: kept by SCIM"
)
EXTERNAL_ID = (
    "What the identity provider calls it: the id of the group (in Entra ID its object id), or the value of "
    "the app role; null for local groups"
)


class GroupCreate(Input):
    """A group to make; those of SCIM are made by SCIM."""

    source: OwnSource = Field("local", description=SOURCE)
    name: Line = Field(min_length=1, max_length=200)
    external_id: Stored | None = Field(None, min_length=1, max_length=255, description=EXTERNAL_ID)
    description: Text = Field("", max_length=500)
    roles: list[RoleGrant] = Field(default_factory=list, max_length=200)


class GroupUpdate(Input):
    """What to change of a group; what is left out, or null, stays."""

    name: Line | None = Field(None, min_length=1, max_length=200)
    external_id: Stored | None = Field(None, min_length=1, max_length=255, description=EXTERNAL_ID)
    description: Text | None = Field(None, max_length=500)
    roles: list[RoleGrant] | None = Field(None, max_length=200, description="All roles: others are taken")


class Group(BaseModel):
    """A group with the roles that it gives to its members."""

    id: int
    source: Source = Field(description=SOURCE)
    external_id: str | None = Field(description=EXTERNAL_ID)
    name: str
    description: str
    created_at: datetime
    members: int
    roles: list[Grant]
    etag: str = Field(description="For `If-Match`; members do not change it")


class GroupMember(BaseModel):
    """A member of a group."""

    id: int = Field(description="Of the user")
    username: str
    display_name: str
    enabled: bool = Field(description="Whether the user can log in")
    added_at: datetime


class EnvironmentRole(BaseModel):
    """A role that the environment gives to a group of the identity provider."""

    group: str
    role: str


class EnvironmentRoles(BaseModel):
    """What `OIDC_GROUP_ROLES` says; it can be changed there only."""

    items: list[EnvironmentRole]
