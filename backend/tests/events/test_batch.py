"""Parsing a body in one pass gives the same as parsing its events one by one."""

import json
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest

from santaserver.errors import Problem
from santaserver.events import batch
from santaserver.protocol.messages import camel_case

GOLDEN = Path(__file__).parents[1] / "golden" / "santa"
UPLOADS = sorted(GOLDEN.glob("eventupload*.json"))

ODD_EVENTS: list[Any] = [{}, None, 7, "x", [], {"unheard_of": 1}]
ODD_LISTS: list[Any] = [None, 7, {}, "x", [[]]]
ODD_VALUES: list[Any] = [None, "", 0, "7", -1, 2**40, 0.5, True, [], {}, "\0", "\ud83d"]


def careful(body: bytes, monkeypatch: pytest.MonkeyPatch) -> batch.Batch | Problem:
    with monkeypatch.context() as patched:
        patched.setattr(batch, "QUICK", -1)
        return read(body)


def read(body: bytes) -> batch.Batch | Problem:
    try:
        return batch.read_json(body)
    except Problem as problem:
        return problem


def variants(body: dict[str, Any]) -> list[dict[str, Any]]:
    """Return variants of a body that a client could send."""
    found = [body, {}, {camel_case(key): value for key, value in body.items()}]
    for kind, events in body.items():
        if not isinstance(events, list):
            continue
        found += [body | {kind: [*events, odd]} for odd in ODD_EVENTS]
        found += [body | {kind: odd} for odd in ODD_LISTS]
        for name in events[0] if events and isinstance(events[0], dict) else ():
            for value in ODD_VALUES:
                changed = [events[0] | {name: value}, *events[1:]]
                found.append(body | {kind: changed})
    return found


@pytest.mark.parametrize("path", UPLOADS, ids=lambda path: path.stem)
def test_one_pass_reads_what_the_careful_way_reads(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for body in variants(json.loads(path.read_text())):
        text = json.dumps(body).encode()
        quick, slow = read(text), careful(text, monkeypatch)
        if isinstance(slow, Problem):
            assert isinstance(quick, Problem)
            assert (quick.status, quick.detail) == (slow.status, slow.detail), text
        else:
            assert quick == slow, text


VERSION_1 = [path for path in UPLOADS if not path.stem.endswith("_v2")]
"""The other version has kinds of audits that are not known here."""


@pytest.mark.parametrize("path", VERSION_1, ids=lambda path: path.stem)
def test_what_clients_print_is_read_in_one_pass(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: object) -> None:
        raise AssertionError("a usual upload took the careful way")

    monkeypatch.setattr(batch, "_items", never)
    assert batch.read_json(path.read_bytes()) is not None


def test_too_many_events_are_refused_in_one_pass_too() -> None:
    body = json.dumps({"events": [{}] * (batch.MAX_EVENTS + 1)}).encode()
    assert len(body) < batch.QUICK
    problem = read(body)
    assert isinstance(problem, Problem)
    assert problem.status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE
