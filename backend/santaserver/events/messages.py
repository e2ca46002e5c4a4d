"""Live messages about events."""

from datetime import datetime
from typing import Literal

from pydantic import BaseModel

from santaserver.events.schemas import Event


class EventSeen(BaseModel):
    """An execution that was blocked or that no rule allowed, or how many others a machine uploaded.

    In a burst only the latest ones are sent in full; the number of the others is always included.
    """

    type: Literal["event"] = "event"
    at: datetime
    machine_id: str
    hostname: str
    event: Event | None = None
    count: int = 1
