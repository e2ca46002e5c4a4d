"""Unusual reports are counted in few kinds, shown in /metrics, and kept in few rows."""

import re
from typing import Any

import httpx
import pytest

from santaserver.events import batch, oddities
from santaserver.events.oddities import Oddity
from santaserver.events.plausible import MAX_NAME, MAX_TEXT
from tests.support.event_counts import by_hour, by_program
from tests.support.postgres import value
from tests.support.santa_client import SimulatedMac
from tests.support.server import RunningServer

SHA = "c" * 64
GOOD: dict[str, Any] = {"file_sha256": SHA, "execution_time": 1_763_900_000.5, "decision": "ALLOW_BINARY"}


def numbers(server: RunningServer) -> dict[str, int]:
    """Return the counts of this kind, as they are scraped."""
    text = httpx.get(f"{server.url}/metrics").text
    return {
        kind: int(number)
        for kind, number in re.findall(
            r'^santa_backend_report_oddities_total{kind="(\w+)"} (\d+)$', text, re.MULTILINE
        )
    }


def added(server: RunningServer, mac: SimulatedMac, body: dict[str, Any]) -> dict[str, int]:
    """Upload, and return which counts went up by how much."""
    before = numbers(server)
    mac.post("eventupload", body)
    return {kind: number - before[kind] for kind, number in numbers(server).items() if number != before[kind]}


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        ({}, {}),
        ({"file_sha256": "no hash"}, {"event_unusable": 1}),
        ({"decision": "BLOCK_MAYBE"}, {"word_unknown": 1}),
        ({"decision": 99}, {"word_unknown": 1}),
        ({"execution_time": 1.0}, {"time_implausible": 1}),
        ({"execution_time": 1e12}, {"time_implausible": 1}),
        ({"team_id": "nobody", "cdhash": "xyz"}, {"identifier_malformed": 2}),
        ({"file_bundle_hash": "../../etc"}, {"identifier_malformed": 1}),
        ({"file_name": "x" * (MAX_NAME + 1), "file_path": "y" * (MAX_TEXT + 1)}, {"text_clipped": 2}),
        ({"signing_chain": [{"sha256": f"{n:064x}"} for n in range(65)]}, {"list_clipped": 1}),
    ],
)
def test_what_is_odd_is_counted_by_kind(
    server: RunningServer, mac: SimulatedMac, event: dict[str, Any], expected: dict[str, int]
) -> None:
    mac.sync()
    assert added(server, mac, {"events": [{**GOOD, **event}]}) == expected


def test_events_of_other_kinds_are_counted(server: RunningServer, mac: SimulatedMac) -> None:
    mac.sync()
    body = {"events": [GOOD], "usb_mount_events": [{}, {}], "network_flow_events": [{}]}
    assert added(server, mac, body) == {"event_unsupported": 3}


def test_distinct_words_for_decisions_make_few_rows(server: RunningServer, mac: SimulatedMac) -> None:
    mac.sync()
    words = 50_000
    before = numbers(server)
    for start in range(0, words, batch.MAX_EVENTS):
        events = [
            {"file_sha256": SHA, "execution_time": 1_763_900_000 + number, "decision": f"{prefix}_{number}"}
            for number in range(start, start + batch.MAX_EVENTS)
            for prefix in (("BLOCK", "ALLOW", "EVIL")[number % 3],)
        ]
        mac.post("eventupload", {"events": events})
    assert value(server.dsn, "select count(*) from event") == words
    assert {row["decision"] for row in by_hour(server.dsn)} == {"ALLOW_OTHER", "BLOCK_OTHER", "OTHER"}
    assert len(by_program(server.dsn)) <= 2 * 3
    assert numbers(server)["word_unknown"] - before["word_unknown"] == words
    assert set(numbers(server)) == {kind.value for kind in Oddity}


def test_texts_are_cut_at_their_limit_and_not_before() -> None:
    before = oddities.counted()[Oddity.TEXT_CLIPPED]
    assert oddities.cut([], 3) == []
    assert oddities.cut(["abc", ""], 3) == ["abc", ""]
    assert oddities.counted()[Oddity.TEXT_CLIPPED] == before
    assert oddities.cut(["abcd", "é" * 4, "abc"], 3) == ["abc", "é" * 3, "abc"]
    assert oddities.counted()[Oddity.TEXT_CLIPPED] == before + 2


def test_caches_are_shown_with_their_sizes(server: RunningServer, mac: SimulatedMac) -> None:
    mac.sync()
    mac.post("eventupload", {"events": [GOOD]})
    response = httpx.get(f"{server.url}/metrics")
    assert response.headers["content-type"].startswith("text/plain; version=0.0.4")
    sizes = dict(re.findall(r'^santa_backend_cache_bytes{cache="(\w+)"} (\d+)$', response.text, re.MULTILINE))
    assert int(sizes["programs"]) > 0
    assert sum(map(int, sizes.values())) == server.app.state.santa.memory.used
    assert f"santa_backend_cache_limit_bytes {64 * 2**20}\n" in response.text
    assert 'santa_backend_cache_evictions_total{cache="sessions"} 0\n' in response.text
