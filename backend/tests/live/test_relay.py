"""News between processes: nothing is lost without a word, whatever happens to the connections."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest

from santaserver.live.messages import sync_progress
from santaserver.live.outgoing import MAX_MACHINES, MAX_MESSAGES, MAX_PAYLOAD, Letters, Outgoing, payloads
from santaserver.live.senders import SILENCE, Senders
from santaserver.live.steps import checksum, marks, step_of
from tests.conftest import ADMIN
from tests.live.sockets import WAIT, listen, receive, socket, watch
from tests.live.test_bus import AT, seen
from tests.support.postgres import execute, value
from tests.support.santa_client import SimulatedMac
from tests.support.server import RunningServer


def test_notifications_fit_into_postgresqls_limit() -> None:
    messages = [{"type": "rule", "at": "x" * 500, "n": number} for number in range(100)]
    packed = payloads(messages)
    letters = Letters("0123456789abcdef")
    letters.write(packed)
    assert max(len(letter.encode()) for letter in letters.unsent()) < 8_000
    assert [message for payload in packed for message in json.loads(payload)] == messages
    assert payloads([{"type": "event", "text": "ü" * MAX_PAYLOAD}]) == ["null"]


def test_steps_of_syncs_travel_as_nine_characters() -> None:
    outgoing = Outgoing()
    steps = [
        sync_progress(AT, f"M{n}", "host", stage, kind, changed=changed, refused=refused)
        for n in range(100)
        for stage in ("preflight", "postflight")
        for kind in ("normal", "clean", "clean_all")
        for changed in (False, True)
        for refused in (False, True)
    ]
    outgoing.add(steps)
    taken = outgoing.take()
    assert taken is not None
    assert not outgoing
    read = [mark for message in taken for mark in marks(message["marks"])]
    assert [(mark[:-1], step_of(mark[-1])) for mark in read] == [
        (checksum(step["machine_id"]), (step["stage"], step["kind"], step["changed"], step["refused"]))
        for step in steps
    ]
    assert sum(len(text) for text in payloads(taken)) < 10 * len(steps)


def test_numbers_of_one_machines_events_become_one_and_too_much_is_said() -> None:
    outgoing = Outgoing()
    outgoing.add([seen("A", "ALLOW_TEAMID", 2), seen("B", count=1), seen("A", count=3)])
    taken = outgoing.take()
    assert taken is not None
    assert [(m["machine_id"], m["count"], m["decisions"]) for m in taken] == [
        ("A", 5, {"ALLOW_TEAMID": 2, "BLOCK_UNKNOWN": 3}),
        ("B", 1, {"BLOCK_UNKNOWN": 1}),
    ]
    outgoing.add([{"type": "rule"}] * (MAX_MESSAGES + 1))
    assert outgoing.take() is None
    outgoing.add([seen(str(number), count=1) for number in range(MAX_MACHINES + 1)])
    assert outgoing.take() is None
    assert outgoing.take() == []


def test_what_was_not_confirmed_is_sent_again_and_heard_once() -> None:
    letters, senders = Letters("o"), Senders()
    letters.write(["[1]", "[2]"])
    first = letters.unsent()
    letters.write(["[3]"])
    again = letters.unsent()
    assert again[:2] == first
    heard = [json.loads(text) for text in (*first, *again)]
    results = [senders.hear("o", letter["n"], 0.0) for letter in heard]
    assert [letter["messages"] for letter, (new, _) in zip(heard, results, strict=True) if new] == [
        [1],
        [2],
        [3],
    ]
    assert not any(missing for _, missing in results)
    letters.sent(3)
    assert letters.unsent() == []


def test_gaps_and_silence_are_noticed() -> None:
    senders = Senders()
    assert senders.hear("a", 7, 0.0) == (True, False), "nobody knows what was before"
    assert senders.hear("a", 9, 1.0) == (True, True)
    assert senders.hear("b", 1, SILENCE) == (True, False)
    assert senders.gone(SILENCE + 1.5) == ["a"]
    assert senders.gone(SILENCE + 1.5) == []
    senders.goodbye("b")
    assert senders.gone(10 * SILENCE) == []


def test_too_many_unsent_notifications_become_one_that_is_noticed() -> None:
    letters, senders = Letters("o"), Senders()
    letters.write(["[]"])
    senders.hear("o", 1, 0.0)
    letters.write(["[]"] * Letters.MAX)
    (only,) = letters.unsent()
    assert json.loads(only)["messages"] is None


@contextmanager
def signed_in(server: RunningServer) -> Iterator[httpx.Client]:
    with server.client() as client:
        login = client.post("/api/v1/auth/login", json={"username": ADMIN[0], "password": ADMIN[1]})
        assert login.status_code == httpx.codes.OK
        yield client


def test_news_reaches_the_browsers_of_other_processes(dsn: str) -> None:
    with RunningServer(dsn) as here, RunningServer(dsn) as there, signed_in(there) as admin:
        mac = SimulatedMac(here.url)
        with socket(there, admin) as made:
            listen(made, "hello")
            watch(made, topics=["events"], machines=[mac.machine_id])
            mac.sync()
            stages = [listen(made, "sync")["stage"] for _ in range(2)]
            assert stages == ["preflight", "postflight"]
            mac.block("Evil")
            assert listen(made, "event")["event"]["file_name"] == "Evil"
        mac.close()


LINES = (
    "from pg_stat_activity where query like 'select pg_notify($1, letter)%' and datname = current_database()"
)
CUTS = {
    "the sender's": f"select pg_terminate_backend(pid) {LINES} order by backend_start limit 1",
    "the receiver's": f"select pg_terminate_backend(pid) {LINES} order by backend_start desc limit 1",
    "all": f"select pg_terminate_backend(pid) {LINES}",
}
BURST = 40


def team(number: int) -> dict[str, str]:
    return {"rule_type": "TEAMID", "identifier": f"TEAM{number:06d}", "policy": "BLOCKLIST"}


def shown(client: httpx.Client) -> set[str]:
    page = client.get("/api/v1/rules", params={"limit": 500}).json()
    return {rule["identifier"] for rule in page["items"]}


@pytest.mark.parametrize("cut", CUTS)
@pytest.mark.parametrize("cuts", [1, 4])
def test_a_page_has_every_change_of_a_burst_when_the_connections_break(dsn: str, cut: str, cuts: int) -> None:
    with (
        RunningServer(dsn) as here,
        RunningServer(dsn) as there,
        signed_in(here) as admin,
        signed_in(there) as reader,
        socket(there, reader) as made,
    ):
        listen(made, "hello")
        wait_for_lines(dsn)
        for number in range(BURST):
            if number % (BURST // cuts) == BURST // cuts // 2:
                execute(dsn, CUTS[cut])
            assert admin.post("/api/v1/rules", json=team(number)).status_code == httpx.codes.CREATED
        known: set[str] = set()
        while known != {team(number)["identifier"] for number in range(BURST)}:
            message = receive(made)  # fails when nothing more comes
            if message["type"] == "rule":
                known.add(message["rule"]["identifier"])
            elif message["type"] == "lagged":
                known = shown(reader)


def wait_for_lines(dsn: str) -> None:
    deadline = time.monotonic() + WAIT
    while value(dsn, f"select count(*) {LINES}") < 2:
        assert time.monotonic() < deadline
        time.sleep(0.01)
