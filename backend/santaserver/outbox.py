"""The live messages of a request, kept until its transaction has committed."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, Field

Message = dict[str, Any]
"""A JSON object with at least `type` and `at`; `openapi.LiveMessage` has them all."""

Publish = Callable[[Sequence[Message]], None]


class Lagged(BaseModel):
    """What open pages show may be out of date: messages were lost, or too much changed at once."""

    type: Literal["lagged"] = "lagged"
    at: datetime
    lost: int | None = Field(
        None, description="How many messages this socket did not get; null when nobody knows"
    )


def message(content: BaseModel) -> Message:
    """Turn a message into the plain JSON object that is queued and sent."""
    plain: dict[str, Any] = content.model_dump(mode="json")
    return plain


def changed_in_bulk(at: datetime, lost: int | None = None) -> Message:
    """Return the message for a bulk change, after which open pages have to reload."""
    return message(Lagged(at=at, lost=lost))


@dataclass
class Outbox:
    """Messages of one request, in order."""

    messages: list[Message] = field(default_factory=list)

    def add(self, message: Message) -> None:
        """Send this after the commit."""
        self.messages.append(message)


def discard(_: Sequence[Message]) -> None:
    """Publish nowhere: for work outside a serving process."""
