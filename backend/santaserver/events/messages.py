"""Live messages about events."""

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, Field

from santaserver.events.schemas import Event


class EventSeen(BaseModel):
    """An execution that was blocked or that no rule allowed, or how many others machines uploaded.

    In a burst only the latest ones are sent in full; the number of the others is always included.
    """

    type: Literal["event"] = "event"
    at: datetime
    machine_id: str = Field(description="Empty for a number of events of all machines")
    hostname: str
    event: Event | None = None
    count: int = 1
    decisions: dict[str, int] = Field({}, description="The number by decision; empty beside an event in full")
    number: int | None = Field(
        None, description="Of this message in its process: what is told again has the same"
    )
