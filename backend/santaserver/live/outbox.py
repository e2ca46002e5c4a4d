"""What a request wants to tell open browsers, kept until its transaction has committed."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

Message = dict[str, Any]
"""A JSON object with at least `type` and `at`; see live/messages.py."""

Publish = Callable[[Sequence[Message]], None]


@dataclass
class Outbox:
    """Messages of one request, in order."""

    messages: list[Message] = field(default_factory=list)

    def add(self, message: Message) -> None:
        """Tell this after the commit."""
        self.messages.append(message)


def discard(_: Sequence[Message]) -> None:
    """Publish nowhere: for work outside a serving process."""
