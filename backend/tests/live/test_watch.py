"""What a browser may say, and what it gets for it."""

import json
import time
from contextlib import suppress

import httpx
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection

from santaserver.live.messages import MAX_ID, MAX_WATCHED
from santaserver.live.requests import AT_ONCE, LONGEST_REASON, BadMessageError, Requests
from tests.live.sockets import WAIT, closed, listen, socket, watch
from tests.support.santa_client import SimulatedMac
from tests.support.server import RunningServer

ODD_ID = "日本/…é\u202e"


def test_a_page_hears_of_the_machines_that_it_shows(
    server: RunningServer, admin: httpx.Client, mac: SimulatedMac
) -> None:
    other = SimulatedMac(server.url)
    mac.sync()
    with socket(server, admin) as made:
        listen(made, "hello")
        other.sync()
        watch(made, machines=[mac.machine_id])
        settled(server, made)
        mac.sync()
        received = [listen(made, "sync") for _ in range(2)]
        assert {message["machine_id"] for message in received} == {mac.machine_id}
        assert [message["stage"] for message in received] == ["preflight", "postflight"]
        assert [message["changed"] for message in received] == [False, False]
        assert received[0]["hostname"] in {mac.hostname, ""}
        mac.rules.clear()  # a rule database that was lost
        mac.wants_clean = True
        mac.sync()
        assert [listen(made, "sync")["changed"] for _ in range(2)] == [True, True]
    other.close()


def test_a_sync_before_the_page_watches_is_told_again(
    server: RunningServer, admin: httpx.Client, mac: SimulatedMac, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server.app.state.santa.bus, "_clock", lambda: time.monotonic() + 10)
    with socket(server, admin) as made:
        listen(made, "hello")
        mac.sync()
        watch(made, machines=[mac.machine_id], ago=9)
        assert [listen(made, "sync")["stage"] for _ in range(2)] == ["preflight", "postflight"]


@pytest.mark.parametrize("events", [True, False])
def test_events_come_in_full_only_where_they_are_shown(
    server: RunningServer, admin: httpx.Client, mac: SimulatedMac, events: bool
) -> None:
    mac.sync()
    with socket(server, admin) as made:
        listen(made, "hello")
        watch(made, topics=["events"] if events else [], machines=["nobody"])
        settled(server, made)
        mac.block("Evil")
        received = listen(made, "event")
        assert (received["event"] is not None, received["count"]) == (events, 1)
        assert received["decisions"] == ({} if events else {"BLOCK_UNKNOWN": 1})


def test_a_machines_events_come_in_full_to_who_watches_it(
    server: RunningServer, admin: httpx.Client, mac: SimulatedMac
) -> None:
    mac.sync()
    with socket(server, admin) as made:
        listen(made, "hello")
        watch(made, machines=[mac.machine_id])
        settled(server, made)
        mac.block("Evil")
        mac.block("Fine", decision="ALLOW_TEAMID")
        received = [
            listen(made, "event", lambda news: news["machine_id"] == mac.machine_id) for _ in range(2)
        ]
        (full,) = (news["event"] for news in received if news["event"])
        (number,) = (news["decisions"] for news in received if not news["event"])
        assert (full["file_name"], number) == ("Evil", {"ALLOW_TEAMID": 1})


def settled(server: RunningServer, made: ClientConnection) -> None:
    """Wait until the server has read what was sent: it answers a ping after that."""
    assert made.ping().wait(WAIT)
    bus = server.app.state.santa.bus
    deadline = time.monotonic() + WAIT
    while not any(page.machines for page in bus._subscribers):
        assert time.monotonic() < deadline
        time.sleep(0.005)


BAD = [
    "",
    "{",
    "[]",
    "null",
    "7",
    '{"type": "watch", "machines": "A"}',
    '{"type": "watch", "machines": [1]}',
    '{"type": "watch", "machines": [""]}',
    json.dumps({"type": "watch", "machines": ["x" * (MAX_ID + 1)]}),
    json.dumps({"type": "watch", "machines": [str(number) for number in range(MAX_WATCHED + 1)]}),
    '{"type": "watch", "topics": ["everything"]}',
    json.dumps({"type": "watch", "topics": ["events"] * 9}),
    '{"type": "watch", "ago": -1}',
    '{"type": "watch", "ago": 1e9}',
    '{"type": "watch", "ago": "1"}',
    '{"type": "watch", "ago": NaN}',
    '{"type": "subscribe"}',
    '{"type": "watch", "secret": 1}',
]


@pytest.mark.parametrize("text", BAD)
def test_anything_else_is_refused_with_a_reason(text: str) -> None:
    with pytest.raises(BadMessageError) as refused:
        Requests().read(text, 0.0)
    assert refused.value.code == 4400
    assert refused.value.reason.startswith("Not a valid `watch` message: ")
    assert len(refused.value.reason.encode()) <= LONGEST_REASON


def test_a_name_of_any_length_leaves_a_reason_that_can_be_sent() -> None:
    with pytest.raises(BadMessageError) as refused:
        Requests().read(json.dumps({"type": "watch", "é" * 300: 1}), 0.0)
    assert len(refused.value.reason.encode()) <= LONGEST_REASON


def test_only_so_many_messages_are_read() -> None:
    requests = Requests()
    for _ in range(AT_ONCE):
        assert requests.read('{"type": "watch", "machines": ["' + ODD_ID + '"]}', 0.0).machines == [ODD_ID]
    with pytest.raises(BadMessageError, match="Too many"):
        requests.read('{"type": "watch"}', 0.0)
    assert requests.read('{"type": "watch"}', 1.0)


@pytest.mark.parametrize("frame", ["no JSON", b"\x00\x01", '{"type": "watch", "more": true}'])
def test_a_bad_frame_ends_the_socket_with_a_code(
    server: RunningServer, admin: httpx.Client, frame: str | bytes
) -> None:
    with socket(server, admin) as made:
        listen(made, "hello")
        made.send(frame)
        with pytest.raises(ConnectionClosed):
            listen(made, "goodbye")
        assert made.close_code == 4400
        assert made.close_reason


def test_nobody_is_heard_before_the_login_is_checked(server: RunningServer, admin: httpx.Client) -> None:
    with socket(server, None) as made:
        with suppress(ConnectionClosed):
            watch(made, machines=["A"])
        closed(made)
        assert made.close_code in {4400, 4401}
    assert admin.get("/api/v1/machines").status_code == httpx.codes.OK
