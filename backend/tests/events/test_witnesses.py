"""What Macs say waits in memory within bounds, and what is known already is not kept."""

import json
from datetime import UTC, datetime

from santaserver.events.claims import hear
from santaserver.events.parse import ExecutionRow, parse_upload
from santaserver.events.witnesses import MAX_WITNESSES, ROOM, KnownProgram, Witnesses, mark_of

NOW = datetime(2026, 1, 2, tzinfo=UTC)
SHA = "c" * 64


def report(signing_id: str = "EQHXZ8M8AV:tool", sha256: str = SHA, cdhash: str = "d" * 40) -> ExecutionRow:
    event = {"file_sha256": sha256, "team_id": "EQHXZ8M8AV", "signing_id": signing_id, "cdhash": cdhash}
    return parse_upload(json.dumps({"events": [event]}).encode(), "M", NOW).executions[0]


class Known(dict[str, KnownProgram]):
    """The cache of programs, without its bounds."""

    def put(self, key: str, value: KnownProgram) -> KnownProgram:
        self[key] = value
        return value


class Worker:
    """What a worker remembers, and what reaches it."""

    def __init__(self) -> None:
        self.known = Known({SHA: KnownProgram(1, NOW)})
        self.witnesses = Witnesses()

    def hear(self, machine: int, row: ExecutionRow) -> None:
        program = self.known.setdefault(row.sha256, KnownProgram(int(row.sha256, 16), NOW))
        hear(self.known, self.witnesses, [(row, program)], f"M{machine}", machine)


def test_a_mac_has_one_word_of_a_program() -> None:
    here = Worker()
    for name in ("EQHXZ8M8AV:tool", "EQHXZ8M8AV:other", "EQHXZ8M8AV:tool"):
        here.hear(1, report(name))
    here.hear(2, report("EQHXZ8M8AV:other"))
    assert [(word.machine, word.signing_id) for word in here.witnesses.take()] == [
        (1, "EQHXZ8M8AV:tool"),
        (2, "EQHXZ8M8AV:other"),
    ]
    here.hear(1, report())
    assert here.witnesses.take() == []


def test_no_more_macs_wait_than_are_kept_of_a_claim() -> None:
    here = Worker()
    for machine in range(MAX_WITNESSES + 10):
        here.hear(machine, report())
    assert len(here.witnesses.take()) == MAX_WITNESSES
    assert here.known[SHA].settled == (mark_of(report().event),)
    here.hear(1000, report())
    assert not here.witnesses.some.is_set()
    here.hear(1001, report("EQHXZ8M8AV:other"))
    assert [word.machine for word in here.witnesses.take()] == [1001]


def test_how_an_identifier_is_written_makes_no_other_claim() -> None:
    here = Worker()
    for machine in range(MAX_WITNESSES + 1):
        here.hear(machine, report())
    here.witnesses.take()
    here.hear(100, report(cdhash="D" * 40))
    assert not here.witnesses.some.is_set()


def test_what_waits_is_bounded_and_what_finds_no_room_comes_again() -> None:
    here = Worker()
    shas = [f"{number + 2:064x}" for number in range(ROOM + 10)]
    for sha in shas:
        here.hear(1, report(sha256=sha))
    assert len(here.witnesses) == ROOM
    assert here.known[shas[ROOM - 1]].heard
    assert not here.known[shas[ROOM]].heard
    words = here.witnesses.take()
    assert len(words) == ROOM
    assert not here.witnesses.some.is_set()
    for sha in shas:
        here.hear(1, report(sha256=sha))
    assert [word.sha256 for word in here.witnesses.take()] == shas[ROOM:]


def test_no_word_is_lost_when_it_cannot_be_stored() -> None:
    here = Worker()
    shas = [f"{number + 2:064x}" for number in range(2 * ROOM)]
    for sha in shas[:ROOM]:
        here.hear(1, report(sha256=sha))
    words = here.witnesses.take()
    for sha in shas[ROOM:]:
        here.hear(1, report(sha256=sha))
    here.witnesses.put_back(words)
    assert here.witnesses.full
    assert {word.sha256 for word in here.witnesses.take()} == set(shas)
