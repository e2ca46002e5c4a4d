"""An enrollment's list of serial numbers over REST, and which Macs it admits."""

import httpx
import pytest

from tests.support.postgres import value
from tests.support.rest_client import plain
from tests.support.santa_client import SimulatedMac, SyncError
from tests.support.server import RunningServer


def made(admin: httpx.Client, **fields: object) -> tuple[str, str]:
    response = admin.post("/api/v1/enrollments", json={"label": "listed", **fields}).json()
    return f"/api/v1/enrollments/{response['enrollment']['id']}/serials", response["secret"]


def change(admin: httpx.Client, path: str, **body: object) -> object:
    response = admin.patch(path, json=body)
    assert response.status_code == httpx.codes.OK, response.text
    return response.json()["serials"]


def test_serials_are_added_listed_and_taken_off(server: RunningServer, admin: httpx.Client) -> None:
    path, _ = made(admin)
    assert plain(admin.get(path)) == {"serials": None}
    assert change(admin, path) is None
    assert change(admin, path, add=["c02b", " C02A "]) == ["C02A", "C02B"]
    assert change(admin, path, add=["C02C"], remove=["c02a", "unknown"]) == ["C02B", "C02C"]
    assert plain(admin.get(path)) == {"serials": ["C02B", "C02C"]}
    assert change(admin, path, remove=["C02B", "C02C"]) == []
    assert admin.delete(path).status_code == httpx.codes.NO_CONTENT
    assert plain(admin.get(path)) == {"serials": None}
    audited = "select count(*) from audit_log where action = 'enrollment_serials_changed'"
    assert value(server.dsn, audited) == 4


def test_the_list_decides_who_enrols(server: RunningServer, admin: httpx.Client) -> None:
    path, secret = made(admin, serial_allowlist=["C02OTHER"])
    mac = SimulatedMac(server.url, secret=secret, serial="C02NEW")
    with pytest.raises(SyncError):
        mac.sync()
    change(admin, path, add=["C02NEW"])
    server.clock.advance(seconds=10)
    mac.sync()
    admin.delete(path)
    server.clock.advance(seconds=10)
    other = SimulatedMac(server.url, secret=secret, serial="C02WHOEVER")
    other.sync()
    for used in (mac, other):
        used.close()


@pytest.mark.parametrize(
    ("body", "field"),
    [({"add": ["A"], "remove": ["a"]}, "remove"), ({"add": ["\0"]}, "add.0"), ({"add": [""]}, "add.0")],
)
def test_a_wrong_change_is_refused(admin: httpx.Client, body: dict[str, object], field: str) -> None:
    path, _ = made(admin)
    response = admin.patch(path, json=body)
    assert response.status_code == httpx.codes.UNPROCESSABLE_ENTITY
    assert [error["field"] for error in response.json()["errors"]] == [field]


def test_only_an_administrator_sees_and_changes_it(admin: httpx.Client, viewer: httpx.Client) -> None:
    path, _ = made(admin)
    for response in (viewer.get(path), viewer.patch(path, json={"add": ["X"]}), viewer.delete(path)):
        assert response.status_code == httpx.codes.FORBIDDEN
    assert admin.get("/api/v1/enrollments/999/serials").status_code == httpx.codes.NOT_FOUND
