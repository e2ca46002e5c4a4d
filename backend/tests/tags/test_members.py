"""How many Macs a layer has now, before they have synced again: the number of the Lockdown question."""

import httpx
import pytest

from tests.support.santa_client import SimulatedMac
from tests.support.server import RunningServer


def count(admin: httpx.Client, layer: str) -> int:
    response = admin.get("/api/v1/layers/members", params={"layer": layer})
    assert response.status_code == httpx.codes.OK, response.text
    number: int = response.json()["machines"]
    return number


@pytest.fixture
def fleet(server: RunningServer) -> list[str]:
    """Five Macs that have synced, before there is any tag."""
    ids = []
    for number in range(5):
        mac = SimulatedMac(
            server.url,
            hostname=f"mac-{number}.example.com",
            primary_user="Ada" if number < 2 else "bob",
            groups=["Staff"] if number % 2 else [],
        )
        mac.sync()
        ids.append(mac.machine_id)
        mac.close()
    return ids


def test_a_new_tag_counts_whom_it_is_meant_for(admin: httpx.Client, fleet: list[str]) -> None:
    body = {"name": "new", "groups": ["STAFF"], "predicate": "hostname.startsWith('mac-0')"}
    tag = admin.post("/api/v1/tags", json=body).json()["id"]
    assert admin.get("/api/v1/tags").json()[0]["members"] == 0
    assert count(admin, "tag:new") == 3
    admin.put(f"/api/v1/tags/{tag}/members/{fleet[4]}")
    admin.put(f"/api/v1/tags/{tag}/members/{fleet[1]}")
    assert count(admin, "tag:NEW") == 4
    admin.delete(f"/api/v1/tags/{tag}/members/{fleet[4]}")
    assert count(admin, "tag:new") == 3


def test_a_tag_of_an_enrollment_counts_its_macs(admin: httpx.Client, server: RunningServer) -> None:
    made = admin.post("/api/v1/enrollments", json={"label": "loaners"}).json()
    for secret in (made["secret"], made["secret"], None):
        mac = SimulatedMac(server.url, secret=secret)
        mac.sync()
        mac.close()
    admin.post("/api/v1/tags", json={"name": "loaners", "enrollments": [made["enrollment"]["id"]]})
    assert count(admin, "tag:loaners") == 2


def test_every_other_layer_is_counted_too(admin: httpx.Client, fleet: list[str]) -> None:
    assert count(admin, "global") == 5
    assert count(admin, "user:ada") == 2
    assert count(admin, "user:nobody") == 0
    assert count(admin, f"machine:{fleet[0]}") == 1
    for unknown in ("machine:none", "tag:none"):
        response = admin.get("/api/v1/layers/members", params={"layer": unknown})
        assert response.status_code == httpx.codes.NOT_FOUND


def test_many_macs_are_counted_once_each(
    admin: httpx.Client, fleet: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("santaserver.layers.members.AT_ONCE", 2)
    admin.post("/api/v1/tags", json={"name": "all", "predicate": "machine_id != ''"})
    assert count(admin, "tag:all") == len(fleet)
