"""Files of many rules: streamed in one snapshot, limited in number, never an incomplete file that looks
complete.
"""

import csv
import io
import json
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from santaserver import rest_body
from santaserver.db import REST_PER_USER
from santaserver.limits import FILES
from tests.conftest import ADMIN
from tests.support.postgres import execute, held, value
from tests.support.santa_client import SimulatedMac
from tests.support.server import RunningServer
from tests.support.sockets import listen_on_loopback
from tests.sync.helpers import sha
from tests.test_processes import Command

MANY = 10_000
FEW = 10
MIB = 1024 * 1024
ONE: dict[str, object] = {
    "format": "csv",
    "content": f"rule_type,identifier,policy\nBINARY,{sha(1)},BLOCKLIST\n",
    "dry_run": False,
}
EXPORT = "/api/v1/rules/export"
IMPORT = "/api/v1/rules/import"


def fill(dsn: str, number: int = MANY, comment: int = 1500) -> None:
    """Store rules past the interface."""
    execute(
        dsn,
        "insert into rule (layer_id, rule_type, identifier, created_at) "
        "select 1, 'BINARY', lpad(to_hex(n), 64, '0'), now() from generate_series(1, $1) n",
        number,
    )
    execute(
        dsn,
        "insert into rule_version (rule_id, layer_id, rule_type, identifier, policy, grants_compiler, "
        "comment, opened_seq, opened_at) "
        "select id, 1, rule_type, identifier, 'BLOCKLIST', false, repeat('x', $1), 0, now() from rule",
        comment,
    )


@contextmanager
def begun(client: httpx.Client, kind: str = "csv") -> Iterator[tuple[httpx.Response, Iterator[bytes]]]:
    """Begin an export and read no more than its first bytes; the rest does not fit into any buffer."""
    with client.stream("GET", EXPORT, params={"format": kind}) as response:
        assert response.status_code == httpx.codes.OK
        parts = response.iter_raw(1000)
        next(parts)
        yield response, parts


def read_on(parts: Iterator[bytes], got: bytearray) -> None:
    """Keep what comes until the connection ends."""
    for part in parts:
        got += part


@pytest.fixture
def second(server: RunningServer) -> Iterator[httpx.Client]:
    """A client with another administrator's session."""
    execute(
        server.dsn,
        "with made as (insert into app_user (username, name_key, display_name, password_hash, created_at) "
        "select 'second', 'second', 'Second', password_hash, created_at from app_user "
        "where username = 'admin' "
        "returning id) insert into binding (user_id, role, created_at) select id, 'admin', now() from made",
    )
    with server.client() as client:
        client.post("/api/v1/auth/login", json={"username": "second", "password": ADMIN[1]})
        yield client


def test_the_memory_that_files_take_does_not_grow_with_them(
    dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    sock = listen_on_loopback()
    url = f"http://127.0.0.1:{sock.getsockname()[1]}"
    monkeypatch.setenv("PUBLIC_URL", url)
    process = Command(dsn, "serve", "--fd", str(sock.fileno()), sock=sock)
    try:
        process.wait_for('"ready"')
        with httpx.Client(base_url=url, timeout=60) as client:
            client.post("/api/v1/auth/login", json={"username": ADMIN[0], "password": ADMIN[1]})
            small, large = few_and_many()
            assert counts(client, small) == FEW
            client.get(EXPORT)
            before = peak(process)
            assert counts(client, large, dry_run=False) == MANY
            files = {kind: client.get(EXPORT, params={"format": kind}).text for kind in ("csv", "json")}
            assert len(files["csv"]) > 10 * MIB
            again = client.post(IMPORT, json={"format": "csv", "content": files["csv"], "dry_run": False})
            assert again.json()["unchanged"] == MANY
            assert len(json.loads(files["json"])["rules"]) == MANY
            assert peak(process) - before < 64 * MIB
    finally:
        process.stop()
        sock.close()


def few_and_many() -> tuple[str, str]:
    lines = [f"BINARY,{number:064x},BLOCKLIST,{'x' * 1200}\n" for number in range(MANY)]
    head = "rule_type,identifier,policy,comment\n"
    return head + "".join(lines[:FEW]), head + "".join(lines)


def counts(client: httpx.Client, content: str, *, dry_run: bool = True) -> int:
    response = client.post(IMPORT, json={"format": "csv", "content": content, "dry_run": dry_run})
    assert response.status_code == httpx.codes.OK, response.text
    added: int = response.json()["added"]
    return added


def peak(process: Command) -> int:
    status = Path(f"/proc/{process.process.pid}/status").read_text()
    found = re.search(r"VmHWM:\s+(\d+) kB", status)
    assert found
    return int(found[1]) * 1024


@pytest.mark.parametrize("kind", ["csv", "json"])
def test_an_export_that_breaks_off_does_not_look_like_a_whole_one(
    server: RunningServer, admin: httpx.Client, kind: str
) -> None:
    fill(server.dsn)
    got = bytearray()
    with begun(admin, kind) as (_, parts):
        execute(
            server.dsn,
            "select pg_terminate_backend(pid) from pg_stat_activity "
            "where datname = current_database() and pid <> pg_backend_pid()",
        )
        with pytest.raises(httpx.RemoteProtocolError):
            read_on(parts, got)
    assert 0 < got.count(b"BLOCKLIST") < MANY
    text = got.decode()
    response = admin.post(IMPORT, json={"format": kind, "content": text})
    assert response.json()["mistakes_total"] >= 1
    assert admin.get(EXPORT, params={"format": kind}).text.count("BLOCKLIST") == MANY


@pytest.mark.parametrize("kind", ["csv", "json"])
def test_an_export_shows_one_moment(server: RunningServer, admin: httpx.Client, kind: str) -> None:
    fill(server.dsn)
    with begun(admin, kind) as (_, parts):
        execute(server.dsn, "update rule_version set comment = 'later'")
        execute(server.dsn, "update rule set removed_at = now() where id % 2 = 0")
        rest = b"".join(parts)
    assert rest.count(b"BLOCKLIST") >= MANY - 10
    assert b"later" not in rest


def test_a_client_that_leaves_frees_its_place_and_its_connection(
    server: RunningServer, admin: httpx.Client
) -> None:
    fill(server.dsn)
    for _ in range(6):
        with begun(admin):
            pass
    assert admin.get(EXPORT, params={"format": "csv"}).text.count("BLOCKLIST") == MANY


def test_exports_are_limited_for_each_user_and_in_all(
    server: RunningServer, admin: httpx.Client, second: httpx.Client
) -> None:
    fill(server.dsn)
    limit = server.app.state.santa.limits.exports
    limit._patience, patience = 0.2, limit._patience
    with begun(admin):
        refused = admin.get(EXPORT)
        assert refused.status_code == httpx.codes.SERVICE_UNAVAILABLE
        assert "Too many exports" in refused.json()["detail"]
        assert int(refused.headers["Retry-After"]) > 0
        assert admin.get("/api/v1/rules").status_code == httpx.codes.OK
        with begun(second):
            assert limit._free == 0
    limit._patience = patience  # the server has yet to notice that the clients left
    assert admin.get(EXPORT).status_code == httpx.codes.OK


def test_a_missing_layer_is_told_before_a_file_begins(admin: httpx.Client) -> None:
    response = admin.get(EXPORT, params={"layer": "tag:nobody"})
    assert response.status_code == httpx.codes.NOT_FOUND
    assert "content-disposition" not in response.headers


def test_imports_are_limited_for_each_user(
    server: RunningServer, admin: httpx.Client, second: httpx.Client
) -> None:
    limit = server.app.state.santa.limits.imports
    limit._patience = 0.1
    lock = "select from policy_head for update"
    with ThreadPoolExecutor(1) as pool, held(server.dsn, lock) as holder:
        first = pool.submit(again, server, admin, "POST", IMPORT, json=ONE)
        holder.until(lambda: limit._free < FILES or first.done())
        refused = admin.post(IMPORT, json=ONE)
        assert refused.status_code == httpx.codes.SERVICE_UNAVAILABLE
        assert "Too many imports" in refused.json()["detail"]
        assert second.post(IMPORT, json=ONE | {"dry_run": True}).status_code == httpx.codes.OK
        assert not first.done()
    assert first.result().json()["added"] == 1


def test_an_import_has_a_deadline(
    server: RunningServer, admin: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    with held(server.dsn, "select from policy_head for update"), monkeypatch.context() as patch:
        patch.setattr(rest_body, "IMPORT_DEADLINE", 0.3)
        late = admin.post(IMPORT, json=ONE)
        assert late.status_code == httpx.codes.SERVICE_UNAVAILABLE
        assert "in time" in late.json()["detail"]
    assert value(server.dsn, "select count(*) from rule") == 0
    assert admin.post(IMPORT, json=ONE).json()["added"] == 1


def again(
    server: RunningServer,
    other: httpx.Client,
    method: str,
    path: str,
    **options: Any,  # noqa: ANN401
) -> httpx.Response:
    """Make a request of the same session on a connection of its own."""
    with server.client() as client:
        client.cookies = other.cookies
        return client.request(method, path, **options)


def test_searches_of_one_session_leave_connections_to_others(
    server: RunningServer, admin: httpx.Client, viewer: httpx.Client
) -> None:
    pool = server.app.state.santa.database._rest
    with ThreadPoolExecutor(40) as threads:
        with held(server.dsn, "lock table rule in access exclusive mode") as holder:
            searches = [
                threads.submit(again, server, admin, "GET", "/api/v1/rules", params={"q": f"x{number}"})
                for number in range(40)
            ]
            holder.until(lambda: pool._limiter._waiting >= 40 - REST_PER_USER)
            assert pool._lent == REST_PER_USER
            for _ in range(20):
                assert viewer.get("/api/v1/machines").status_code == httpx.codes.OK
        assert {search.result().status_code for search in searches} == {httpx.codes.OK}


def test_layers_of_a_file_are_found_and_made_at_once(
    server: RunningServer, admin: httpx.Client, mac: SimulatedMac
) -> None:
    mac.sync()
    known = f"machine:{mac.machine_id}"
    admin.post("/api/v1/tags", json={"name": "Lab"})
    layers = ["tag:LAB", "user:Lena", "user:max", known, "machine:MAC-2", "tag:none", "global"]
    rows = [
        {"layer": layer, "rule_type": "BINARY", "identifier": sha(1), "policy": "BLOCKLIST"}
        for layer in layers
    ]
    rows += [rows[0] | {"layer": "tag:lab"}, rows[0] | {"layer": "user:LENA", "identifier": sha(2)}]
    text = json.dumps(rows)
    plan = admin.post(IMPORT, json={"format": "json", "content": text}).json()
    assert sorted((one["field"], one["message"][:12]) for one in plan["mistakes"]) == [
        ("identifier", "Line 1 has a"),
        ("layer", "There is no "),
        ("layer", "There is no "),
    ]
    kept = json.dumps([row for row in rows if row["layer"] not in {"machine:MAC-2", "tag:none", "tag:lab"}])
    done = admin.post(IMPORT, json={"format": "json", "content": kept, "dry_run": False}).json()
    assert [one["layer"] for one in done["changes"]] == [
        *("tag:Lab", "user:lena", "user:max", known, "global", "user:lena"),
    ]
    assert value(server.dsn, "select count(*) from layer where used") == 5
    exported = list(csv.DictReader(io.StringIO(admin.get(EXPORT, params={"format": "csv"}).text)))
    assert [row["layer"] for row in exported] == [
        *("global", known, "tag:Lab", "user:lena", "user:lena", "user:max"),
    ]
