"""Requests and responses of the login endpoints."""

from datetime import datetime

from pydantic import BaseModel, Field

from santaserver.current_user import User
from santaserver.inputs import Input, Stored
from santaserver.users.password_rules import SHORTEST
from santaserver.users.passwords import MAX_PASSWORD
from santaserver.users.second_factor_schemas import MAX_CODE


class Login(Input):
    """A user name and its password."""

    username: Stored = Field(min_length=1, max_length=200)
    password: Stored = Field(min_length=1, max_length=MAX_PASSWORD)


class PasswordChange(Input):
    """Another password for the own account."""

    current_password: Stored = Field(min_length=1, max_length=MAX_PASSWORD)
    new_password: Stored = Field(min_length=SHORTEST, max_length=MAX_PASSWORD)


class LoggedOut(BaseModel):
    """What is left to do after a logout."""

    continue_at: str = Field(description="Where the browser ends its session at the identity provider")


class Reauthentication(Input):
    """The proof that it is still the same person."""

    password: Stored = Field(min_length=1, max_length=MAX_PASSWORD)
    code: Stored | None = Field(
        None,
        min_length=1,
        max_length=MAX_CODE,
        description="Of the authenticator app, or a recovery code; needed by accounts with a second factor",
    )


class Session(BaseModel):
    """A login that has not ended."""

    id: int
    username: str
    created_at: datetime
    last_seen_at: datetime = Field(description="Kept to the minute")
    expires_at: datetime = Field(description="When it ends unless it is used")
    address: str = Field(description="Where it was opened from")
    user_agent: str
    current: bool = Field(description="Whether this request belongs to it")


class SessionList(BaseModel):
    """Sessions, those used last first."""

    items: list[Session]


class EndedSessions(BaseModel):
    """How many sessions were ended."""

    ended: int


class LoginState(BaseModel):
    """What a page needs before a login."""

    user: User | None = Field(description="Who is logged in")
    https_only: bool = Field(
        description="Whether the session needs HTTPS: browsers drop its cookie elsewhere"
    )
    public_url: str = Field(description="`PUBLIC_URL`; empty when it is not set")
