"""What open browsers are told about events."""

from datetime import datetime
from typing import Literal

from pydantic import BaseModel

from santaserver.events.schemas import Event


class EventSeen(BaseModel):
    """An execution that was blocked or that no rule allowed, or how many others a machine uploaded.

    In a burst only the first ones come in full; the number of the rest is never left out.
    """

    type: Literal["event"] = "event"
    at: datetime
    machine_id: str
    hostname: str
    event: Event | None = None
    count: int = 1
