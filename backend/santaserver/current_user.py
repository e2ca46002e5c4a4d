"""Who makes a request."""

from typing import Literal

from pydantic import BaseModel, Field

from santaserver.audit import Actor

Role = Literal["admin", "user"]


class User(BaseModel):
    """Somebody who is logged in."""

    id: int
    username: str
    display_name: str
    role: Role = Field(description="`admin` may change rules and settings, `user` may look")

    @property
    def actor(self) -> Actor:
        """The user as whoever made a change."""
        return Actor(self.username, self.id)
