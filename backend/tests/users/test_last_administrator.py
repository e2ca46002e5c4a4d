"""One administrator always stays, on whatever way the role could be lost."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from tests.conftest import ADMIN
from tests.support.postgres import execute, value
from tests.support.server import RunningServer
from tests.users.people import GROUPS, USERS, group_with, person, session

LEFT = """select count(distinct u.id) from user_binding b join app_user u on u.id = b.user_id
  where b.role = 'admin' and b.tag_id is null and u.enabled"""


@pytest.fixture
def through_group(server: RunningServer, admin: httpx.Client) -> tuple[int, int]:
    """Make a user the only administrator, by a group; return the ids of user and group."""
    ada = person(server, "ada")
    group = group_with(admin, "Admins", [{"role": "admin"}], [ada])
    with session(server, "ada") as client:
        me = value(server.dsn, "select id from app_user where username = 'admin'")
        assert client.patch(f"{USERS}/{me}", json={"roles": []}).status_code == httpx.codes.OK
    return ada, group


def test_the_role_of_a_group_counts(server: RunningServer, through_group: tuple[int, int]) -> None:
    ada, group = through_group
    requests: list[tuple[str, str, Any]] = [
        ("DELETE", f"{GROUPS}/{group}/members/{ada}", None),
        ("PATCH", f"{GROUPS}/{group}", {"roles": []}),
        ("PATCH", f"{GROUPS}/{group}", {"roles": [{"role": "operator"}]}),
        ("DELETE", f"{GROUPS}/{group}", None),
        ("PATCH", f"{USERS}/{ada}", {"disabled": True}),
        ("DELETE", f"{USERS}/{ada}", None),
    ]
    with session(server, "ada") as client:
        for method, path, body in requests:
            answer = client.request(method, path, json=body)
            assert answer.status_code == httpx.codes.CONFLICT, (method, path)
            assert "Nobody could manage this server" in answer.json()["detail"]
            assert value(server.dsn, LEFT) == 1
        changed = client.patch(f"{USERS}/{ada}", json={"display_name": "Ada", "roles": [{"role": "viewer"}]})
        assert changed.status_code == httpx.codes.OK, "the group still gives the role"


def test_a_role_for_a_tag_or_of_a_service_account_is_no_replacement(
    server: RunningServer, admin: httpx.Client
) -> None:
    admin.post("/api/v1/tags", json={"name": "lab"})
    robot = admin.post(USERS, json={"username": "robot", "kind": "service", "roles": [{"role": "admin"}]})
    assert robot.status_code == httpx.codes.CREATED
    ada = person(server, "ada")
    group_with(admin, "Lab", [{"role": "admin", "tag": "lab"}], [ada])
    group_with(admin, "Robots", [{"role": "admin"}], [robot.json()["id"]])
    me = value(server.dsn, "select id from app_user where username = 'admin'")
    assert admin.patch(f"{USERS}/{me}", json={"roles": []}).status_code == httpx.codes.CONFLICT
    group_with(admin, "Gone", [{"role": "admin"}], [ada])
    execute(server.dsn, "update app_user set deprovisioned_at = now() where id = $1", ada)
    assert admin.patch(f"{USERS}/{me}", json={"disabled": True}).status_code == httpx.codes.CONFLICT
    execute(server.dsn, "update app_user set deprovisioned_at = null where id = $1", ada)
    assert admin.patch(f"{USERS}/{me}", json={"roles": []}).status_code == httpx.codes.OK


def test_the_last_one_without_a_password_is_protected_too(server: RunningServer) -> None:
    """An organization may have administrators at the identity provider only."""
    ada = person(server, "ada", "admin")
    with session(server, "ada") as client:
        execute(server.dsn, "delete from app_user where username = $1", ADMIN[0])
        execute(server.dsn, "update app_user set password_hash = null")
        assert client.patch(f"{USERS}/{ada}", json={"roles": []}).status_code == httpx.codes.CONFLICT
        assert client.patch(f"{USERS}/{ada}", json={"display_name": "Ada L."}).status_code == httpx.codes.OK


def test_of_two_who_take_each_others_role_by_different_ways_one_stays(
    server: RunningServer, admin: httpx.Client
) -> None:
    """One empties the group of the other, while that one disables the first."""
    me = value(server.dsn, "select id from app_user where username = 'admin'")
    ada = person(server, "ada")
    group = group_with(admin, "Admins", [{"role": "admin"}], [ada])
    for _ in range(5):
        with session(server, "admin") as first, session(server, "ada") as second:
            with ThreadPoolExecutor(2) as threads:
                one = threads.submit(first.delete, f"{GROUPS}/{group}/members/{ada}")
                two = threads.submit(second.patch, f"{USERS}/{me}", json={"disabled": True})
            statuses = sorted((one.result().status_code, two.result().status_code))
            assert statuses[0] in {200, 204}
            assert statuses[1] in {401, 403, 409}, statuses
            assert value(server.dsn, LEFT) == 1
        execute(server.dsn, "update app_user set disabled_at = null")
        execute(
            server.dsn,
            "insert into user_group_member values ($1, $2, now()) on conflict do nothing",
            group,
            ada,
        )
