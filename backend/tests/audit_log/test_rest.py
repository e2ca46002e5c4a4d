"""The audit log over REST: filters, pages, export, checkpoints."""

import asyncio
import http.server
import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from santaserver.audit_log.erasure import erase_outlived
from santaserver.audit_log.notes import Verifier, read_all
from santaserver.audit_log.verify import verify
from santaserver.database_settings import DatabaseSettings
from santaserver.db import Database
from tests.audit_log.helpers import append, made, spoil
from tests.conftest import ADMIN
from tests.support.postgres import execute, fetch, value
from tests.support.server import RunningServer
from tests.sync.helpers import add_rule, change_rule, remove_rule, sha

PATH = "/api/v1/audit"


def listed(client: httpx.Client, **filters: str | int) -> list[dict[str, Any]]:
    response = client.get(PATH, params=filters)
    assert response.status_code == httpx.codes.OK, response.text
    items: list[dict[str, Any]] = response.json()["items"]
    return items


def test_an_entry_says_who_what_where_and_why(admin: httpx.Client) -> None:
    admin.headers.update({"X-Request-Id": "request-9", "X-Real-IP": "2001:db8::7"})
    rule = add_rule(admin, sha(1), reason="seen on a stick")
    change_rule(admin, rule, "ALLOWLIST", reason="it is fine")
    remove_rule(admin, rule)
    removed, changed, created, *_ = listed(admin)
    assert [one["action"] for one in (created, changed, removed)] == [
        "rule_created",
        "rule_changed",
        "rule_removed",
    ]
    assert (created["actor_kind"], created["actor_name"]) == ("user", ADMIN[0])
    assert (created["object_type"], created["object_id"]) == ("rule", str(rule))
    assert (created["address"], created["request_id"]) == ("2001:db8::7", "request-9")
    assert (created["reason"], changed["reason"]) == ("seen on a stick", "it is fine")
    assert (created["before"], removed["after"]) == (None, None)
    assert created["after"] == changed["before"]
    assert changed["after"]["policy"] == "ALLOWLIST"
    assert (created["policy_seq"], changed["policy_seq"], removed["policy_seq"]) == (1, 2, 3)
    assert (removed["seq"], removed["erased"]) == (created["seq"] + 2, False)


def test_filters_and_pages(server: RunningServer, admin: httpx.Client) -> None:
    server.clock.advance(days=1)
    first, second = add_rule(admin, sha(1)), add_rule(admin, sha(2))
    border = server.clock()
    server.clock.advance(days=1)
    remove_rule(admin, first)
    admin.put("/api/v1/blocked/contact", json={"text": "ask us", "url": ""})
    everything = [one["action"] for one in listed(admin)]
    assert everything == [
        "blocked_contact_changed",
        "rule_removed",
        "rule_created",
        "rule_created",
        "login",
        "enrollment_created",
        "user_created",
        "schema_migrated",
    ]
    assert len(listed(admin, action="rule_created")) == 2
    assert [one["action"] for one in listed(admin, object_type="rule", object_id=str(first))] == [
        "rule_removed",
        "rule_created",
    ]
    assert [one["action"] for one in listed(admin, actor="system")] == everything[5:]
    assert len(listed(admin, actor_kind="command_line")) == 3
    assert len(listed(admin, actor="admin", action="rule_created", object_id=str(second))) == 1
    assert [one["action"] for one in listed(admin, since=border.isoformat())] == everything[:2]
    assert [one["action"] for one in listed(admin, until=border.isoformat())] == everything[2:]
    assert listed(admin, actor="nobody") == listed(admin, object_id="0") == []
    pages = [admin.get(PATH, params={"limit": 3}).json()]
    while cursor := pages[-1]["next_cursor"]:
        pages.append(admin.get(PATH, params={"limit": 3, "cursor": cursor}).json())
    assert [one["action"] for page in pages for one in page["items"]] == everything
    assert [len(page["items"]) for page in pages] == [3, 3, 2]


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("since=yesterday", httpx.codes.UNPROCESSABLE_ENTITY),
        ("since=2026-01-01T00:00:00", httpx.codes.UNPROCESSABLE_ENTITY),
        ("actor_kind=robot", httpx.codes.UNPROCESSABLE_ENTITY),
        ("who=me", httpx.codes.UNPROCESSABLE_ENTITY),
        ("cursor=x", httpx.codes.BAD_REQUEST),
        ("limit=0", httpx.codes.UNPROCESSABLE_ENTITY),
        ("action=%00", httpx.codes.UNPROCESSABLE_ENTITY),
        ("actor='%20or%20true--", httpx.codes.OK),
    ],
)
def test_bad_filters_are_refused(admin: httpx.Client, query: str, status: int) -> None:
    assert admin.get(f"{PATH}?{query}").status_code == status


@pytest.mark.parametrize(
    ("method", "path"), [("GET", ""), ("GET", "/export"), ("GET", "/checkpoint"), ("POST", "/checkpoint")]
)
def test_the_log_is_not_for_everybody(
    server: RunningServer, viewer: httpx.Client, anonymous: httpx.Client, method: str, path: str
) -> None:
    before = value(server.dsn, "select size from audit_head")
    assert viewer.request(method, PATH + path).status_code == httpx.codes.FORBIDDEN
    assert anonymous.request(method, PATH + path).status_code == httpx.codes.UNAUTHORIZED
    assert value(server.dsn, "select size from audit_head") == before


def test_an_export_has_all_entries_its_own_too(server: RunningServer, admin: httpx.Client) -> None:
    append(server.dsn, [made(number) for number in range(3)])
    execute(
        server.dsn,
        "select audit_append(array_agg(entry), array_agg(salt), array_agg(details)) "
        "from audit_leaf join audit_detail using (seq), generate_series(1, 200)",
    )
    response = admin.get(f"{PATH}/export")
    assert response.headers["content-type"] == "application/jsonl"
    assert "santaserver-audit.jsonl" in response.headers["content-disposition"]
    result = verify(response.content.splitlines())
    assert result.fault is None
    assert result.size == value(server.dsn, "select size from audit_head") > 1000
    assert b"audit_exported" in response.content.splitlines()[-2]


@pytest.fixture
def key(tmp_path: Path) -> Path:
    """Return a key as an administrator makes it."""
    path = tmp_path / "audit.pem"
    subprocess.run(["openssl", "genpkey", "-algorithm", "ed25519", "-out", str(path)], check=True)  # noqa: S603, S607
    return path


@pytest.fixture
def hook() -> Iterator[tuple[str, list[bytes]]]:
    """Return the URL of a web hook, and what it was sent."""
    received: list[bytes] = []

    class Hook(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            received.append(self.rfile.read(int(self.headers["content-length"])))
            if self.path.startswith("/moved"):
                self.send_response(302)
                self.send_header("Location", "/hook")
            else:
                self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hook) as serving:
        thread = threading.Thread(target=serving.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{serving.server_port}/hook", received
        serving.shutdown()
        thread.join()


@contextmanager
def login(server: RunningServer) -> Iterator[httpx.Client]:
    with server.client() as client:
        who = {"username": ADMIN[0], "password": ADMIN[1]}
        client.post("/api/v1/auth/login", json=who).raise_for_status()
        yield client


def command(*arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run a command of the backend as an administrator does."""
    return subprocess.run(  # noqa: S603 - constants
        [sys.executable, "-m", "santaserver", "audit", *arguments],
        env={"PATH": os.environ["PATH"], **environ},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_a_checkpoint_goes_to_the_log_a_file_and_a_web_hook(
    dsn: str,
    key: Path,
    tmp_path: Path,
    hook: tuple[str, list[bytes]],
    caplog: pytest.LogCaptureFixture,
) -> None:
    url, received = hook
    notes, exported = tmp_path / "notes", tmp_path / "export"
    environ = {
        "AUDIT_KEY_FILE": str(key),
        "AUDIT_ORIGIN": "santa.example.com/audit",
        "AUDIT_CHECKPOINT_FILE": str(notes),
        "AUDIT_CHECKPOINT_URL": url,
    }
    caplog.set_level(logging.INFO)
    with RunningServer(dsn, environ) as server, login(server) as admin:
        rule = add_rule(admin, sha(1))
        made = admin.post(f"{PATH}/checkpoint").json()
        assert admin.get(f"{PATH}/checkpoint").json() == made
        remove_rule(admin, rule)
        exported.write_bytes(admin.get(f"{PATH}/export").content)
    assert made["signed"] is True
    (note,) = read_all(made["note"])
    assert (note.origin, note.size, note.root.hex()) == (
        "santa.example.com/audit",
        made["size"],
        made["root"],
    )
    assert note.signed_by(Verifier.read(made["verifier_key"]))
    assert made["note"].encode() in received
    assert made["note"] in notes.read_text()
    assert any(
        "audit checkpoint" in line and f"| {made['size']} |" in line and "unsigned" not in line
        for line in caplog.messages
    )
    assert command("key", **environ).stdout.strip() == made["verifier_key"]
    verifying = ("verify", str(exported), "--checkpoint", str(notes), "--key", made["verifier_key"])
    done = command(*verifying)
    assert done.returncode == 0
    assert done.stdout.startswith("good: ")
    assert "checkpoints agree" in done.stdout
    exported.write_bytes(exported.read_bytes().replace(b"rule_created", b"rule_CREATED"))
    done = command(*verifying)
    assert done.returncode == 1
    assert "BAD: first bad entry 4: " in done.stdout
    notes.write_text(notes.read_text().replace("santa.example.com", "other.example.com"))
    done = command(*verifying)
    assert done.returncode == 1
    assert "do not trust it" in done.stderr


def test_without_a_key_checkpoints_are_unsigned_and_said_to_be_so(
    admin: httpx.Client, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    made = admin.post(f"{PATH}/checkpoint").json()
    assert (made["signed"], made["verifier_key"]) == (False, None)
    assert any("audit checkpoint (unsigned" in line for line in caplog.messages)


def test_a_checkpoint_tells_when_the_log_is_not_what_it_was(
    server: RunningServer, admin: httpx.Client, caplog: pytest.LogCaptureFixture
) -> None:
    admin.post(f"{PATH}/checkpoint").raise_for_status()
    add_rule(admin, sha(1))
    admin.post(f"{PATH}/checkpoint").raise_for_status()
    assert not any("not what it was" in line for line in caplog.messages)
    spoil(
        server.dsn,
        "update audit_checkpoint set root = sha256('x') where id = (select max(id) from audit_checkpoint)",
    )
    admin.post(f"{PATH}/checkpoint").raise_for_status()
    assert any("not what it was" in line for line in caplog.messages)


def test_a_hook_that_does_not_answer_is_logged(dsn: str, caplog: pytest.LogCaptureFixture) -> None:
    environ = {"AUDIT_CHECKPOINT_URL": "http://127.0.0.1:9/", "AUDIT_CHECKPOINT_FILE": "/nowhere/notes"}
    with RunningServer(dsn, environ) as server, login(server) as admin:
        assert admin.post(f"{PATH}/checkpoint").status_code == httpx.codes.OK
    lines = [line for line in caplog.messages if "could not be sent" in line]
    assert any("127.0.0.1:9" in line for line in lines)
    assert any("/nowhere/notes" in line for line in lines)


def test_a_hook_that_sends_elsewhere_is_not_followed_and_its_path_is_not_logged(
    dsn: str, hook: tuple[str, list[bytes]], caplog: pytest.LogCaptureFixture
) -> None:
    url, received = hook
    environ = {"AUDIT_CHECKPOINT_URL": url.replace("/hook", "/moved/secret-token?key=1")}
    with RunningServer(dsn, environ) as server, login(server) as admin:
        note = admin.post(f"{PATH}/checkpoint").json()["note"]
    assert received.count(note.encode()) == 1
    lines = [line for line in caplog.messages if "could not be sent" in line]
    assert any("status 302" in line for line in lines)
    assert not any("secret-token" in line for line in lines)


def test_erased_details_leave_a_log_that_verifies(
    server: RunningServer, admin: httpx.Client, tmp_path: Path
) -> None:
    add_rule(admin, sha(1))
    path = tmp_path / "export"
    for arguments in (
        ("erase", "--before", "1999-01-01"),
        ("erase", "--before", "2999-01-01"),
        ("export", "--output", str(path)),
    ):
        done = command(*arguments, DATABASE_URL=server.dsn)
        assert done.returncode == 0, done.stderr
    result = verify(path.read_bytes().splitlines())
    assert (result.fault, result.erased) == (None, 5)
    entry = listed(admin, action="rule_created")[0]
    assert entry["erased"] is True
    assert (entry["actor_name"], entry["after"], entry["address"]) == (None, None, None)
    assert sha(1).encode() not in path.read_bytes()


def test_details_are_erased_when_their_days_are_over(dsn: str) -> None:
    server = RunningServer(dsn, {"AUDIT_DETAIL_RETENTION_DAYS": "30"})
    server.clock.advance(days=40)
    with server, login(server) as admin:
        deadline = time.monotonic() + 30
        while value(dsn, "select count(*) from audit_detail where seq < 3"):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        result = verify(admin.get(f"{PATH}/export").content.splitlines())
    assert (result.fault, result.erased) == (None, 3)
    (entry,) = fetch(dsn, "select * from audit_log where action = 'audit_details_erased'")
    assert (entry["actor_kind"], entry["object_id"]) == ("schedule", "0-2")


def test_only_whole_days_are_erased_and_only_once(dsn: str) -> None:
    (known,) = fetch(dsn, "select min(at) as first, max(at) as last from audit_log")
    first, last = (known[name].replace(hour=0, minute=0, second=0) for name in ("first", "last"))
    days = timedelta(days=30)
    moments = [first + days, last + days + timedelta(hours=23), last + days + timedelta(days=1)]

    async def erased() -> list[int]:
        database = Database(DatabaseSettings.model_validate({"DATABASE_URL": dsn}))
        try:
            return [await erase_outlived(database, 30, moment) for moment in (*moments, moments[-1])]
        finally:
            await database.close()

    none, some, rest, again = asyncio.run(erased())
    assert (none, some + rest, again) == (0, 3, 0)
    if first == last:
        assert some == 0
