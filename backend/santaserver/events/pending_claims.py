"""Claims: what Macs report about who signed a program, kept in memory until they are stored. No I/O.

Most claims are known already and cost one lookup of the program's cache entry. A Mac's first claim about a
program waits here and is written with those of other Macs (`claims.py`). Macs take turns and have equal
shares of the memory, so that a Mac that invents programs delays only itself. A crash loses the queued claims.
A Mac makes a lost or refused claim again with its next event of that program.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from heapq import heapify, heappop, heappush
from typing import NamedTuple

from santaserver import sizes
from santaserver.events.parse import ExecutionRow
from santaserver.events.plausible import MAX_CHAIN, MAX_NAME
from santaserver.events.wire import Certificate, Execution

MAX_MACS = 20
"""Macs that are stored for a claim: more of them do not make it more certain."""
MAX_CLAIMS = 32
"""Different claims that are stored for a program, a certificate or a bundle."""
MAX_REMEMBERED = 64
"""Macs, and settled claims, that a worker remembers for a program."""
MAX_COUNT = 2**31 - 1
BATCH = 50
"""Claims that are written at once."""
MEMORY = 2 * 2**20
"""Estimated bytes of all claims that wait: some 1,000 of the usual size."""
MACS = 16
"""Macs that can exhaust it."""


class KnownProgram(NamedTuple):
    """A program as a worker remembers it. Programs are never deleted, so ids stay right."""

    id: int
    written_at: datetime
    settled: tuple[int, ...] = ()
    """Claims, by their key, that need no further Mac."""
    reporters: tuple[int, ...] = ()
    """Macs, by the hash of their id, whose claim is stored or waits."""

    def reported_by(self, reporter: int) -> "KnownProgram":
        """Return it with one more Mac that made a claim."""
        return self._replace(reporters=(*self.reporters[1 - MAX_REMEMBERED :], reporter))

    def with_claim(self, key: int, *, settled: bool) -> "KnownProgram":
        """Return it with a claim that is settled, or is not."""
        if (key in self.settled) == settled:
            return self
        if settled:
            return self._replace(settled=(*self.settled[1 - MAX_REMEMBERED :], key), reporters=())
        return self._replace(settled=tuple(other for other in self.settled if other != key))

    def without(self, claim: "Claim") -> "KnownProgram":
        """Return it without a claim, which its Mac has to make again."""
        others = tuple(reporter for reporter in self.reporters if reporter != claim.reporter)
        return self._replace(reporters=others).with_claim(claim.key, settled=False)


class Claim(NamedTuple):
    """What one Mac claims about one program, the certificates of its signature, and its bundle."""

    program: int
    sha256: str
    machine: int
    reporter: int
    key: int
    team_id: str
    signing_id: str
    cdhash: str
    chain: tuple[Certificate, ...]
    bundle_hash: str
    bundle_id: str
    bundle_name: str
    bundle_version: str
    binary_count: int
    size: int
    """The bytes it takes in memory, as estimated."""


def claim_key(event: Execution) -> int:
    """Return what stands for a claim in this process: a hash whose seed no Mac knows."""
    chain = event.signing_chain
    return hash((event.team_id, event.signing_id, event.cdhash, chain[0].sha256 if chain else ""))


def claim_of(row: ExecutionRow, program: int, machine: int, reporter: int, key: int) -> Claim:
    """Return what a Mac claims with an event."""
    event = row.event
    chain = tuple(event.signing_chain[:MAX_CHAIN])
    bundle_id, bundle_name = event.file_bundle_id[:MAX_NAME], event.file_bundle_name[:MAX_NAME]
    bundle_version = (event.file_bundle_version_string or event.file_bundle_version)[:MAX_NAME]
    texts = [event.signing_id, bundle_id, bundle_name, bundle_version]
    for cert in chain:
        texts += (cert.cn, cert.org, cert.ou)
    return Claim(
        program=program,
        sha256=row.sha256,
        machine=machine,
        reporter=reporter,
        key=key,
        team_id=event.team_id,
        signing_id=event.signing_id,
        cdhash=event.cdhash,
        chain=chain,
        bundle_hash=event.file_bundle_hash,
        bundle_id=bundle_id,
        bundle_name=bundle_name,
        bundle_version=bundle_version,
        binary_count=min(event.file_bundle_binary_count, MAX_COUNT),
        size=sizes.ENTRY * (2 + len(chain)) + sum(map(sizes.text, texts)),
    )


class _Queue:
    """The claims of one Mac that wait, by program."""

    __slots__ = ("claims", "size")

    def __init__(self) -> None:
        self.claims: dict[int, Claim] = {}
        self.size = 0

    def put(self, claim: Claim) -> None:
        self.claims[claim.program] = claim
        self.size += claim.size

    def pop(self) -> Claim:
        """Take the oldest."""
        claim = self.claims.pop(next(iter(self.claims)))
        self.size -= claim.size
        return claim


class _LargestFirst:
    """Which Mac's queue is the largest, known without looking at all of them.

    A queue that grew or shrank is entered again; entries whose size is no longer true are skipped, and swept
    when they outnumber the others.
    """

    __slots__ = ("_entries", "_queues")

    def __init__(self, queues: Mapping[int, _Queue]) -> None:
        self._queues = queues
        self._entries: list[tuple[int, int]] = []

    def enter(self, machine: int) -> None:
        """Note the size of a Mac's queue, which has claims."""
        if len(self._entries) > 64 + 2 * len(self._queues):
            self._entries = [(-queue.size, mac) for mac, queue in self._queues.items()]
            heapify(self._entries)
        else:
            heappush(self._entries, (-self._queues[machine].size, machine))

    def machine(self) -> int:
        """Return the Mac with the largest queue; there is one at least."""
        while True:
            size, machine = self._entries[0]
            queue = self._queues.get(machine)
            if queue is not None and queue.size == -size:
                return machine
            heappop(self._entries)


class PendingClaims:
    """The claims that wait to be stored: a queue for each Mac, served in turn."""

    def __init__(self, on_drop: Callable[[Claim], None], memory: int = MEMORY) -> None:
        """Begin with none; `on_drop` gets each claim that has to make room for another Mac's."""
        self._on_drop = on_drop
        self._memory = memory
        self._size = 0
        self._queues: dict[int, _Queue] = {}
        self._largest = _LargestFirst(self._queues)
        self._macs: Counter[tuple[int, int]] = Counter()
        """Macs that wait with a claim, by program and key."""
        self.some = asyncio.Event()
        """Set while claims wait."""

    def __len__(self) -> int:
        """Return how many claims wait."""
        return self._macs.total()

    @property
    def size(self) -> int:
        """Return the bytes that they take, as estimated."""
        return self._size

    def enough(self, program: int, key: int) -> bool:
        """Tell whether as many Macs wait with a claim as are stored for it."""
        return self._macs.get((program, key), 0) >= MAX_MACS

    def accepts(self, machine: int) -> bool:
        """Tell whether a Mac's share of the memory is not exhausted."""
        queue = self._queues.get(machine)
        return queue is None or self._fits(queue.size, machine)

    def add(self, claim: Claim) -> bool:
        """Queue a claim if its Mac's share allows it; return whether it does."""
        queue = self._queues.get(claim.machine)
        if queue is not None and claim.program in queue.claims:
            return True
        if not self._fits(claim.size + (queue.size if queue else 0), claim.machine, claim.size):
            return False
        while self._size + claim.size > self._memory:
            self._drop_one()
        self._put(claim)
        return True

    def take(self, number: int = BATCH) -> list[Claim]:
        """Remove and return some claims, one of each Mac in turn, the oldest first."""
        taken: list[Claim] = []
        while self._queues and len(taken) < number:
            machine = next(iter(self._queues))
            queue = self._queues.pop(machine)
            taken.append(self._pop(queue))
            if queue.claims:
                self._queues[machine] = queue  # after the other Macs
                self._largest.enter(machine)
        if not self._queues:
            self.some.clear()
        return taken

    def put_back(self, claims: Iterable[Claim]) -> None:
        """Queue claims again that could not be stored, if necessary beyond the limit by one batch."""
        for claim in claims:
            queue = self._queues.get(claim.machine)
            if queue is None or claim.program not in queue.claims:
                self._put(claim)

    def _fits(self, size: int, machine: int, more: int = 0) -> bool:
        """Tell whether a Mac may take `size`: with all memory taken, only what is its equal share."""
        if size > self._memory // MACS:
            return False
        macs = len(self._queues) + (machine not in self._queues)
        return self._size + more <= self._memory or size <= self._memory // macs

    def _drop_one(self) -> None:
        machine = self._largest.machine()
        queue = self._queues[machine]
        claim = self._pop(queue)
        if queue.claims:
            self._largest.enter(machine)
        else:
            del self._queues[machine]
        self._on_drop(claim)

    def _put(self, claim: Claim) -> None:
        queue = self._queues.get(claim.machine)
        if queue is None:
            queue = self._queues[claim.machine] = _Queue()
        queue.put(claim)
        self._largest.enter(claim.machine)
        self._size += claim.size
        self._macs[claim.program, claim.key] += 1
        self.some.set()

    def _pop(self, queue: _Queue) -> Claim:
        claim = queue.pop()
        self._size -= claim.size
        key = (claim.program, claim.key)
        self._macs[key] -= 1
        if not self._macs[key]:
            del self._macs[key]
        return claim
