"""The user of a request."""

from typing import Literal

from pydantic import BaseModel, Field

from santaserver.audit import Actor

Role = Literal["admin", "user"]


class User(BaseModel):
    """A logged-in user."""

    id: int
    username: str
    display_name: str
    role: Role = Field(description="`admin` may change rules and settings, `user` may look")

    @property
    def actor(self) -> Actor:
        """The user as the actor of an audit entry."""
        return Actor(self.username, self.id)
