"""Sessions of those who may change users are shorter."""

import httpx
import pytest

from tests.support.server import LONG_SESSIONS, RunningServer
from tests.users.people import ROLES, USERS, made, person, session

ME = "/api/v1/auth/me"
USUAL = dict.fromkeys(LONG_SESSIONS, "")
"""What holds without configuration."""


def is_over(client: httpx.Client) -> bool:
    return client.get(ME).status_code == httpx.codes.UNAUTHORIZED


@pytest.mark.parametrize(
    ("environ", "role", "idle", "absolute"),
    [
        ({}, "viewer", 480, 12),
        ({}, "operator", 480, 12),
        ({}, "admin", 30, 8),
        ({"SESSION_ADMIN_IDLE_MINUTES": "60", "SESSION_ADMIN_HOURS": "2"}, "admin", 60, 2),
        ({"SESSION_IDLE_MINUTES": "10", "SESSION_HOURS": "1"}, "admin", 10, 1),
        ({"SESSION_IDLE_MINUTES": "10", "SESSION_HOURS": "1"}, "auditor", 10, 1),
    ],
)
def test_limits_depend_on_what_the_user_may_do(
    dsn: str, environ: dict[str, str], role: str, idle: int, absolute: int
) -> None:
    with RunningServer(dsn, USUAL | environ) as server:
        person(server, "ada", role)
        with session(server, "ada") as client:
            server.clock.advance(minutes=idle - 1)
            assert not is_over(client)
            server.clock.advance(minutes=idle + 1)
            assert is_over(client)
        with session(server, "ada") as client:
            step = min(idle - 1, 25)
            for _ in range(absolute * 60 // step):
                assert not is_over(client)
                server.clock.advance(minutes=step)
            server.clock.advance(minutes=step)
            assert is_over(client)


def test_a_role_that_is_given_shortens_sessions_there_are(dsn: str) -> None:
    with RunningServer(dsn, USUAL) as server, session(server, "admin") as admin:
        made(admin, ROLES, name="Manager", permissions=["user:read", "user:write"])
        ada = person(server, "ada", "viewer")
        with session(server, "ada") as client:
            admin.patch(f"{USERS}/{ada}", json={"roles": [{"role": "Manager"}]}).raise_for_status()
            assert not is_over(client)
            server.clock.advance(minutes=31)
            assert is_over(client)


def test_a_list_shows_when_a_session_really_ends(dsn: str) -> None:
    with RunningServer(dsn, USUAL) as server, session(server, "admin") as admin:
        server.clock.stop()
        person(server, "ada", "viewer")
        with session(server, "ada") as client:
            assert not is_over(client)
            items = admin.get("/api/v1/sessions?everybody=true").json()["items"]
            left = {one["username"]: one["expires_at"] for one in items}
        assert left["admin"] < left["ada"]
        server.clock.advance(minutes=31)
        with session(server, "admin") as again:
            names = [one["username"] for one in again.get("/api/v1/sessions?everybody=true").json()["items"]]
            assert sorted(names) == ["ada", "admin"], "the session that has run out is not listed"
