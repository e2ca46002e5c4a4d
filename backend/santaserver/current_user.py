"""Who makes a request."""

from typing import Literal

from pydantic import BaseModel, Field

Role = Literal["admin", "user"]


class User(BaseModel):
    """Somebody who is logged in."""

    id: int
    username: str
    display_name: str
    role: Role = Field(description="`admin` may change rules and settings, `user` may look")
