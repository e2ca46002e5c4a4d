"""Claims wait in memory within bounds, in an order that is fair to all Macs; what is known does not wait."""

import json
from collections import Counter
from datetime import UTC, datetime
from random import Random

import pytest

from santaserver.cache import CacheMemory
from santaserver.events.catalog import ProgramCache
from santaserver.events.claims import collect_claims
from santaserver.events.parse import ExecutionRow, parse_upload
from santaserver.events.pending_claims import (
    BATCH,
    MACS,
    MAX_MACS,
    MEMORY,
    Claim,
    KnownProgram,
    PendingClaims,
    claim_key,
    claim_of,
)

NOW = datetime(2026, 1, 2, tzinfo=UTC)
SHA = "c" * 64


def report(
    signing_id: str = "EQHXZ8M8AV:tool", sha256: str = SHA, cdhash: str = "d" * 40, **more: object
) -> ExecutionRow:
    event = {
        "file_sha256": sha256,
        "team_id": "EQHXZ8M8AV",
        "signing_id": signing_id,
        "cdhash": cdhash,
        "signing_chain": [{"sha256": f"{number:064x}", "cn": "Someone", "org": "Org"} for number in range(3)],
        **more,
    }
    return parse_upload(json.dumps({"events": [event]}).encode(), "M", NOW).executions[0]


class Worker:
    """What a worker remembers, and what reaches it."""

    def __init__(self) -> None:
        self.programs = ProgramCache(CacheMemory())
        self.pending = self.programs.pending
        self.programs.known.put(SHA, KnownProgram(1, NOW))

    def collect(self, machine: int, row: ExecutionRow) -> None:
        known = self.programs.known
        program = known.get(row.sha256) or known.put(row.sha256, KnownProgram(int(row.sha256, 16), NOW))
        collect_claims(self.programs, [(row, program)], f"M{machine}", machine)

    def invent(self, machine: int, number: int, first: int = 0) -> None:
        """Report this many invented programs."""
        for one in range(first, first + number):
            self.collect(machine, report(sha256=f"{(machine + 1) * 2**64 + one:064x}"))

    def writes_until(self, machine: int, number: int) -> int:
        """Count the writes until so many claims of a Mac are stored."""
        writes = found = 0
        while found < number:
            batch = self.pending.take()
            assert batch, f"only {found} claims of this Mac waited"
            assert len(batch) <= BATCH
            found += sum(claim.machine == machine for claim in batch)
            writes += 1
        return writes

    def check_memory(self) -> None:
        assert self.pending.size <= MEMORY
        waiting = [claim for claim in self.all() if claim.reporter not in self.known(claim).reporters]
        assert not waiting

    def all(self) -> list[Claim]:
        claims = self.pending.take(10**9)
        self.pending.put_back(claims)
        return claims

    def known(self, claim: Claim) -> KnownProgram:
        known = self.programs.known.get(claim.sha256)
        assert known is not None
        return known


HOSTILE, HONEST = 0, 1000


def test_a_mac_makes_one_claim_about_a_program() -> None:
    here = Worker()
    for name in ("EQHXZ8M8AV:tool", "EQHXZ8M8AV:other", "EQHXZ8M8AV:tool"):
        here.collect(1, report(name))
    here.collect(2, report("EQHXZ8M8AV:other"))
    assert [(claim.machine, claim.signing_id) for claim in here.pending.take()] == [
        (1, "EQHXZ8M8AV:tool"),
        (2, "EQHXZ8M8AV:other"),
    ]
    here.collect(1, report())
    assert here.pending.take() == []


def test_no_more_macs_wait_than_are_stored_for_a_claim() -> None:
    here = Worker()
    for machine in range(MAX_MACS + 10):
        here.collect(machine, report())
    assert len(here.pending.take()) == MAX_MACS
    known = here.programs.known.get(SHA)
    assert known is not None
    assert known.settled == (claim_key(report().event),)
    here.collect(1000, report())
    assert not here.pending.some.is_set()
    here.collect(1001, report("EQHXZ8M8AV:other"))
    assert [claim.machine for claim in here.pending.take()] == [1001]


def test_how_an_identifier_is_written_makes_no_other_claim() -> None:
    here = Worker()
    for machine in range(MAX_MACS + 1):
        here.collect(machine, report())
    here.pending.take()
    here.collect(100, report(cdhash="D" * 40))
    assert not here.pending.some.is_set()


def test_ten_thousand_invented_programs_do_not_delay_others() -> None:
    here = Worker()
    here.invent(HOSTILE, 10_000)
    assert len(here.pending) < 10_000
    here.invent(HONEST, 20)
    here.check_memory()
    assert here.writes_until(HONEST, 20) == 1


def test_ten_macs_that_invent_programs_delay_others_by_their_turns_only() -> None:
    here = Worker()
    for machine in range(10):
        here.invent(machine, 300)
    here.invent(HONEST, 20)
    here.check_memory()
    assert here.writes_until(HONEST, 20) == -(-20 * 11 // BATCH)


def test_a_new_mac_gets_room_when_others_have_taken_all() -> None:
    here = Worker()
    for machine in range(MACS + 5):
        here.invent(machine, 300)
    here.invent(HONEST, 10)
    here.check_memory()
    assert sum(claim.machine == HONEST for claim in here.all()) == 10
    waiting = {claim.sha256 for claim in here.all()}
    dropped = [f"{one:064x}" for one in range(2**64, 2**64 + 300) if f"{one:064x}" not in waiting]
    assert dropped
    assert not any(known.reporters for sha in dropped if (known := here.programs.known.get(sha)))


@pytest.mark.parametrize("seed", range(5))
def test_the_mac_with_the_most_gives_way(seed: int) -> None:
    here = Worker()
    random = Random(seed)
    gave: list[Claim] = []
    pending = here.pending = PendingClaims(gave.append, memory=200_000)
    sizes: Counter[int] = Counter()
    for number in range(3_000):
        machine = random.randrange(1 + number // 40)
        claim = claim_of(report(sha256=f"{number:064x}"), number, machine, machine, number)
        before = len(gave)
        if pending.add(claim):
            for dropped in gave[before:]:
                assert sizes[dropped.machine] == max(sizes.values())
                sizes[dropped.machine] -= dropped.size
            sizes[machine] += claim.size
        if random.random() < 0.02:
            for taken in pending.take(random.randrange(1, 10)):
                sizes[taken.machine] -= taken.size
    assert len(gave) > 100
    assert pending.size == sizes.total() <= 200_000


@pytest.mark.parametrize("rate", [BATCH, 10 * BATCH])
def test_a_mac_that_goes_on_inventing_delays_nobody(rate: int) -> None:
    here = Worker()
    for turn in range(30):
        here.invent(HOSTILE, rate, first=turn * rate)
        here.collect(HONEST + turn, report(sha256=f"{turn + 2:064x}"))
        assert any(claim.machine == HONEST + turn for claim in here.pending.take())
    here.check_memory()


@pytest.mark.parametrize("letter", ["x", "\N{GRINNING FACE}"])
def test_long_texts_take_no_more_memory(letter: str) -> None:
    here = Worker()
    chain = [
        {"sha256": f"{one:064x}", "cn": letter * 600, "org": letter * 600, "ou": letter} for one in range(12)
    ]
    for machine in range(40):
        for one in range(4):
            sha256 = f"{machine * 100 + one + 2:064x}"
            here.collect(machine, report(sha256=sha256, signing_chain=chain, file_bundle_name=letter * 600))
    here.check_memory()
    here.invent(HONEST, 3)
    assert here.writes_until(HONEST, 3) <= 3


def test_claims_that_were_dropped_are_accepted_again() -> None:
    here = Worker()
    here.invent(HOSTILE, 1000)
    first = len(here.pending)
    while here.pending.take():
        pass
    here.invent(HOSTILE, 1000)
    assert len(here.pending) == min(first, 1000 - first)


def test_no_claim_is_lost_when_it_cannot_be_stored() -> None:
    here = Worker()
    here.invent(HOSTILE, 1000)
    waited = {claim.sha256 for claim in here.all()}
    claims = here.pending.take()
    here.invent(HOSTILE, 1000)
    here.pending.put_back(claims)
    assert {claim.sha256 for claim in here.all()} >= waited
    here.collect(HONEST, report())
    assert any(claim.machine == HONEST for claim in here.pending.take())


def test_nothing_is_left_when_all_is_taken() -> None:
    here = Worker()
    for machine in range(30):
        here.invent(machine, 30)
    while here.pending.take():
        pass
    assert (len(here.pending), here.pending.size, here.pending.some.is_set()) == (0, 0, False)
