"""What the live channel says. The types are published in openapi.json for the console's client."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, RootModel

from santaserver.events.schemas import Event
from santaserver.live.outbox import Message
from santaserver.rules.schemas import Rule


class Hello(BaseModel):
    """The first message on every socket."""

    type: Literal["hello"] = "hello"
    at: datetime


class Lagged(BaseModel):
    """Messages were lost on the way to this socket: load again what is shown."""

    type: Literal["lagged"] = "lagged"
    at: datetime


MachineChange = Literal["enrolled", "clean_sync_ordered", "monitor_mode_started", "monitor_mode_ended"]


class MachineChanged(BaseModel):
    """A machine was enrolled or got an order."""

    type: Literal["machine"] = "machine"
    at: datetime
    machine_id: str
    hostname: str
    change: MachineChange


class SyncProgress(BaseModel):
    """A machine began a sync (preflight) or finished one (postflight)."""

    type: Literal["sync"] = "sync"
    at: datetime
    machine_id: str
    hostname: str
    stage: Literal["preflight", "postflight"]
    kind: Literal["normal", "clean", "clean_all"]


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


class RuleChanged(BaseModel):
    """A rule was made, changed or removed; `rule` is its last state."""

    type: Literal["rule"] = "rule"
    at: datetime
    action: Literal["created", "changed", "removed"]
    rule: Rule


class LiveMessage(
    RootModel[
        Annotated[
            Hello | Lagged | MachineChanged | SyncProgress | EventSeen | RuleChanged,
            Field(discriminator="type"),
        ]
    ]
):
    """One text frame of the live channel."""


def message(content: BaseModel) -> Message:
    """Turn a message into the plain JSON object that is queued and sent."""
    plain: dict[str, Any] = content.model_dump(mode="json")
    return plain
