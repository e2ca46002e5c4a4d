"""What a process knows of the others that tell it news: the number of each one's last notification. Pure."""

from dataclasses import dataclass

SILENCE = 30.0
"""Seconds without a word after which a process is gone, and with it what it had not passed on."""


@dataclass(slots=True)
class Sender:
    """Another process."""

    number: int
    heard_at: float


class Senders:
    """Notices what is repeated, what is missing, and who left without a goodbye."""

    def __init__(self) -> None:
        """Know nobody."""
        self._known: dict[str, Sender] = {}

    def hear(self, origin: str, number: int, now: float) -> tuple[bool, bool]:
        """Return whether a notification is new, and whether one before it is missing."""
        sender = self._known.get(origin)
        if sender is None:
            self._known[origin] = Sender(number, now)
            return True, False
        sender.heard_at = now
        if number <= sender.number:
            return False, False
        missing = number != sender.number + 1
        sender.number = number
        return True, missing

    def goodbye(self, origin: str) -> None:
        """Forget a process that has told everything."""
        self._known.pop(origin, None)

    def gone(self, now: float) -> list[str]:
        """Return who has been silent for too long, and forget them."""
        gone = [origin for origin, sender in self._known.items() if sender.heard_at < now - SILENCE]
        for origin in gone:
            del self._known[origin]
        return gone

    def forget(self) -> None:
        """Begin again: after a break, nobody knows what was missed."""
        self._known.clear()
