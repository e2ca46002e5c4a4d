"""Limits fit each other, and a Mac whose batch is too large is not caught in a loop."""

import json
import random
from typing import Any

import httpx
import pytest

from santaserver.protocol.body import LARGEST_EVENT, MAX_BATCH, MAX_UPLOAD
from tests.support.postgres import execute, value
from tests.support.santa_client import SimulatedMac
from tests.support.server import RunningServer


def event(number: int, size: int = 100) -> dict[str, Any]:
    """An event of about `size` bytes."""
    name = random.Random(number).randbytes(8).hex()
    return {
        "file_sha256": f"{number:064x}",
        "file_name": name,
        "execution_time": 1_763_900_000 + number,
        "decision": "BLOCK_UNKNOWN",
        "file_path": "/" + "x" * (size - 250),
    }


@pytest.mark.parametrize("encoding", ["deflate", "none"])
def test_the_largest_batch_of_the_largest_events_fits(
    server: RunningServer, admin: httpx.Client, mac: SimulatedMac, encoding: str
) -> None:
    stored = admin.patch("/api/v1/settings", json={"batch_size": MAX_BATCH})
    assert stored.status_code == httpx.codes.OK
    mac.encoding = encoding
    mac.sync()
    batch = mac.settings["batch_size"]
    events = [event(number, 27_000) for number in range(batch)]
    assert batch * LARGEST_EVENT <= MAX_UPLOAD
    mac.post("eventupload", {"events": events})
    assert value(server.dsn, "select count(*) from event") == batch


@pytest.mark.parametrize("size", [MAX_BATCH + 1, 1000, 2**31])
def test_a_batch_that_would_not_fit_is_refused(admin: httpx.Client, size: int) -> None:
    refused = admin.patch("/api/v1/settings", json={"batch_size": size})
    assert refused.status_code == httpx.codes.UNPROCESSABLE_ENTITY
    assert refused.json()["errors"][0]["field"] == "batch_size"


def test_a_batch_size_that_was_stored_earlier_is_lowered(
    server: RunningServer, admin: httpx.Client, mac: SimulatedMac
) -> None:
    admin.patch("/api/v1/settings", json={"batch_size": 300})
    execute(server.dsn, "update setting_version set value = '1000' where key = 'batch_size'")
    mac.sync()
    assert mac.settings["batch_size"] == MAX_BATCH
    assert admin.get("/api/v1/settings").json()["batch_size"] == 1000


def upload(mac: SimulatedMac, queue: list[dict[str, Any]]) -> int:
    """Upload as an agent does, batch by batch; stop at the first that fails. Return the last status."""
    size = mac.settings["batch_size"]
    while queue:
        response = mac.post_raw("eventupload", json.dumps({"events": queue[:size]}).encode())
        if response.status_code != httpx.codes.OK:
            return response.status_code
        del queue[:size]
    return httpx.codes.OK


def test_a_mac_with_events_that_are_too_large_gets_all_others_through(
    server: RunningServer, mac: SimulatedMac
) -> None:
    mac.encoding = "none"
    mac.sync()
    queue = [event(1), event(2), event(3, MAX_UPLOAD + 1000), *(event(number) for number in range(4, 60))]
    for _ in range(8):
        status = upload(mac, queue)
        if status == httpx.codes.OK:
            break
        assert status == httpx.codes.REQUEST_ENTITY_TOO_LARGE
        mac.sync()
    assert queue == []
    assert value(server.dsn, "select count(*) from event") == 58
    server.clock.advance(hours=25)
    mac.sync()
    assert mac.settings["batch_size"] == 50


def test_who_never_syncs_is_refused_every_time(mac: SimulatedMac) -> None:
    mac.encoding = "none"
    for _ in range(6):
        response = mac.post_raw("eventupload", b'{"events":[' + b"{}," * 3000 + b"{}]}")
        assert response.status_code == httpx.codes.REQUEST_ENTITY_TOO_LARGE


def test_a_full_server_says_what_to_lower(server: RunningServer, mac: SimulatedMac) -> None:
    server.app.state.santa.limits.bodies._left = 10
    response = mac.post_raw("eventupload", b'{"events":[]}')
    assert response.status_code == httpx.codes.SERVICE_UNAVAILABLE
    assert "batch_size" in response.json()["detail"]
    assert int(response.headers["retry-after"]) > 0
