"""Users in the REST interface."""

from datetime import datetime

from pydantic import BaseModel, Field

from santaserver.current_user import Grant
from santaserver.inputs import Input, Line, Stored
from santaserver.permissions import Role
from santaserver.users.passwords import MAX_PASSWORD, SHORTEST


class RoleGrant(Input):
    """A role to give to a user."""

    role: Role
    tag: Stored | None = Field(
        None, max_length=100, description="Limits the role to what has this tag; null: it holds everywhere"
    )


class UserCreate(Input):
    """A user to create."""

    username: Line = Field(min_length=1, max_length=200, description="Case does not tell users apart")
    display_name: Line = Field("", max_length=200, description="Empty: the user name")
    password: Stored = Field(min_length=SHORTEST, max_length=MAX_PASSWORD)
    roles: list[RoleGrant] = Field(max_length=200)


class UserUpdate(Input):
    """What to change of a user; what is left out, or null, stays."""

    display_name: Line | None = Field(None, min_length=1, max_length=200)
    password: Stored | None = Field(
        None, min_length=SHORTEST, max_length=MAX_PASSWORD, description="Ends the sessions of the user"
    )
    disabled: bool | None = Field(None, description="A disabled user cannot log in and has no sessions")
    roles: list[RoleGrant] | None = Field(None, max_length=200, description="All roles: others are taken")


class UserAccount(BaseModel):
    """A user as those see it who manage users."""

    id: int
    username: str
    display_name: str
    created_at: datetime
    disabled: bool
    roles: list[Grant]
    etag: str = Field(description="For `If-Match`; also another password is another version")
