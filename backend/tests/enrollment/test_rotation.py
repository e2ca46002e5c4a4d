"""A new secret for an enrollment: the previous one stays valid for a while, and Macs switch to the new."""

import time
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import httpx
import pytest

from santaserver.clock import stamp
from tests.enrollment.test_enrollments_api import make
from tests.live.sockets import listen, socket
from tests.support.postgres import START_LIMIT, Holder, execute, fetch
from tests.support.santa_client import SimulatedMac
from tests.support.server import RunningServer

MOMENT = 6
"""Seconds after which every process knows of a change."""


class World:
    """An enrollment with one Mac."""

    def __init__(self, server: RunningServer, admin: httpx.Client) -> None:
        """Sync once."""
        self.server, self.admin = server, admin
        server.clock.stop()
        made = make(admin)
        self.id: int = made["enrollment"]["id"]
        self.path = f"/api/v1/enrollments/{self.id}"
        self.old: str = made["secret"]
        self.mac = SimulatedMac(server.url, secret=self.old, machine_id="M1", serial="S1")
        self.mac.sync()

    def in_days(self, days: float) -> str:
        return str(stamp(self.server.clock() + timedelta(days=days)))

    def rotate(self, **fields: Any) -> str:  # noqa: ANN401
        response = self.post(**fields)
        assert response.status_code == httpx.codes.CREATED, response.text
        secret: str = response.json()["secret"]
        return secret

    def post(self, etag: str = "", **fields: Any) -> httpx.Response:  # noqa: ANN401
        version = etag or self.admin.get(self.path).headers["etag"]
        return self.admin.post(f"{self.path}/secrets", json=fields, headers={"If-Match": version})

    def secrets(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.admin.get(self.path).json()["secrets"]
        return found

    def refused(self, secret: dict[str, Any], count: int) -> dict[str, Any]:
        """Return what is shown of the refusals of a secret once they are counted."""
        until = time.monotonic() + 20
        while True:
            found = next(one for one in self.secrets() if one["id"] == secret["id"])["refused"]
            if found is not None and found["count"] >= count:
                assert found["count"] == count
                return dict(found)
            assert time.monotonic() < until, found
            time.sleep(0.05)

    def notices(self, kind: str, machine_id: str = "M1") -> list[str]:
        detail = self.admin.get(f"/api/v1/machines/{machine_id}").json()
        return [notice["text"] for notice in detail["notices"] if notice["kind"] == kind]

    def preflight(self, secret: str, address: str | None = None, machine_id: str = "M1") -> httpx.Response:
        mac = SimulatedMac(self.server.url, secret=secret, machine_id=machine_id, serial="S1")
        headers = {} if address is None else {"X-Real-IP": address}
        response = mac.post_raw("preflight", b'{"serial_num":"S1"}', headers)
        mac.close()
        return response


@pytest.fixture
def world(server: RunningServer, admin: httpx.Client) -> Iterator[World]:
    made = World(server, admin)
    yield made
    made.mac.close()


def test_a_mac_moves_to_the_new_secret_by_itself(world: World) -> None:
    new = world.rotate(previous_valid_until=world.in_days(7))
    present, previous = world.secrets()
    assert (present["current"], present["machines"], previous["current"], previous["machines"]) == (
        True,
        0,
        False,
        1,
    )
    assert previous["valid_until"] == world.in_days(7)
    world.mac.sync()
    assert "will be refused" in world.notices("previous_secret")[0]
    of_previous = world.admin.get("/api/v1/machines", params={"secret": previous["id"]}).json()["items"]
    assert [one["machine_id"] for one in of_previous] == ["M1"]
    world.mac.secret = new
    assert world.mac.sync().kind == "NORMAL"
    present, previous = world.secrets()
    assert (present["machines"], previous["machines"]) == (1, 0)
    assert world.notices("previous_secret") == []
    assert world.notices("credential_refused") == []
    assert world.admin.get("/api/v1/machines", params={"secret": previous["id"]}).json()["items"] == []
    moves = "select action from audit_log where action = 'machine_credential_changed'"
    assert fetch(world.server.dsn, moves) == []


@pytest.mark.parametrize("stage", ["eventupload", "ruledownload", "postflight"])
def test_the_new_profile_may_arrive_during_a_sync(world: World, stage: str) -> None:
    new = world.rotate(previous_valid_until=world.in_days(1))
    assert world.mac.post_raw("preflight", b'{"serial_num":"S1"}').status_code == httpx.codes.OK
    world.mac.secret = new
    assert world.mac.post_raw(stage, b"{}").status_code == httpx.codes.OK


def test_a_clean_steady_sync_costs_no_write_more_after_the_move(world: World) -> None:
    new = world.rotate(previous_valid_until=world.in_days(1))
    world.mac.secret = new
    world.mac.sync()
    before = fetch(world.server.dsn, "select ctid::text, xmin::text from machine where machine_id = 'M1'")
    world.mac.sync()
    world.mac.sync()
    assert (
        fetch(world.server.dsn, "select ctid::text, xmin::text from machine where machine_id = 'M1'")
        == before
    )


def test_an_old_secret_ends_at_its_time_and_the_macs_page_says_so(world: World) -> None:
    new = world.rotate(previous_valid_until=world.in_days(2))
    previous = world.secrets()[1]
    world.server.clock.advance(days=2, seconds=-1)
    assert world.preflight(world.old).status_code == httpx.codes.OK
    world.server.clock.advance(seconds=1)
    refused = world.preflight(world.old)
    assert refused.status_code == httpx.codes.UNAUTHORIZED
    assert "was replaced" in refused.json()["detail"]
    assert world.refused(previous, 1)["last_reason"] == "replaced"
    until = time.monotonic() + 20
    while not (told := world.notices("secret_refused")):
        assert time.monotonic() < until
        time.sleep(0.05)
    assert "previous secret of the enrollment 'office'" in told[0]
    assert world.admin.get("/api/v1/machines").json()["items"][0]["refused_at"] is not None
    world.mac.secret = new
    world.mac.sync()
    assert world.notices("secret_refused") == []
    assert world.admin.get("/api/v1/machines").json()["items"][0]["refused_at"] is None


@pytest.mark.parametrize("way", ["delete", "at once"])
def test_an_overlap_can_be_ended_early(world: World, way: str) -> None:
    if way == "delete":
        world.rotate(previous_valid_until=world.in_days(30))
        previous = world.secrets()[1]
        for _ in range(2):
            ended = world.admin.delete(f"{world.path}/secrets/{previous['id']}")
            assert ended.status_code == httpx.codes.OK
            assert ended.json()["secrets"][1]["valid_until"] == stamp(world.server.clock())
    else:
        world.rotate()
    world.server.clock.advance(seconds=MOMENT)
    assert world.preflight(world.old).status_code == httpx.codes.UNAUTHORIZED
    present = world.admin.delete(f"{world.path}/secrets/{world.secrets()[0]['id']}")
    assert present.status_code == httpx.codes.CONFLICT
    wanted = ["enrollment_created", "enrollment_secret_rotated"]
    if way == "delete":
        wanted.append("enrollment_secret_ended")
    rows = fetch(
        world.server.dsn, "select action from audit_log where object_id = $1 order by id", str(world.id)
    )
    assert [row["action"] for row in rows] == wanted


def test_an_end_can_be_moved_but_an_ended_secret_does_not_come_back(world: World) -> None:
    world.rotate(previous_valid_until=world.in_days(1))
    present, previous = (f"{world.path}/secrets/{one['id']}" for one in world.secrets())
    moved = world.admin.patch(previous, json={"valid_until": world.in_days(3)})
    assert moved.json()["secrets"][1]["valid_until"] == world.in_days(3)
    for address, fields in (
        (present, {"valid_until": world.in_days(3)}),
        (previous, {"valid_until": None}),
        (previous, {"valid_until": world.in_days(-1)}),
        (previous, {"valid_until": world.in_days(181)}),
        (previous, {"networks": ["10.0.0.1/8"]}),
        (previous, {"networks": ["office"]}),
    ):
        response = world.admin.patch(address, json=fields)
        assert response.status_code == httpx.codes.UNPROCESSABLE_ENTITY, (fields, response.text)
        assert response.json()["errors"][0]["field"].split(".")[0] == next(iter(fields))
    world.admin.delete(previous)
    assert world.admin.patch(previous, json={"valid_until": world.in_days(3)}).status_code == 409
    assert world.admin.patch(f"{world.path}/secrets/999", json={}).status_code == 404


def test_two_administrators_do_not_both_rotate(world: World) -> None:
    etag = world.admin.get(world.path).json()["etag"]
    world.rotate(previous_valid_until=world.in_days(1))
    late = world.post(etag)
    assert late.status_code == httpx.codes.PRECONDITION_FAILED
    assert late.json()["changes"][0]["kind"] == "enrollment_secret_rotated"
    assert len(world.secrets()) == 2


def test_five_secrets_are_valid_at_once(world: World) -> None:
    for _ in range(4):
        world.rotate(previous_valid_until=world.in_days(1))
    many = world.post(previous_valid_until=world.in_days(1))
    assert many.status_code == httpx.codes.CONFLICT
    world.rotate()
    assert world.preflight(world.old).status_code == httpx.codes.OK
    assert [one["machines"] for one in world.secrets()] == [0, 0, 0, 0, 0, 1]


def test_revoking_ends_all_secrets(world: World) -> None:
    new = world.rotate(previous_valid_until=world.in_days(1))
    world.admin.post(f"{world.path}/revoke")
    world.server.clock.advance(seconds=MOMENT)
    for secret in (world.old, new):
        refused = world.preflight(secret)
        assert refused.status_code == httpx.codes.UNAUTHORIZED
        assert "revoked" in refused.json()["detail"]
    assert world.post().status_code == httpx.codes.CONFLICT


def test_a_secret_is_accepted_from_its_networks_only(world: World) -> None:
    present = world.secrets()[0]
    address = f"{world.path}/secrets/{present['id']}"
    changed = world.admin.patch(address, json={"networks": ["192.0.2.0/24", "2001:db8::/32", "198.51.100.7"]})
    assert changed.status_code == httpx.codes.OK, changed.text
    world.server.clock.advance(seconds=MOMENT)
    for inside in ("192.0.2.9", "2001:db8::5", "198.51.100.7", "::ffff:192.0.2.9"):
        assert world.preflight(world.old, inside).status_code == httpx.codes.OK, inside
    outside = ["203.0.113.9", "2001:db9::1", "198.51.100.8", "nonsense", None]
    for one in outside:
        refused = world.preflight(world.old, one)
        assert refused.status_code == httpx.codes.UNAUTHORIZED, one
        assert "address" in refused.json()["detail"]
    shown = world.refused(present, len(outside))
    assert (shown["last_reason"], shown["last_address"]) == ("network", "an unknown address")
    with world.server.client() as client:
        text = client.get("/metrics").text
    assert f'santa_backend_enrollment_refusals_total{{reason="network"}} {len(outside)}' in text


def test_each_secret_has_its_own_networks(world: World) -> None:
    new = world.rotate(previous_valid_until=world.in_days(1), networks=["192.0.2.0/24"])
    assert world.preflight(world.old, "203.0.113.9").status_code == httpx.codes.OK
    assert world.preflight(new, "203.0.113.9").status_code == httpx.codes.UNAUTHORIZED
    assert world.preflight(new, "192.0.2.1").status_code == httpx.codes.OK
    assert [one["networks"] for one in world.secrets()] == [["192.0.2.0/24"], []]
    again = world.rotate(previous_valid_until=world.in_days(1))
    assert again != new
    assert world.secrets()[0]["networks"] == ["192.0.2.0/24"]


def test_refusals_outlive_a_database_that_is_away(world: World, caplog: pytest.LogCaptureFixture) -> None:
    world.rotate()
    previous = world.secrets()[1]
    world.server.clock.advance(seconds=MOMENT)
    execute(world.server.dsn, "alter table enrollment_secret rename column refused to elsewhere")
    world.preflight(world.old)
    Holder(START_LIMIT).until(lambda: "cannot store how often" in caplog.text)
    execute(world.server.dsn, "alter table enrollment_secret rename column elsewhere to refused")
    assert world.refused(previous, 1)["last_reason"] == "replaced"


def test_a_stranger_with_an_ended_secret_marks_only_macs_of_its_enrollment(world: World) -> None:
    other = make(world.admin)
    mac = SimulatedMac(world.server.url, secret=other["secret"], machine_id="M2", serial="S2")
    mac.sync()
    mac.close()
    world.rotate()
    previous = world.secrets()[1]
    world.server.clock.advance(seconds=MOMENT)
    for machine_id in ("M2", "M1", "M3"):
        assert world.preflight(world.old, machine_id=machine_id).status_code == httpx.codes.UNAUTHORIZED
    world.refused(previous, 3)
    marked = fetch(world.server.dsn, "select machine_id from machine where refused_at is not null")
    assert [row["machine_id"] for row in marked] == ["M1"]


def test_open_pages_are_told_of_the_first_sync_and_of_the_move(world: World) -> None:
    with socket(world.server, world.admin) as opened:
        listen(opened, "hello")
        fresh = SimulatedMac(world.server.url, secret=world.old, machine_id="M2", serial="S2")
        fresh.sync()
        fresh.close()
        world.mac.secret = world.rotate(previous_valid_until=world.in_days(1))
        world.mac.sync()
        told = [listen(opened, "machine") for _ in range(3)]
    assert [(one["machine_id"], one["change"], one["enrollment"]) for one in told] == [
        ("M2", "enrolled", world.id),
        ("M2", "first_sync", world.id),
        ("M1", "secret_changed", world.id),
    ]
