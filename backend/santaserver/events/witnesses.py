"""Which Macs say what about who signed a program: counted in memory until it is stored. No I/O.

Nearly everything that Macs say is known already, and costs one look at the program's entry in the cache.
A Mac's first word about a program waits here, and is written with those of other Macs (`claims.py`).
What waits is lost in a crash, and is said again with the Mac's next event of that program.
"""

import asyncio
import hashlib
import sys
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
MAX_WAITING = 4 * 2**20
"""Bytes of words that wait; one that finds no room comes again."""
MANY = 1000
"""Words that are worth a statement at once."""
WORD_SIZE = 700
"""Bytes of a word and what holds it, without its texts of any length."""


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

    @property
    def size(self) -> int:
        """Bytes of memory."""
        return WORD_SIZE + sys.getsizeof(self.signing_id)


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

    def __init__(self) -> None:
        """Begin with none."""
        self._words: dict[tuple[int, int], Word] = {}
        self._saying: Counter[tuple[int, int]] = Counter()
        self._size = 0
        self.some = asyncio.Event()
        """Set while words wait."""
        self.many = asyncio.Event()
        """Set while there are enough of them."""

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
        if self._size + word.size > MAX_WAITING:
            return False
        self._words[key] = word
        self._saying[word.program, word.mark] += 1
        self._size += word.size
        self.some.set()
        if len(self._words) >= MANY:
            self.many.set()
        return True

    def take(self) -> list[Word]:
        """Return some of the words that wait, the oldest first; they wait no more."""
        words = [self._words.pop(key) for key in list(self._words)[:MANY]]
        if not self._words:
            self._saying.clear()
            self._size = 0
            self.some.clear()
        else:
            self._size -= sum(word.size for word in words)
            self._saying -= Counter((word.program, word.mark) for word in words)
        if len(self._words) < MANY:
            self.many.clear()
        return words

    def put_back(self, words: Iterable[Word]) -> None:
        """Let words wait again that could not be stored."""
        for word in words:
            self.add(word)
