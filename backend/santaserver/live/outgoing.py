"""What one process has to tell the others, in as few notifications as fit. Pure."""

import json
from collections import Counter, deque
from collections.abc import Sequence

from santaserver.live.steps import LENGTH, mark_of
from santaserver.outbox import Message

MAX_PAYLOAD = 7_500
"""Bytes; PostgreSQL takes less than 8,000."""
MARKS = 7_000 // LENGTH
"""Steps of syncs in one message."""
MAX_STEPS = 50_000
MAX_MACHINES = 5_000
MAX_MESSAGES = 1_000


class Outgoing:
    """Collects until it is taken; what is too much becomes the hint that browsers should load again."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self._steps: list[str] = []
        self._counts: dict[str, tuple[Message, Counter[str]]] = {}
        """Events that are only counted, by machine."""
        self._messages: list[Message] = []
        self._overflow = False

    def __bool__(self) -> bool:
        """Tell whether there is something to tell."""
        return bool(self._overflow or self._steps or self._counts or self._messages)

    def add(self, messages: Sequence[Message]) -> None:
        """Add messages of this process."""
        for message in messages:
            if message["type"] == "sync":
                self._steps.append(mark_of(message))
            elif message["type"] == "event" and message["event"] is None:
                first = (message, Counter[str]())
                self._counts.setdefault(message["machine_id"], first)[1].update(message["decisions"])
            else:
                self._messages.append(message)
        if (
            len(self._steps) > MAX_STEPS
            or len(self._counts) > MAX_MACHINES
            or len(self._messages) > MAX_MESSAGES
        ):
            self._clear()
            self._overflow = True

    def take(self) -> list[Message] | None:
        """Return everything, and forget it; None for too much."""
        overflow = self._overflow
        taken = [] if overflow else self._full()
        self._clear()
        return None if overflow else taken

    def _full(self) -> list[Message]:
        pending = list(self._messages)
        for message, decisions in self._counts.values():
            pending.append({**message, "count": decisions.total(), "decisions": dict(decisions)})
        pending += (
            {"type": "steps", "marks": "".join(self._steps[at : at + MARKS])}
            for at in range(0, len(self._steps), MARKS)
        )
        return pending

    def _clear(self) -> None:
        self._steps, self._counts, self._messages = [], {}, []
        self._overflow = False


def payloads(messages: Sequence[Message] | None) -> list[str]:
    """Pack messages into lists that fit into one notification each; "null" when one is too long."""
    if messages is None:
        return ["null"]
    packed: list[str] = []
    room: list[str] = []
    size = len("[]")
    for message in messages:
        text = json.dumps(message, separators=(",", ":"))  # ASCII, so characters are bytes
        if len("[]") + len(text) > MAX_PAYLOAD:
            return ["null"]
        if room and size + len(text) > MAX_PAYLOAD:
            packed.append(f"[{','.join(room)}]")
            room, size = [], len("[]")
        room.append(text)
        size += len(text) + 1
    if room:
        packed.append(f"[{','.join(room)}]")
    return packed


class Letters:
    """Numbered notifications of this process that PostgreSQL has not yet confirmed, the oldest first."""

    MAX = 1_000

    def __init__(self, origin: str) -> None:
        """Begin with number 1."""
        self._origin = origin
        self._number = 0
        self._unsent: deque[str] = deque()

    @property
    def number(self) -> int:
        """Return the last number that was given out."""
        return self._number

    def write(self, contents: Sequence[str]) -> None:
        """Add notifications; when too many wait, others are told to load again instead."""
        if len(self._unsent) + len(contents) > self.MAX:
            self._unsent.clear()
            contents = ["null"]
        for content in contents:
            self._number += 1
            self._unsent.append(f'{{"from":"{self._origin}","n":{self._number},"messages":{content}}}')

    def unsent(self) -> list[str]:
        """Return what has to be sent, also what may have arrived although nobody said so."""
        return list(self._unsent)

    def sent(self, count: int) -> None:
        """Forget the oldest: PostgreSQL has them."""
        for _ in range(count):
            self._unsent.popleft()
