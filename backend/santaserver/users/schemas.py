"""What the login endpoints take and give."""

from typing import Literal

from pydantic import BaseModel, Field

Role = Literal["admin", "user"]


class Login(BaseModel):
    """A user name and its password."""

    username: str = Field(min_length=1, max_length=200)
    password: str = Field(min_length=1, max_length=1000)


class User(BaseModel):
    """Somebody who is logged in."""

    id: int
    username: str
    display_name: str
    role: Role = Field(description="`admin` may change rules and settings, `user` may look")
