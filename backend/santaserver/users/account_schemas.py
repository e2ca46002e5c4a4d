"""Users in the REST interface."""

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, Field

from santaserver.current_user import Grant
from santaserver.inputs import Input, Line, Stored
from santaserver.users.password_rules import SHORTEST
from santaserver.users.passwords import MAX_PASSWORD

UserKind = Literal["person", "service"]
UserSource = Literal["local", "provider", "scim"]


class RoleGrant(Input):
    """A role to give to a user or a group."""

    role: Stored = Field(min_length=1, max_length=100, description="The name of a role (`GET /roles`)")
    tag: Stored | None = Field(
        None, max_length=100, description="Limits the role to what has this tag; null: it holds everywhere"
    )


class UserCreate(Input):
    """A user to create."""

    username: Line = Field(min_length=1, max_length=200, description="Case does not tell users apart")
    display_name: Line = Field("", max_length=200, description="Empty: the user name")
    kind: UserKind = Field(
        "person", description="A service account has no password and no sessions: programs use its API tokens"
    )
    password: Stored | None = Field(
        None,
        min_length=SHORTEST,
        max_length=MAX_PASSWORD,
        description="Without one, a person gets in with a setup link (`POST /users/{id}/setup-link`)",
    )
    roles: list[RoleGrant] = Field(max_length=200)


class UserUpdate(Input):
    """What to change of a user; what is left out, or null, stays."""

    display_name: Line | None = Field(None, min_length=1, max_length=200)
    password: Stored | None = Field(
        None, min_length=SHORTEST, max_length=MAX_PASSWORD, description="Ends the sessions of the user"
    )
    disabled: bool | None = Field(None, description="A disabled user cannot log in and has no sessions")
    roles: list[RoleGrant] | None = Field(None, max_length=200, description="All roles: others are taken")


class SetupLink(BaseModel):
    """A link with which a user chooses a password, shown this once."""

    url: str = Field(description="Only its path and fragment when `PUBLIC_URL` is not set")
    expires_at: datetime


class OwnRole(Grant):
    """A role of a user's own."""

    from_provider: bool = Field(description="Whether the identity provider gives it, and only it can take it")


class UserAccount(BaseModel):
    """A user as those see it who manage users."""

    id: int
    username: str
    display_name: str
    kind: UserKind
    created_at: datetime
    has_password: bool = Field(description="Without one there is nothing to log in with, except elsewhere")
    second_factor: bool = Field(description="Whether the password alone is not enough: see `/second-factor`")
    setup_until: datetime | None = Field(description="When the setup link of the user ends; null: no link")
    disabled: bool
    deprovisioned: bool = Field(description="Whether SCIM says that this person is not active")
    source: UserSource = Field(
        description="Where the account comes from: made here, by a sign-in at the identity provider, by SCIM"
    )
    signed_in_at: datetime | None = Field(
        description="The last sign-in through the identity provider; null: never"
    )
    roles: list[OwnRole] = Field(description="The user's own roles; those of groups come on top of them")
    groups: list[str]
    etag: str = Field(description="For `If-Match`; also another password is another version")
