"""What a socket hears whose user has a role for some tags only: that something changed, but not what.

Its pages then read their lists again, which contain only what is in scope. Filtering each message instead
would need the tags of each Mac at the moment of each message.
"""

EVERY = 5.0
"""Seconds between two such messages at least."""


class Narrowed:
    """Remembers whether there was news since the last message. Pure: time is passed in."""

    def __init__(self) -> None:
        """Begin with nothing heard and nothing said."""
        self._news = False
        self._said_at = float("-inf")

    def heard(self) -> None:
        """Note that there is news."""
        self._news = True

    def due(self, now: float) -> bool:
        """Tell whether it is time to say so."""
        if not self._news or now - self._said_at < EVERY:
            return False
        self._news, self._said_at = False, now
        return True
