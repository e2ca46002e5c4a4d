"""The public response about a blocked program."""

import hashlib
import json
from typing import Any

import httpx
import pytest

from tests.support.postgres import value
from tests.support.rest_client import plain
from tests.support.santa_client import SimulatedMac
from tests.support.server import RunningServer

NOTHING = {"name": "", "publisher": "", "cause": None}


def ask(client: httpx.Client, name: str, machine_id: str = "") -> dict[str, Any]:
    params = {"machine_id": machine_id} if machine_id else {}
    response = client.get(f"/api/v1/blocked/{hashlib.sha256(name.encode()).hexdigest()}", params=params)
    assert response.status_code == httpx.codes.OK, response.text
    told: dict[str, Any] = response.json()
    return told


@pytest.mark.parametrize(
    ("decision", "cause"),
    [
        ("BLOCK_BINARY", "file"),
        ("BLOCK_TEAMID", "developer"),
        ("BLOCK_SIGNINGID", "app"),
        ("BLOCK_CDHASH", "build"),
        ("BLOCK_CERTIFICATE", "certificate"),
        ("BLOCK_SCOPE", "path"),
        ("BLOCK_UNKNOWN", "unknown"),
        ("BLOCK_LONG_PATH", "other"),
    ],
)
def test_a_stranger_learns_what_the_dialog_showed_and_the_kind_of_rule(
    anonymous: httpx.Client, mac: SimulatedMac, decision: str, cause: str
) -> None:
    mac.sync()
    mac.block("Game", decision=decision)
    assert ask(anonymous, "Game") == {"name": "Game", "publisher": "", "cause": cause}


def test_nothing_else_is_revealed(anonymous: httpx.Client, mac: SimulatedMac) -> None:
    mac.sync()
    mac.block("Allowed", decision="ALLOW_TEAMID")
    mac.block("Game", executing_user="ada")
    assert ask(anonymous, "Allowed") == ask(anonymous, "Never seen") == NOTHING
    other = SimulatedMac(mac.url)
    other.sync()
    assert ask(anonymous, "Game", other.machine_id) == ask(anonymous, "Game", "no such Mac") == NOTHING
    assert ask(anonymous, "Game", mac.machine_id)["name"] == "Game"
    text = anonymous.get(f"/api/v1/blocked/{hashlib.sha256(b'Game').hexdigest()}").text
    for secret in (mac.machine_id, mac.hostname, mac.serial, "ada", "/Applications"):
        assert secret not in text
    other.close()


@pytest.mark.parametrize("identifier", ["x", "0" * 63, "0" * 65, "%00", "g" * 64])
def test_what_is_no_hash_is_refused(anonymous: httpx.Client, identifier: str) -> None:
    assert anonymous.get(f"/api/v1/blocked/{identifier}").status_code == httpx.codes.UNPROCESSABLE_ENTITY


CONTACT = {
    "text": "Help desk, room 12\n8 to 17 h, <b>+49 30 1234</b>",
    "url": "https://help.example.com/new?topic=mac#form",
}


def test_everybody_reads_the_contact_that_an_administrator_wrote(
    server: RunningServer, anonymous: httpx.Client, admin: httpx.Client, viewer: httpx.Client
) -> None:
    url = "/api/v1/blocked/contact"
    assert plain(anonymous.get(url)) == {"text": "", "url": ""}
    assert anonymous.put(url, json=CONTACT).status_code == httpx.codes.UNAUTHORIZED
    assert viewer.put(url, json=CONTACT).status_code == httpx.codes.FORBIDDEN
    for _ in range(2):
        assert plain(admin.put(url, json=CONTACT)) == CONTACT
    assert plain(anonymous.get(url)) == CONTACT
    written = value(server.dsn, "select after from audit_log where action = 'blocked_contact_changed'")
    assert json.loads(written) == CONTACT
    by_phone = {"text": "  By phone \r\n", "url": ""}
    assert plain(admin.put(url, json=by_phone)) == {"text": "By phone", "url": ""}
    assert plain(anonymous.get(url)) == {"text": "By phone", "url": ""}


@pytest.mark.parametrize(
    "address",
    [
        "mailto:help@example.com",
        "MAILTO:help@example.com?subject=Blocked%20program",
        "https://help.example.com",
        "",
    ],
)
def test_a_contact_may_have_an_address(admin: httpx.Client, address: str) -> None:
    response = admin.put("/api/v1/blocked/contact", json={"text": "Help", "url": address})
    assert response.status_code == httpx.codes.OK, response.text


@pytest.mark.parametrize(
    "contact",
    [
        {"url": "http://help.example.com"},
        {"url": "javascript:alert(1)"},
        {"url": "JaVaScRiPt://https://x"},
        {"url": " data:text/html,x"},
        {"url": "//help.example.com"},
        {"url": "https://user@help.example.com"},
        {"url": "https://help.example.com\\x"},
        {"url": "https://a\nb"},
        {"url": "mailto:"},
        {"url": "mailto:a@b@c"},
        {"url": "https://" + "x" * 2000},
        {"text": "x" * 501},
        {"text": "a\u202eb"},
        {"text": "a\u0000b"},
        {"txt": "misspelled"},
    ],
)
def test_a_contact_that_could_deceive_is_refused(admin: httpx.Client, contact: dict[str, str]) -> None:
    response = admin.put("/api/v1/blocked/contact", json={"text": "", "url": "", **contact})
    assert response.status_code == httpx.codes.UNPROCESSABLE_ENTITY
    assert [problem["field"] for problem in response.json()["errors"]] == list(contact)
    assert plain(admin.get("/api/v1/blocked/contact")) == {"text": "", "url": ""}
