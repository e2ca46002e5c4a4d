"""Omitted fields do no harm, and no log level changes a response."""

import logging
from typing import Any

import httpx
import pytest

from tests.support.postgres import value
from tests.support.santa_client import SimulatedMac
from tests.support.server import RunningServer


@pytest.mark.parametrize("left_out", [("serial_num",), ("hostname",), ("serial_num", "hostname")])
def test_a_preflight_that_leaves_out_who_it_is_wipes_nothing(
    server: RunningServer, admin: httpx.Client, mac: SimulatedMac, left_out: tuple[str, ...]
) -> None:
    predicate = f"serial == '{mac.serial}' && hostname == '{mac.hostname}'"
    made = admin.post("/api/v1/tags", json={"name": "mine", "predicate": predicate})
    assert made.status_code == httpx.codes.CREATED, made.text
    rule = {"rule_type": "TEAMID", "identifier": "ABCDEFGHIJ", "policy": "BLOCKLIST", "layer": "tag:mine"}
    assert admin.post("/api/v1/rules", json=rule).status_code == httpx.codes.CREATED
    mac.sync()
    before = admin.get(f"/api/v1/machines/{mac.machine_id}").json()
    assert (before["serial"], before["tags"]) == (mac.serial, ["mine"])

    complete = mac.preflight_body

    def partial() -> dict[str, Any]:
        return {name: message for name, message in complete().items() if name not in left_out}

    mac.preflight_body = partial  # type: ignore[method-assign]
    for minutes in (10, 20):
        server.clock.advance(minutes=minutes)
        mac.sync()
        after = admin.get(f"/api/v1/machines/{mac.machine_id}").json()
        for name in ("serial", "hostname", "tags"):
            assert after[name] == before[name], name
    assert ("TEAMID", "ABCDEFGHIJ") in mac.rules
    assert value(server.dsn, "select identity_conflict_at from machine") is None


@pytest.mark.parametrize("body", [b'{"metrics":5}', b'{"metrics":[1]}', b"[]", b"5", b"no JSON", b""])
def test_metrics_are_accepted_whatever_they_are_and_whatever_is_logged(
    mac: SimulatedMac, body: bytes
) -> None:
    log = logging.getLogger("santaserver.sync.router")
    responses = []
    for level in (logging.DEBUG, logging.INFO):
        log.setLevel(level)
        try:
            responses.append(mac.post_raw("metrics", body).status_code)
        finally:
            log.setLevel(logging.NOTSET)
    assert responses == [httpx.codes.OK, httpx.codes.OK]
