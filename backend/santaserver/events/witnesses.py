"""Which Macs say what about who signed a program: counted in memory until it is stored. No I/O.

Nearly everything that Macs say is known already, and costs one look at the program's entry in the cache.
A Mac's first word about a program waits here, and is written with those of other Macs (`claims.py`).
What waits is lost in a crash, and is said again with the Mac's next event of that program; so is what
finds no room: a fleet that is new says more in a second than is worth writing down.
"""

import asyncio
import hashlib
from collections import Counter
from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple

from santaserver.events.parse import ExecutionRow
from santaserver.events.wire import Execution

MAX_WITNESSES = 20
"""Macs that are kept of a claim: with more of them it is no more certain."""
MAX_CLAIMS = 32
"""Different claims that are kept of a program."""
MAX_HEARD = 64
"""Macs, and settled claims, that a process remembers of a program."""
ROOM = 50
"""Words that wait at most, and are written at once."""


class KnownProgram(NamedTuple):
    """A program as a process remembers it. Programs are never deleted, so ids stay right."""

    id: int
    written_at: datetime
    settled: tuple[int, ...] = ()
    """Claims, by their mark, that need no further Mac."""
    heard: tuple[int, ...] = ()
    """Macs, by the hash of their id, whose word is stored or waits."""

    def heard_from(self, mac: int) -> "KnownProgram":
        """Return it with one Mac more that was heard."""
        return self._replace(heard=(*self.heard[1 - MAX_HEARD :], mac))

    def with_claim(self, mark: int, *, settled: bool) -> "KnownProgram":
        """Return it with a claim that is settled, or is not."""
        if (mark in self.settled) == settled:
            return self
        if settled:
            return self._replace(settled=(*self.settled[1 - MAX_HEARD :], mark), heard=())
        return self._replace(settled=tuple(other for other in self.settled if other != mark))


class Word(NamedTuple):
    """What one Mac says of one program."""

    program: int
    sha256: str
    machine: int
    mark: int
    team_id: str
    signing_id: str
    cdhash: str
    chain: tuple[str, ...]

    @property
    def digest(self) -> bytes:
        """What tells this claim from others; migration 0050 makes the same of what was stored before."""
        leaf = self.chain[0] if self.chain else ""
        text = f"{self.team_id}\n{self.signing_id}\n{self.cdhash}\n{leaf}"
        return hashlib.sha256(text.encode()).digest()[:16]


def mark_of(event: Execution) -> int:
    """Return what stands for a claim in this process: a hash whose key no Mac knows."""
    chain = event.signing_chain
    return hash((event.team_id, event.signing_id, event.cdhash, chain[0].sha256 if chain else ""))


def word_of(row: ExecutionRow, program: int, machine: int, mark: int) -> Word:
    """Return what a Mac says with an event."""
    event = row.event
    chain = tuple(cert.sha256 for cert in event.signing_chain)
    return Word(program, row.sha256, machine, mark, event.team_id, event.signing_id, event.cdhash, chain)


class Witnesses:
    """The words that wait to be stored."""

    def __init__(self, room: int = ROOM) -> None:
        """Begin with none, and let `room` of them wait."""
        self._room = room
        self._words: dict[tuple[int, int], Word] = {}
        self._saying: Counter[tuple[int, int]] = Counter()
        self.some = asyncio.Event()
        """Set while words wait."""

    @property
    def full(self) -> bool:
        """Whether no further word can wait."""
        return len(self._words) >= self._room

    def __len__(self) -> int:
        """Return how many words wait."""
        return len(self._words)

    def enough(self, program: int, mark: int) -> bool:
        """Tell whether as many Macs as are kept of a claim are among those that wait."""
        return self._saying.get((program, mark), 0) >= MAX_WITNESSES

    def add(self, word: Word) -> bool:
        """Let a word wait if there is room; tell whether it does."""
        key = (word.program, word.machine)
        if key in self._words:
            return True
        if self.full:
            return False
        self._put(word)
        return True

    def take(self) -> list[Word]:
        """Return the words that wait; they wait no more."""
        words = list(self._words.values())
        self._words.clear()
        self._saying.clear()
        self.some.clear()
        return words

    def put_back(self, words: Iterable[Word]) -> None:
        """Let words wait again that could not be stored, room or not: their Macs do not say them again."""
        for word in words:
            if (word.program, word.machine) not in self._words:
                self._put(word)

    def _put(self, word: Word) -> None:
        self._words[word.program, word.machine] = word
        self._saying[word.program, word.mark] += 1
        self.some.set()
