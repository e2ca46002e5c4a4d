"""The public answer about a blocked program."""

import hashlib
from typing import Any

import httpx
import pytest

from tests.support.santa_client import SimulatedMac

NOTHING = {"name": "", "publisher": "", "cause": None}


def ask(client: httpx.Client, name: str, machine_id: str = "") -> dict[str, Any]:
    params = {"machine_id": machine_id} if machine_id else {}
    answer = client.get(f"/api/v1/blocked/{hashlib.sha256(name.encode()).hexdigest()}", params=params)
    assert answer.status_code == httpx.codes.OK, answer.text
    told: dict[str, Any] = answer.json()
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
