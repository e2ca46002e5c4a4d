"""The database goes away in the middle of a change: nothing is half done, and it can be repeated."""

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.conftest import ADMIN
from tests.support.fake_postgres import Forwarder
from tests.support.postgres import Cluster, held, value
from tests.support.rest_client import RestClient
from tests.support.server import RunningServer

LOGIN = {"username": ADMIN[0], "password": ADMIN[1]}
RULE = {"rule_type": "TEAMID", "identifier": "ABCDEFGHIJ", "policy": "ALLOWLIST"}
CSV = "layer,rule_type,identifier,policy\nglobal,TEAMID,ABCDEFGHIK,ALLOWLIST\n"
WAITING = """select count(*) from pg_stat_activity
  where datname = current_database() and wait_event_type = 'Lock'"""
STATE = """select (select count(*) from audit_log) || ' ' || (select seq from policy_head) || ' '
  || (select count(*) from rule_version) || ' ' || (select count(*) from setting_version)"""


@pytest.fixture
def away(cluster: Cluster, dsn: str) -> Iterator[Cluster]:
    """The cluster, to be restarted; it is back at the end."""
    yield cluster
    assert dsn
    cluster.ensure_running()


@contextmanager
def logged_in(server: RunningServer) -> Iterator[RestClient]:
    """Give a client that sends just the headers that it is given."""
    with server.client() as client:
        client.post("/api/v1/auth/login", json=LOGIN).raise_for_status()
        client.careful = True
        yield client


def sent(client: RestClient, change: tuple[str, str, Any], etag: str | None) -> httpx.Response:
    """Send a change of a version."""
    method, path, body = change
    headers = {} if etag is None else {"If-Match": etag}
    return client.request(method, f"/api/v1{path}", json=body, headers=headers)


def test_a_restart_during_changes_undoes_them_and_they_can_be_repeated(away: Cluster, dsn: str) -> None:
    with RunningServer(dsn, {"CONFIRM_ABOVE": "100%"}) as server, logged_in(server) as client:
        rule = client.post("/api/v1/rules", json=RULE).json()
        tag = client.post("/api/v1/tags", json={"name": "lab"}).json()
        settings = client.get("/api/v1/settings").headers["etag"]
        changes = [
            (("PATCH", f"/rules/{rule['id']}", {"comment": "x"}), rule["etag"]),
            (("PATCH", "/settings", {"batch_size": 7}), settings),
            (("DELETE", f"/tags/{tag['id']}", None), tag["etag"]),
            (("POST", "/rules/import", {"format": "csv", "content": CSV, "dry_run": False}), None),
        ]
        before = value(dsn, STATE)
        with ThreadPoolExecutor(len(changes)) as threads:
            with held(dsn, "select from policy_head for update") as holder:
                results: list[Future[httpx.Response]] = [
                    threads.submit(sent, client, change, etag) for change, etag in changes
                ]
                holder.until(lambda: value(dsn, WAITING) >= len(changes))
                away.pause()
                away.resume()
            answers = [result.result() for result in results]
        for answer in answers:
            assert answer.status_code == httpx.codes.SERVICE_UNAVAILABLE, answer.text
            assert answer.headers["content-type"] == "application/problem+json"
            assert "try again" in answer.json()["detail"]
            assert answer.headers["retry-after"]
        assert value(dsn, STATE) == before
        for change, etag in changes:
            repeated = sent(client, change, etag)
            assert repeated.is_success, repeated.text


@pytest.mark.parametrize("stored", [True, False])
def test_a_change_whose_commit_is_not_answered_can_be_repeated(
    cluster: Cluster, dsn: str, tmp_path: Path, stored: bool
) -> None:
    forwarder = Forwarder(tmp_path, cluster.folder)
    try:
        with (
            RunningServer(dsn.replace(str(cluster.folder), str(tmp_path))) as server,
            logged_in(server) as client,
        ):
            rule = client.post("/api/v1/rules", json=RULE).json()
            change = ("PATCH", f"/rules/{rule['id']}", {"comment": "lost on its way", "reason": "mine"})
            forwarder.lose_commit_of(b"lost on its way", stored=stored)
            answer = sent(client, change, rule["etag"])
            forwarder.ambush = None
            assert answer.status_code == httpx.codes.SERVICE_UNAVAILABLE, answer.text
            assert "may or may not have happened" in answer.json()["detail"]
            assert answer.headers["retry-after"]
            repeated = sent(client, change, rule["etag"])
            present = client.get(f"/api/v1/rules/{rule['id']}").json()
            assert present["comment"] == "lost on its way"
            assert value(dsn, "select count(*) from audit_log where action = 'rule_changed'") == 1
            if not stored:
                assert repeated.status_code == httpx.codes.OK
                return
            assert repeated.status_code == httpx.codes.PRECONDITION_FAILED
            (told,) = repeated.json()["changes"]
            assert (told["actor"], told["reason"], told["fields"]) == (ADMIN[0], "mine", ["comment"])
            assert repeated.json()["current"] == present
    finally:
        forwarder.stop()
