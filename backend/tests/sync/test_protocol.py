"""The protocol's edges over HTTP: probes, ids, encodings, stages beside the four."""

import httpx
import pytest

from tests.support.postgres import value
from tests.support.santa_client import SimulatedMac
from tests.support.server import RunningServer
from tests.sync.helpers import add_rule, effective, sha


def test_the_doctors_probe_is_answered_and_makes_no_machine(server: RunningServer) -> None:
    with server.client() as client:
        response = client.post("/api/santa/preflight/santactl-doctor-test")
    assert (response.status_code, response.json()) == (200, {})
    assert value(server.dsn, "select count(*) from machine") == 0


@pytest.mark.parametrize(
    "machine_id", ["a/b/c", "Ünï cödé", "%41", "..", "x" * 1000, "'; drop table machine"]
)
def test_any_text_can_be_a_machine_id(server: RunningServer, machine_id: str) -> None:
    mac = SimulatedMac(server.url)
    with server.client() as client:
        quoted = "".join(f"%{byte:02X}" for byte in machine_id.encode())
        response = client.post(f"/api/santa/preflight/{quoted}", json=mac.preflight_body())
    assert response.status_code == httpx.codes.OK, response.text
    assert value(server.dsn, "select machine_id from machine") == machine_id
    mac.close()


@pytest.mark.parametrize("encoding", ["deflate", "zlib", "gzip", "none"])
def test_a_whole_sync_works_in_every_content_encoding(
    server: RunningServer, admin: httpx.Client, encoding: str
) -> None:
    add_rule(admin, sha(1))
    mac = SimulatedMac(server.url, encoding=encoding)
    mac.sync()
    assert mac.rules == effective(admin)
    mac.close()


def test_xsrf_and_metrics_are_answered(mac: SimulatedMac) -> None:
    token = mac.post_raw("xsrf", b"")
    assert token.status_code == httpx.codes.OK
    assert token.headers["x-xsrf-token"]
    assert mac.post_raw("metrics", b'{"metrics":[]}').status_code == httpx.codes.OK


def test_an_unknown_stage_and_an_unknown_machine_are_named(mac: SimulatedMac) -> None:
    assert mac.post_raw("commands", b"{}").status_code == httpx.codes.NOT_FOUND
    assert mac.post_raw("ruledownload", b"{}").status_code == httpx.codes.NOT_FOUND
