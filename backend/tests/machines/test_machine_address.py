"""Each address of a Mac with any id means this Mac and no other."""

from urllib.parse import quote

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from santaserver.machine_path import machine_id_of, segment_of
from tests.support.santa_client import SimulatedMac
from tests.support.server import RunningServer

IDS = [
    "x",
    "x/tags",
    "x/tags/tags",
    "a/b",
    "a//b",
    "/x",
    "x/",
    "~eA",
    "~",
    "..",
    ".",
    "50% ?#;",
    "x/clean-sync",
]


@pytest.fixture
def fleet(server: RunningServer) -> list[str]:
    """Macs whose ids could be taken for each other's addresses."""
    for number, machine_id in enumerate(IDS):
        mac = SimulatedMac(server.url, machine_id=quote(machine_id, safe="").replace(".", "%2E"))
        mac.serial = f"SERIAL{number}"
        assert mac.post_raw("preflight", b'{"serial_num":"S%d"}' % number).status_code == httpx.codes.OK
        mac.close()
    return IDS


def test_each_machine_has_addresses_of_its_own(admin: httpx.Client, fleet: list[str]) -> None:
    listed = {machine["machine_id"]: machine for machine in admin.get("/api/v1/machines").json()["items"]}
    assert set(listed) == set(fleet)
    tag = admin.post("/api/v1/tags", json={"name": "Odd"}).json()["id"]
    for machine_id in fleet:
        url = f"/api/v1/machines/{segment_of(machine_id)}"
        assert admin.get(url).json().items() >= listed[machine_id].items()
        assert admin.get(f"{url}/tags").json() == []
        assert admin.post(f"{url}/clean-sync", json={"kind": "clean"}).json()["machine_id"] == machine_id
        assert admin.put(f"/api/v1/tags/{tag}/members/{segment_of(machine_id)}").is_success
        assert [found["name"] for found in admin.get(f"{url}/tags").json()] == ["Odd"]
        body = {"minutes": 5, "reason": "tried"}
        assert admin.post(f"{url}/monitor-mode", json=body).json()["machine_id"] == machine_id
        assert admin.delete(f"{url}/monitor-mode").json()["monitor_until"] is None
    members = admin.get(f"/api/v1/tags/{tag}/members").json()["items"]
    assert {member["machine_id"] for member in members} == set(fleet)
    for machine_id in fleet:
        assert admin.delete(f"/api/v1/tags/{tag}/members/{segment_of(machine_id)}").is_success
    assert admin.get(f"/api/v1/tags/{tag}/members").json()["items"] == []


@pytest.mark.parametrize("machine_id", ["x", "a/b", "a//b", "/x", "50%25%20%3F%23;"])
def test_ids_may_stand_in_a_path_as_they_are(admin: httpx.Client, fleet: list[str], machine_id: str) -> None:
    assert admin.get(f"/api/v1/machines/{machine_id}").json()["machine_id"] in fleet
    assert admin.get(f"/api/v1/machines/{machine_id}/tags").json() == []


@given(st.text(min_size=1))
def test_every_id_can_be_written_and_read(machine_id: str) -> None:
    assert machine_id_of(segment_of(machine_id)) == machine_id
    assert segment_of(machine_id) == quote(segment_of(machine_id), safe="")


@pytest.mark.parametrize("text", ["", "a/b", "~?", "~YQ==", "~YR", "~_w", "~YS9", "~Y Q", "~ä"])
def test_what_is_no_encoding_is_an_id(text: str) -> None:
    assert machine_id_of(text) == text
