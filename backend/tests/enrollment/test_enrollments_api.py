"""Making and revoking enrollments, and the profiles that carry them."""

import plistlib
from typing import Any

import httpx
import pytest

from tests.support.postgres import value
from tests.support.santa_client import SimulatedMac
from tests.support.server import RunningServer


def make(admin: httpx.Client, **fields: Any) -> dict[str, Any]:  # noqa: ANN401
    response = admin.post("/api/v1/enrollments", json={"label": "office", **fields})
    assert response.status_code == httpx.codes.CREATED, response.text
    made: dict[str, Any] = response.json()
    return made


def sync_status(server: RunningServer, secret: str, machine_id: str = "M1", serial: str = "S1") -> int:
    mac = SimulatedMac(server.url, secret=secret, machine_id=machine_id, serial=serial)
    status = mac.post_raw("preflight", b'{"serial_num":"%s"}' % serial.encode()).status_code
    mac.close()
    return status


def test_a_secret_is_shown_once_and_lets_macs_in(server: RunningServer, admin: httpx.Client) -> None:
    made = make(admin, quota=1)
    assert sync_status(server, made["secret"]) == httpx.codes.OK
    listed = admin.get("/api/v1/enrollments").json()["items"]
    assert [(item["label"], item["state"], item["machines"]) for item in listed] == [
        ("office", "full", 1),
        ("tests", "active", 0),
    ]
    assert made["secret"] not in str(listed)
    assert listed[0]["created_by"] == "admin"
    assert sync_status(server, made["secret"], "M2") == httpx.codes.UNAUTHORIZED


def test_a_revoked_secret_is_refused_within_seconds(server: RunningServer, admin: httpx.Client) -> None:
    made = make(admin)
    assert sync_status(server, made["secret"]) == httpx.codes.OK
    revoked = admin.post(f"/api/v1/enrollments/{made['enrollment']['id']}/revoke").json()
    again = admin.post(f"/api/v1/enrollments/{made['enrollment']['id']}/revoke").json()
    assert revoked == again
    assert revoked["state"] == "revoked"
    server.clock.advance(seconds=6)
    assert sync_status(server, made["secret"]) == httpx.codes.UNAUTHORIZED
    actions = "select string_agg(action, ',' order by id) from audit_log where object_type = 'enrollment'"
    own = "enrollment_created"  # of the fixture
    assert value(server.dsn, actions) == f"{own},enrollment_created,enrollment_revoked"


def test_listed_serials_are_asked_of_every_preflight(server: RunningServer, admin: httpx.Client) -> None:
    made = make(admin, serial_allowlist=["c02aaa", " C02BBB "])
    assert made["enrollment"]["serial_allowlist"] == ["C02AAA", "C02BBB"]
    assert sync_status(server, made["secret"], serial="C02AAA") == httpx.codes.OK
    assert sync_status(server, made["secret"], serial="C02ZZZ") == httpx.codes.UNAUTHORIZED


def test_an_enrollment_may_ask_for_a_client_certificate_too(
    server: RunningServer, admin: httpx.Client
) -> None:
    made = make(admin, client_certificate=True)
    assert sync_status(server, made["secret"]) == httpx.codes.UNAUTHORIZED
    mac = SimulatedMac(server.url, secret=made["secret"], machine_id="M1", serial="S1")
    # As santa-proxy passes on what it has verified (RFC 9440).
    shown = mac.post_raw("preflight", b'{"serial_num":"S1"}', {"Client-Cert": ":MIIB:"})
    assert shown.status_code == httpx.codes.OK
    mac.close()


@pytest.mark.parametrize(
    "fields",
    [
        {"label": ""},
        {"label": "\u0000"},
        {"quota": 0},
        {"expires_at": "2020-01-01T00:00:00Z"},
        {"expires_at": "2090-01-01T00:00:00"},
        {"serial_allowlist": [" "]},
    ],
)
def test_what_makes_no_sense_is_named(admin: httpx.Client, fields: dict[str, Any]) -> None:
    response = admin.post("/api/v1/enrollments", json={"label": "x", **fields})
    assert response.status_code == httpx.codes.UNPROCESSABLE_ENTITY
    assert response.json()["errors"][0]["field"].startswith(next(iter(fields)))


def test_a_profile_connects_a_mac_and_guards_against_a_lock_out(admin: httpx.Client) -> None:
    made = make(admin)
    address = f"/api/v1/enrollments/{made['enrollment']['id']}/profile"
    wanted = {
        "secret": made["secret"],
        "essentials": ["santa", "jamf"],
        "static_rules": [{"rule_type": "SIGNINGID", "identifier": "abcde12345:com.example.vpn"}],
    }
    refused = admin.post(address, json=wanted)
    assert refused.status_code == httpx.codes.UNPROCESSABLE_ENTITY
    assert "PUBLIC_URL" in refused.json()["detail"]


def test_a_profile_holds_the_address_the_secret_and_static_rules(dsn: str) -> None:
    from tests.conftest import ADMIN  # noqa: PLC0415

    with (
        RunningServer(dsn, {"PUBLIC_URL": "https://santa.example.com/"}) as running,
        running.client(Origin="https://santa.example.com") as admin,
    ):
        login = {"username": ADMIN[0], "password": ADMIN[1]}
        cookie = admin.post("/api/v1/auth/login", json=login).headers["set-cookie"].partition(";")[0]
        admin.headers["Cookie"] = cookie
        made = make(admin)
        address = f"/api/v1/enrollments/{made['enrollment']['id']}/profile"
        wanted = {
            "secret": made["secret"],
            "essentials": ["santa"],
            "static_rules": [{"rule_type": "SIGNINGID", "identifier": "abcde12345:com.example.vpn"}],
        }
        response = admin.post(address, json=wanted)
        assert response.headers["content-type"] == "application/x-apple-aspen-config"
        profile = plistlib.loads(response.content)
        santa = profile["PayloadContent"][0]
        assert santa["PayloadType"] == "com.northpolesec.santa"
        assert santa["SyncBaseURL"] == "https://santa.example.com/api/santa/"
        assert santa["SyncExtraHeaders"]["Authorization"] == f"Bearer {made['secret']}"
        assert santa["StaticRules"] == [
            {"identifier": "ZMCG7MLDV9", "rule_type": "TEAMID", "policy": "ALLOWLIST"},
            {"identifier": "ABCDE12345:com.example.vpn", "rule_type": "SIGNINGID", "policy": "ALLOWLIST"},
        ]
        assert admin.post(address, json=wanted).content == response.content
        by_url = plistlib.loads(admin.post(address, json={**wanted, "secret_in": "url"}).content)
        assert by_url["PayloadUUID"] == profile["PayloadUUID"]
        assert made["secret"] in by_url["PayloadContent"][0]["SyncBaseURL"]
        assert "SyncExtraHeaders" not in by_url["PayloadContent"][0]
        wrong = admin.post(address, json={**wanted, "secret": "guess"})
        assert wrong.json()["errors"][0]["field"] == "secret"
        unknown = admin.post(address, json={**wanted, "essentials": ["nobody"]})
        assert unknown.status_code == httpx.codes.UNPROCESSABLE_ENTITY


def test_only_administrators_see_enrollments(anonymous: httpx.Client) -> None:
    assert anonymous.get("/api/v1/enrollments").status_code == httpx.codes.UNAUTHORIZED


def test_macs_get_the_tags_of_their_enrollment(server: RunningServer, admin: httpx.Client) -> None:
    tag = admin.post("/api/v1/tags", json={"name": "Lab"})
    assert tag.status_code == httpx.codes.CREATED, tag.text
    unknown = admin.post("/api/v1/enrollments", json={"label": "x", "tags": ["nowhere"]})
    assert unknown.json()["errors"][0]["field"] == "tags"
    made = make(admin, tags=["lab"])
    assert made["enrollment"]["tags"] == ["Lab"]
    assert sync_status(server, made["secret"]) == httpx.codes.OK
    assert value(server.dsn, "select source from tag_member where left_at is null") == "enrollment"


def test_a_released_machine_moves_to_an_enrollment_that_has_room(
    server: RunningServer, admin: httpx.Client
) -> None:
    first, second, full = make(admin), make(admin), make(admin, quota=1)
    assert sync_status(server, full["secret"], "M9") == httpx.codes.OK
    for made in (first, second):
        assert sync_status(server, made["secret"]) == httpx.codes.OK
        enrolled = value(server.dsn, "select enrollment_id from machine where machine_id = 'M1'")
        assert enrolled == made["enrollment"]["id"]
        admin.post("/api/v1/machines/M1/release")
    assert sync_status(server, full["secret"]) == httpx.codes.UNAUTHORIZED
    assert sync_status(server, second["secret"]) == httpx.codes.OK


def test_two_macs_with_one_id_are_written_down(server: RunningServer) -> None:
    for serial in ("S1", "S2", "S1", "S1"):
        mac = SimulatedMac(server.url, machine_id="SHARED", serial=serial)
        assert mac.sync().kind == "CLEAN"
        mac.close()
    assert value(server.dsn, "select string_agg(serial, ',' order by serial) from machine_serial") == "S1,S2"
    assert value(server.dsn, "select identity_conflict_at from machine") is not None
