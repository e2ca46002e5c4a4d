"""Whatever changes something, hands out secrets or rules, or is refused at the door has an audit entry."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import httpx
import pytest

from santaserver.__main__ import _parser
from santaserver.openapi import build
from tests.conftest import ADMIN, SECRET, add_user, add_viewer
from tests.second_factor.apps import TOTP, App
from tests.second_factor.authenticator import AGAIN, PASSKEYS, SIGN_IN, Authenticator, options
from tests.support.postgres import execute, fetch, value
from tests.support.santa_client import SimulatedMac
from tests.support.server import RunningServer
from tests.sync.helpers import sha

URL = "http://localhost"
SIZE = "select size from audit_head"
LOGIN = {"username": ADMIN[0], "password": ADMIN[1]}
RULE = {"rule_type": "BINARY", "identifier": sha(1), "policy": "BLOCKLIST"}
CONTENT = {"policy": "ALLOWLIST", "cel_expr": None, "custom_msg": "", "custom_url": "", "comment": ""} | {
    "locked": False,
    "starts_at": None,
    "expires_at": None,
}
DEFINITION: dict[str, Any] = {
    "name": "z",
    "description": "",
    "predicate": None,
    "groups": [],
    "enrollments": [],
}
USER = {"username": "eve", "password": "a long password", "roles": []}
ROLE = {"name": "x", "permissions": ["rule:read"]}
TOKEN = {"name": "ci", "permissions": ["rule:read"], "expires_at": "2999-01-01T00:00:00Z"}
ESSENTIAL = {"name": "VPN", "rule_type": "TEAMID", "identifiers": ["ABCDEFGHIJ"]}
CSV = f"layer,rule_type,identifier,policy\nglobal,BINARY,{sha(9)},BLOCKLIST\n"
READS = {
    ("POST", "/tags/order/impact"),
    ("POST", "/tags/predicate"),
    ("POST", "/setup/link"),
    ("POST", "/auth/passkeys/options"),
    ("POST", "/auth/passkeys/reauthenticate/options"),
    ("POST", "/auth/passkeys/sign-in/options"),
}
"""They only answer a question that is too long, or too secret, for an address."""
ELSEWHERE = {("POST", "/setup")}
"""Of nobody who is logged in: users/test_setup.py."""
PROVIDERS = {("POST", "/auth/oidc/backchannel")}
"""The identity provider's own: tests/oidc/test_logout.py has their entries."""


@dataclass
class World:
    """A server with something of everything."""

    server: RunningServer
    admin: httpx.Client
    mac: str
    ids: dict[str, Any]
    app: App | None = None
    passkey: Authenticator = field(default_factory=lambda: Authenticator(origin=URL))

    def size(self) -> int:
        size: int = value(self.server.dsn, SIZE)
        return size


@pytest.fixture
def world(dsn: str) -> Iterator[World]:
    """Return it."""
    with RunningServer(dsn, {"PUBLIC_URL": URL}) as server, server.client() as admin:
        admin.post("/api/v1/auth/login", json=LOGIN).raise_for_status()
        mac = SimulatedMac(server.url, secret=SECRET)
        mac.sync()
        mac.close()
        ids = {
            "rule": admin.post("/api/v1/rules", json=RULE).json()["id"],
            "tag": admin.post("/api/v1/tags", json={"name": "a"}).json()["id"],
            "other": admin.post("/api/v1/tags", json={"name": "b"}).json()["id"],
            "enrollment": admin.post("/api/v1/enrollments", json={"label": "x"}).json(),
            "user": admin.post("/api/v1/users", json=USER).json()["id"],
            "role": admin.post("/api/v1/roles", json=ROLE).json()["id"],
            "group": admin.post("/api/v1/groups", json={"name": "x"}).json()["id"],
            "essential": admin.post("/api/v1/essentials", json=ESSENTIAL).json()["id"],
        }
        yield World(server, admin, mac.machine_id, ids)


def another_session(world: World, username: str = ADMIN[0]) -> int:
    """Log in once more, from another browser; return the session's id."""
    with world.server.client() as client:
        client.post("/api/v1/auth/login", json={**LOGIN, "username": username}).raise_for_status()
        items = client.get("/api/v1/sessions").json()["items"]
        number: int = next(item["id"] for item in items if item["current"])
        return number


def fill(path: str, world: World) -> str:
    """Put the world's objects into a path."""
    return path.replace("/settings/layer", "/settings/layer?layer=tag:b").format(
        rule_id=world.ids["rule"],
        seq=value(world.server.dsn, "select seq from policy_head"),
        tag_id=world.ids["tag"],
        machine_id=world.mac,
        enrollment_id=world.ids["enrollment"]["enrollment"]["id"],
        secret_id=world.ids.get("secret", world.ids["enrollment"]["enrollment"]["secrets"][0]["id"]),
        session_id=world.ids.get("session"),
        user_id=world.ids["user"],
        role_id=world.ids["role"],
        group_id=world.ids["group"],
        essential_id=world.ids["essential"],
        token_id=world.ids.get("token"),
        scim_token_id=world.ids.get("scim_token"),
        passkey_id=world.ids.get("passkey"),
    )


Body = dict[str, Any] | Callable[[World], dict[str, Any] | None] | None


def with_session(world: World) -> None:
    world.ids["session"] = another_session(world)


def with_token(world: World, name: str = "ci") -> dict[str, Any]:
    """Make a token; return what makes another one."""
    body = TOKEN | {"name": name, "expires_at": (world.server.clock() + timedelta(days=1)).isoformat()}
    world.ids["token"] = world.admin.post("/api/v1/tokens", json=body).json()["token"]["id"]
    return body | {"name": name + "2"}


def with_scim_token(world: World) -> dict[str, Any]:
    """Make a SCIM token; return what makes another one."""
    body = {"name": "Entra", "expires_at": (world.server.clock() + timedelta(days=1)).isoformat()}
    world.ids["scim_token"] = world.admin.post("/api/v1/scim/tokens", json=body).json()["token"]["id"]
    return body | {"name": "Okta"}


def with_monitor(world: World) -> None:
    path = f"/api/v1/machines/{world.mac}/monitor-mode"
    world.admin.post(path, json={"minutes": 5, "reason": "x"}).raise_for_status()


def with_member(world: World) -> None:
    world.admin.put(f"/api/v1/tags/{world.ids['tag']}/members/{world.mac}").raise_for_status()


def with_previous_secret(world: World) -> None:
    path = fill("/api/v1/enrollments/{enrollment_id}", world)
    until = (world.server.clock() + timedelta(days=1)).isoformat()
    rotated = world.admin.post(f"{path}/secrets", json={"previous_valid_until": until}).json()
    world.ids["secret"] = rotated["enrollment"]["secrets"][1]["id"]


def with_serials(world: World) -> None:
    path = fill("/api/v1/enrollments/{enrollment_id}/serials", world)
    world.admin.patch(path, json={"add": ["C02A"]}).raise_for_status()


def with_app(world: World) -> dict[str, Any]:
    """Begin to set up an authenticator app; return the code that confirms it."""
    world.app = App(world.admin.post(TOTP).json()["uri"], world.server.clock)
    return {"code": world.app.code()}


def with_pending_login(world: World) -> dict[str, Any]:
    """Enter the password; return the code that the login goes on with."""
    assert world.app is not None
    world.server.clock.advance(seconds=60)  # each code counts once
    assert world.admin.post("/api/v1/auth/login", json=LOGIN).status_code == httpx.codes.ACCEPTED
    return {"code": world.app.code()}


def with_new_passkey(world: World) -> dict[str, Any]:
    """Begin to make a passkey; return what the browser then sends."""
    return world.passkey.make(options(world.admin, PASSKEYS))


def with_passkey(world: World, path: str) -> dict[str, Any]:
    """Begin to use the passkey; return what the browser then sends."""
    return world.passkey.use(options(world.admin, path))


def with_passkey_id(world: World) -> None:
    world.ids["passkey"] = world.admin.get(PASSKEYS).json()["items"][0]["id"]


ACTS: dict[tuple[str, str], tuple[str, Body]] = {
    ("DELETE", "/sessions"): ("sessions_ended", with_session),
    ("DELETE", "/sessions/{session_id}"): ("sessions_ended", with_session),
    ("POST", "/machines/{machine_id}/clean-sync"): ("clean_sync_ordered", {"kind": "clean"}),
    ("POST", "/machines/{machine_id}/monitor-mode"): (
        "monitor_mode_started",
        {"minutes": 5, "reason": "because"},
    ),
    ("DELETE", "/machines/{machine_id}/monitor-mode"): ("monitor_mode_ended", with_monitor),
    ("POST", "/machines/{machine_id}/release"): ("machine_credential_released", None),
    ("DELETE", "/machines/{machine_id}/release"): ("machine_credential_release_withdrawn", None),
    ("POST", "/machines/{machine_id}/retire"): ("machine_retired", None),
    ("POST", "/machines/{machine_id}/restore"): ("machine_restored", None),
    ("POST", "/machines/actions"): (
        "machine_credential_released",
        lambda world: {"action": "release", "machine_ids": [world.mac]},
    ),
    ("POST", "/essentials"): ("essential_created", ESSENTIAL | {"name": "Chat"}),
    ("PATCH", "/essentials/{essential_id}"): ("essential_changed", {"use": "VPN"}),
    ("DELETE", "/essentials/{essential_id}"): ("essential_removed", None),
    ("GET", "/rules/export"): ("rules_exported", None),
    ("POST", "/rules/import"): (
        "rules_imported",
        {"format": "csv", "content": CSV, "reason": "list", "dry_run": False},
    ),
    ("POST", "/changes/{seq}/revert"): ("change_reverted", {"dry_run": False, "reason": "mistake"}),
    ("POST", "/rules"): ("rule_created", {**RULE, "identifier": sha(2)}),
    ("PUT", "/rules/{rule_id}"): ("rule_changed", CONTENT),
    ("PATCH", "/rules/{rule_id}"): ("rule_changed", {"comment": "patched"}),
    ("DELETE", "/rules/{rule_id}"): ("rule_removed", None),
    ("POST", "/tags"): ("tag_created", {"name": "c"}),
    ("PUT", "/tags/order"): (
        "tags_ordered",
        lambda world: {"tags": [one["id"] for one in world.admin.get("/api/v1/tags").json()][::-1]},
    ),
    ("PUT", "/tags/{tag_id}"): ("tag_changed", DEFINITION),
    ("PATCH", "/tags/{tag_id}"): ("tag_changed", {"description": "patched"}),
    ("PUT", "/tags/{tag_id}/members/{machine_id}"): ("tag_member_added", None),
    ("DELETE", "/tags/{tag_id}/members/{machine_id}"): ("tag_member_removed", with_member),
    ("DELETE", "/tags/{tag_id}"): ("tag_removed", None),
    ("PATCH", "/settings"): ("settings_changed", {"batch_size": 33}),
    ("PUT", "/settings/layer"): ("settings_changed", {"values": {"batch_size": 34}, "locked": []}),
    ("PATCH", "/settings/layer"): ("settings_changed", {"values": {"batch_size": 35}}),
    ("POST", "/enrollments"): ("enrollment_created", {"label": "y"}),
    ("PATCH", "/enrollments/{enrollment_id}"): ("enrollment_changed", {"reenroll_retired": True}),
    ("POST", "/enrollments/{enrollment_id}/secrets"): ("enrollment_secret_rotated", {}),
    ("PATCH", "/enrollments/{enrollment_id}/secrets/{secret_id}"): (
        "enrollment_secret_changed",
        {"networks": ["10.0.0.0/8"]},
    ),
    ("DELETE", "/enrollments/{enrollment_id}/secrets/{secret_id}"): (
        "enrollment_secret_ended",
        with_previous_secret,
    ),
    ("PATCH", "/enrollments/{enrollment_id}/serials"): ("enrollment_serials_changed", {"add": ["C02B"]}),
    ("DELETE", "/enrollments/{enrollment_id}/serials"): ("enrollment_serials_changed", with_serials),
    ("POST", "/enrollments/{enrollment_id}/profile"): (
        "profile_downloaded",
        {"payloads": ["notifications"]},
    ),
    ("POST", "/enrollments/{enrollment_id}/revoke"): ("enrollment_revoked", None),
    ("PUT", "/blocked/contact"): ("blocked_contact_changed", {"text": "ask", "url": ""}),
    ("POST", "/users"): ("user_created", {**USER, "username": "ann"}),
    ("PATCH", "/users/{user_id}"): ("user_changed", {"roles": [{"role": "viewer"}]}),
    ("POST", "/roles"): ("role_created", {"name": "Help desk", "permissions": ["rule:read"]}),
    ("PATCH", "/roles/{role_id}"): ("role_changed", {"description": "x"}),
    ("DELETE", "/roles/{role_id}"): ("role_removed", None),
    ("POST", "/groups"): ("group_created", {"name": "Support"}),
    ("PATCH", "/groups/{group_id}"): ("group_changed", {"roles": [{"role": "viewer"}]}),
    ("PUT", "/groups/{group_id}/members/{user_id}"): ("group_member_added", None),
    ("DELETE", "/groups/{group_id}/members/{user_id}"): ("group_member_removed", None),
    ("DELETE", "/groups/{group_id}"): ("group_removed", None),
    ("POST", "/users/{user_id}/setup-link"): ("setup_link_created", None),
    ("DELETE", "/users/{user_id}/second-factor"): ("second_factor_reset", None),
    ("POST", "/auth/second-factor/totp"): ("totp_enrollment_started", None),
    ("POST", "/auth/second-factor/totp/confirm"): ("totp_enabled", with_app),
    ("POST", "/auth/second-factor/recovery-codes"): ("recovery_codes_created", None),
    ("POST", "/auth/second-factor"): ("login", with_pending_login),
    ("POST", "/auth/passkeys"): ("passkey_added", with_new_passkey),
    ("POST", "/auth/passkeys/sign-in"): ("login", lambda world: with_passkey(world, SIGN_IN)),
    ("POST", "/auth/passkeys/reauthenticate"): (
        "reauthenticated",
        lambda world: with_passkey(world, AGAIN),
    ),
    ("DELETE", "/auth/passkeys/{passkey_id}"): ("passkey_removed", with_passkey_id),
    ("DELETE", "/auth/second-factor/totp"): ("totp_removed", None),
    ("POST", "/tokens"): ("token_created", with_token),
    ("POST", "/tokens/{token_id}/rotate"): ("token_rotated", {}),
    ("DELETE", "/tokens/{token_id}"): ("token_revoked", None),
    ("POST", "/scim/tokens"): ("scim_token_created", with_scim_token),
    ("POST", "/scim/tokens/{scim_token_id}/rotate"): ("scim_token_rotated", {}),
    ("DELETE", "/scim/tokens/{scim_token_id}"): ("scim_token_revoked", None),
    ("POST", "/auth/reauthenticate"): ("reauthenticated", {"password": ADMIN[1]}),
    ("DELETE", "/machines/{machine_id}"): ("machine_deleted", None),
    ("GET", "/audit/export"): ("audit_exported", None),
    ("POST", "/audit/checkpoint"): ("audit_checkpoint_ordered", None),
    ("POST", "/auth/password"): (
        "password_changed",
        {"current_password": ADMIN[1], "new_password": "another long password"},
    ),
    ("POST", "/auth/login"): ("login", {**LOGIN, "password": "another long password"}),
    ("DELETE", "/users/{user_id}"): ("user_removed", None),
    ("POST", "/auth/logout"): ("logout", None),
}


def test_each_route_that_changes_or_exports_something_is_in_the_table(world: World) -> None:
    paths = build(world.server.app)["paths"]
    assert isinstance(paths, dict)
    found = {
        (method.upper(), path.removeprefix("/api/v1"))
        for path, operations in paths.items()
        for method in operations
        if method != "get" or path.endswith("/export")
    }
    assert found - READS - ELSEWHERE - PROVIDERS == ACTS.keys()


def test_each_of_them_writes_an_entry(world: World) -> None:
    world.admin.headers["X-Request-Id"] = "request-1"
    number = value(world.server.dsn, "select id from app_user")
    for (method, path), (action, body) in ACTS.items():
        content = body(world) if callable(body) else body
        before = world.size()
        response = world.admin.request(method, fill(f"/api/v1{path}", world), json=content)
        assert response.is_success, (method, path, response.text)
        assert world.size() == before + 1, (method, path)
        (entry,) = fetch(world.server.dsn, "select * from audit_log order by id desc limit 1")
        assert entry["action"] == action, (method, path)
        assert (entry["actor_kind"], entry["actor_name"], entry["actor_id"]) == ("user", ADMIN[0], number)
        assert (entry["request_id"], entry["address"]) == ("request-1", "127.0.0.1"), (method, path)


def test_an_import_that_only_looks_writes_none(world: World) -> None:
    before = world.size()
    body = {"format": "csv", "content": CSV, "dry_run": True}
    assert world.admin.post("/api/v1/rules/import", json=body).is_success
    assert world.size() == before


def test_sessions_of_another_user_are_named(world: World) -> None:
    add_viewer(world.server.dsn)
    session = another_session(world, "viewer")
    world.admin.delete("/api/v1/sessions?username=viewer").raise_for_status()
    (entry,) = fetch(
        world.server.dsn, "select object_id, before::text from audit_log where action = 'sessions_ended'"
    )
    viewer = value(world.server.dsn, "select id from app_user where username = 'viewer'")
    assert entry["object_id"] == str(viewer)
    assert entry["before"] == f'{{"sessions": [{session}], "username": "viewer"}}'


@pytest.mark.parametrize(("username", "known"), [("admin", True), ("my password by mistake", False)])
def test_failed_logins_are_recorded_without_what_was_typed(world: World, username: str, known: bool) -> None:
    with world.server.client() as client:
        client.headers["X-Real-IP"] = "203.0.113.9"
        wrong = {"username": username, "password": "not the password"}
        assert client.post("/api/v1/auth/login", json=wrong).status_code == httpx.codes.UNAUTHORIZED
    (entry,) = fetch(world.server.dsn, "select * from audit_log where action = 'login_failed'")
    assert (entry["actor_kind"], entry["actor_name"], entry["actor_id"]) == ("anonymous", "", None)
    assert entry["address"] == "203.0.113.9"
    number = value(world.server.dsn, "select id from app_user")
    assert entry["object_id"] == (str(number) if known else "*")
    stored = value(
        world.server.dsn,
        "select string_agg(entry || details, '') from audit_leaf join audit_detail using (seq)",
    )
    assert "by mistake" not in stored
    assert "not the password" not in stored


def test_a_flood_of_refused_logins_does_not_fill_the_log(world: World) -> None:
    wrong = {"username": "admin", "password": "wrong"}
    query = (
        "select after->>'attempts' as attempts from audit_log where action = 'login_throttled' order by id"
    )
    world.server.clock.stop()
    with world.server.client() as client:
        client.headers["X-Real-IP"] = "203.0.113.9"
        codes = [client.post("/api/v1/auth/login", json=wrong).status_code for _ in range(25)]
        refused = codes.count(httpx.codes.TOO_MANY_REQUESTS)
        assert refused >= 15
        assert [row["attempts"] for row in fetch(world.server.dsn, query)] == ["1"]
        world.server.clock.advance(minutes=2)
        while client.post("/api/v1/auth/login", json=wrong).status_code != httpx.codes.TOO_MANY_REQUESTS:
            pass
    attempts = [row["attempts"] for row in fetch(world.server.dsn, query)]
    assert attempts == ["1", str(refused)]


COMMANDS: dict[tuple[str, ...], tuple[str, ...] | None] = {
    ("create-admin",): ("Second", "--password-stdin"),
    ("create-enrollment",): ("label",),
    ("revoke-sessions",): ("--all",),
    ("user", "create"): ("ann", "--role", "viewer", "--password-stdin"),
    ("user", "grant"): ("admin", "auditor"),
    ("user", "revoke"): ("viewer", "viewer"),
    ("user", "join-group"): ("viewer", "crew"),
    ("user", "leave-group"): ("gone", "crew"),
    ("user", "set-password"): ("admin", "--password-stdin"),
    ("user", "reset-second-factor"): ("viewer",),
    ("user", "disable"): ("viewer",),
    ("user", "enable"): ("gone",),
    ("user", "list"): None,
    ("token", "create"): ("admin", "deploy", "--permission", "rule:read", "--network", "10.0.0.0/8"),
    ("token", "rotate"): ("1", "--overlap-hours", "2", "--days", "30"),
    ("token", "revoke"): ("1",),
    ("token", "list"): None,
    ("setup-link",): None,  # where there is no administrator: users/test_setup.py
    ("demo",): (),
    ("audit", "export"): (),
    ("audit", "checkpoint"): (),
    ("audit", "erase"): ("--before", "2999-01-01"),
    ("migrate",): None,  # of an empty database: below
    ("backup",): None,  # its output is a file: backup/test_round_trip.py
    ("restore",): None,  # into an empty database: the same
    ("import",): None,  # reads a file: importers/test_import_api.py
    ("serve",): None,
    ("dev",): None,
    ("sessions",): None,
    ("openapi",): None,
    ("permissions",): None,
    ("audit", "verify"): None,
    ("audit", "key"): None,
}
"""Each command, with arguments if it changes something."""


def commands(parser: Any, *before: str) -> Iterator[tuple[str, ...]]:  # noqa: ANN401 - argparse's own
    nested = [
        action
        for action in parser._actions
        if hasattr(action, "choices") and isinstance(action.choices, dict)
    ]
    if not nested:
        yield before
    for name, inner in nested[0].choices.items() if nested else ():
        yield from commands(inner, *before, name)


def test_each_command_is_in_the_table() -> None:
    assert set(commands(_parser())) == COMMANDS.keys()


@pytest.mark.parametrize(
    "words", [words for words, given in COMMANDS.items() if given is not None], ids="-".join
)
def test_each_command_that_changes_something_writes_entries(
    server: RunningServer, admin: httpx.Client, words: tuple[str, ...]
) -> None:
    add_viewer(server.dsn)
    add_user(server.dsn, "gone", "viewer")
    execute(server.dsn, "update app_user set disabled_at = now() where username = 'gone'")
    end = (server.clock() + timedelta(days=1)).isoformat()
    admin.post("/api/v1/tokens", json=TOKEN | {"expires_at": end}).raise_for_status()
    group = admin.post("/api/v1/groups", json={"name": "crew"}).json()["id"]
    gone = value(server.dsn, "select id from app_user where username = 'gone'")
    admin.put(f"/api/v1/groups/{group}/members/{gone}").raise_for_status()
    before = value(server.dsn, SIZE)
    assert admin.get("/api/v1/auth/me").is_success
    given = COMMANDS[words]
    assert given is not None
    done = subprocess.run(  # noqa: S603 - our own command
        [sys.executable, "-m", "santaserver", *words, *given],
        env={"DATABASE_URL": server.dsn, "PATH": os.environ["PATH"]},
        input="correct horse battery\n",
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr + done.stdout
    assert value(server.dsn, SIZE) > before
    (entry,) = fetch(server.dsn, "select * from audit_log order by id desc limit 1")
    assert entry["actor_kind"] == "command_line"


def test_a_migration_is_the_first_entry(dsn: str) -> None:
    (entry,) = fetch(dsn, "select action, object_id, actor_kind from audit_log where id = 0")
    assert entry == {"action": "schema_migrated", "object_id": "0001", "actor_kind": "command_line"}
