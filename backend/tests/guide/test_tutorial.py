"""The five-minute tutorial and the examples of the API do what they say."""

import json
import os
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx

from tests.conftest import ADMIN, SECRET
from tests.guide.shell_blocks import run, shell_blocks
from tests.support.postgres import as_server
from tests.support.santa_client import SimulatedMac
from tests.support.server import RunningServer

IN_CONTAINER = "docker compose -f docker/compose.yaml exec -T --workdir /app santaserver /usr/bin/python3.13"
HERE = "http://localhost:8080"
MAC = "TUTORIAL-MAC"
NEEDED = ["machine:read", "rule:read", "rule:write", "tag:read", "tag:write", "event:read", "rule:export"]


def in_days(days: int) -> str:
    """Return a time in the form of the API."""
    return (datetime.now(UTC) + timedelta(days=days)).isoformat()


def values(output: str) -> list[Any]:
    """Return the JSON values that a block printed, one after the other."""
    decoder, found, rest = json.JSONDecoder(), [], output.strip()
    while rest:
        value, end = decoder.raw_decode(rest)
        found.append(value)
        rest = rest[end:].strip()
    return found


def environment(server: RunningServer) -> dict[str, str]:
    """Return what the server's command line needs, and no more."""
    return {
        "PATH": os.environ["PATH"],
        "DATABASE_URL": as_server(server.dsn),
        "PUBLIC_URL": "http://testserver",
        "TUTORIAL_PASSWORD": ADMIN[1],
    }


def test_the_tutorial(server: RunningServer) -> None:
    said = {IN_CONTAINER: sys.executable, HERE: server.url}
    outputs = run(shell_blocks("tutorial"), said, environment(server))
    _, first, macs, rule, second, block = map(values, outputs)
    assert first[0]["sync_type"] == "CLEAN"
    assert macs == [{"hostname": "tutorial.example.com", "santa_version": "2026.7", "sync_state": "in_sync"}]
    identifier = "ABCDE12345:com.example.game"
    assert rule == [{"id": 1, "layer": f"machine:{MAC}", "policy": "BLOCKLIST", "identifier": identifier}]
    kind, rules, _, state = second
    assert kind == {"sync_type": "NORMAL"}
    assert (rules[0]["identifier"], rules[0]["policy"]) == (identifier, "BLOCKLIST")
    assert {one["policy"] for one in rules[1:]} <= {"REMOVE"}
    assert state["sync_state"] == "in_sync"
    assert block[1:] == [{"decision": "BLOCK_SIGNINGID", "file_name": "Game", "executing_user": "alice"}]


def test_the_examples_of_the_api(
    server: RunningServer, admin: httpx.Client, mac: SimulatedMac, tmp_path: Path
) -> None:
    mac.secret = SECRET
    mac.sync()
    mac.block("Game", decision="BLOCK_SIGNINGID")
    body = {"name": "examples", "permissions": NEEDED, "expires_at": in_days(1)}
    token = admin.post("/api/v1/tokens", json=body).raise_for_status().json()["secret"]
    variables = {"PATH": os.environ["PATH"], "SANTA_URL": server.url, "SANTA_TOKEN": token}
    _, macs, silent, _, changed, _, tag, events, export = run(shell_blocks("api"), {}, variables, tmp_path)
    assert macs.split("\t")[0] == mac.machine_id
    assert silent == ""
    assert values(changed)[0]["comment"] == "ticket 4711"
    assert admin.get("/api/v1/rules").json()["items"][0]["layer"] == "tag:design"
    assert values(tag)[0] == {"layer": "tag:design", "identifier": "ABCDE12345"}
    assert events.split("\t")[1:] == [mac.machine_id, "Game", "sim\n"]
    assert {"layer", "rule_type", "identifier", "policy"} <= set(export.strip().split(","))
