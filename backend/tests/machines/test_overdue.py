"""A Mac is overdue by its own interval: that of its layers at its last preflight."""

import httpx
import pytest

from tests.support.santa_client import SimulatedMac
from tests.support.server import RunningServer


def layer_says(admin: httpx.Client, layer: str, seconds: int, *, locked: bool = False) -> None:
    body = {"values": {"full_sync_interval": seconds}, "locked": ["full_sync_interval"] if locked else []}
    response = admin.put("/api/v1/settings/layer", params={"layer": layer}, json=body)
    assert response.status_code == httpx.codes.OK, response.text


def state(admin: httpx.Client, mac: SimulatedMac) -> str:
    """Return the state, once it is known that lists and the overview say the same."""
    shown = admin.get(f"/api/v1/machines/{mac.machine_id}").json()["sync_state"]
    listed = admin.get("/api/v1/machines").json()["items"]
    assert [one["sync_state"] for one in listed if one["machine_id"] == mac.machine_id] == [shown]
    states = [one["sync_state"] for one in listed]
    assert admin.get("/api/v1/overview").json()["machines"]["overdue"] == states.count("overdue")
    return str(shown)


@pytest.mark.parametrize(("interval", "fine", "late"), [(7200, 364, 2), (60, 7, 2), (86_400, 4324, 2)])
def test_the_interval_of_a_tag_decides(
    server: RunningServer, admin: httpx.Client, mac: SimulatedMac, interval: int, fine: int, late: int
) -> None:
    tag = admin.post("/api/v1/tags", json={"name": "slow", "predicate": "true"})
    assert tag.status_code == httpx.codes.CREATED, tag.text
    layer_says(admin, "tag:slow", interval)
    mac.sync()
    server.clock.advance(minutes=fine)
    assert state(admin, mac) == "in_sync"
    server.clock.advance(minutes=late)
    assert state(admin, mac) == "overdue"


def test_a_locked_layer_below_and_the_machines_own_decide(
    server: RunningServer, admin: httpx.Client, mac: SimulatedMac
) -> None:
    mac.sync()
    layer_says(admin, f"machine:{mac.machine_id}", 7200)
    mac.sync()
    server.clock.advance(minutes=60)
    assert state(admin, mac) == "in_sync"
    layer_says(admin, "global", 300, locked=True)
    mac.sync()
    server.clock.advance(minutes=21)
    assert state(admin, mac) == "overdue"


def test_a_change_counts_from_the_sync_that_brings_it(
    server: RunningServer, admin: httpx.Client, mac: SimulatedMac
) -> None:
    layer_says(admin, "global", 7200)
    mac.sync()
    server.clock.advance(minutes=100)
    layer_says(admin, "global", 60)
    assert state(admin, mac) != "overdue"
    mac.post("preflight", mac.preflight_body())
    server.clock.advance(minutes=9)
    assert state(admin, mac) == "overdue"


def test_each_mac_is_judged_by_its_own(server: RunningServer, admin: httpx.Client, mac: SimulatedMac) -> None:
    other = SimulatedMac(server.url, machine_id="OTHER", serial="C02OTHER", hostname="other")
    mac.sync()
    other.sync()
    layer_says(admin, "machine:OTHER", 14_400)
    other.sync()
    other.close()
    server.clock.advance(hours=2)
    assert (state(admin, mac), state(admin, other)) == ("overdue", "in_sync")
