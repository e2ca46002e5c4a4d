"""Groups: their roles and members, and what is refused."""

import time

import httpx
import pytest

from tests.support.postgres import execute, value
from tests.support.server import RunningServer
from tests.users.people import GROUPS, ROLES, USERS, group_with, made, permissions, person, session


def test_the_roles_of_a_group_come_on_top_of_the_own_ones(server: RunningServer, admin: httpx.Client) -> None:
    for tag in ("lab", "office"):
        made(admin, "/api/v1/tags", name=tag)
    ada = person(server, "ada", "viewer")
    group = group_with(admin, "Lab", [{"role": "operator", "tag": "lab"}], [ada])
    with session(server, "ada") as client:
        may = permissions(client)
        assert (may["rule:read"], may["rule:write"]) == (None, ["lab"])
        assert "user:read" not in may
        office = made(admin, GROUPS, name="Office", roles=[{"role": "approver", "tag": "office"}])["id"]
        admin.put(f"{GROUPS}/{office}/members/{ada}")
        assert permissions(client)["rule:write"] == ["lab", "office"]
        assert permissions(client)["tag:assign"] == ["lab"]
        me = client.get("/api/v1/auth/me").json()["roles"]
        assert [(one["role"], one["group"]) for one in me] == [
            ("viewer", None),
            ("operator", "Lab"),
            ("approver", "Office"),
        ]
        admin.delete(f"{GROUPS}/{group}/members/{ada}")
        assert permissions(client)["rule:write"] == ["office"]
        admin.delete(f"{GROUPS}/{office}")
        assert "rule:write" not in permissions(client)
    assert admin.get(f"{USERS}/{ada}").json()["groups"] == []


@pytest.mark.parametrize(
    "statement",
    [
        "delete from user_group_member",
        "delete from binding where group_id is not null",
        "delete from user_group",
        "update binding set role = 'requester' where group_id is not null",
    ],
)
def test_a_change_of_a_group_reaches_sessions_of_another_worker(
    server: RunningServer, admin: httpx.Client, statement: str
) -> None:
    group_with(admin, "Lab", [{"role": "viewer"}], [person(server, "ada")])
    with session(server, "ada") as client:
        assert client.get("/api/v1/rules").status_code == httpx.codes.OK
        execute(server.dsn, statement)
        deadline = time.monotonic() + 5
        while client.get("/api/v1/rules").status_code != httpx.codes.FORBIDDEN:
            assert time.monotonic() < deadline
            time.sleep(0.02)


def test_a_session_gets_another_id_when_its_group_gets_another_role(
    server: RunningServer, admin: httpx.Client
) -> None:
    ada, ben = person(server, "ada"), person(server, "ben", "viewer")
    group = group_with(admin, "Lab", [], [ada])
    role = made(admin, ROLES, name="Reader", permissions=["rule:read"])["id"]
    changes = (
        ("PATCH", f"{GROUPS}/{group}", {"roles": [{"role": "Reader"}]}),
        ("PATCH", f"{ROLES}/{role}", {"permissions": ["rule:read", "tag:read"]}),
        ("DELETE", f"{GROUPS}/{group}/members/{ada}", None),
        ("PUT", f"{GROUPS}/{group}/members/{ada}", None),
        ("DELETE", f"{GROUPS}/{group}", None),
    )
    with session(server, "ada") as client, session(server, "ben") as other:
        before = other.cookies["santa_session"]
        for method, path, body in changes:
            known = client.cookies["santa_session"]
            assert admin.request(method, path, json=body).is_success, path
            assert client.get("/api/v1/auth/me").status_code == httpx.codes.OK
            assert client.cookies["santa_session"] != known, (method, path)
        assert other.get("/api/v1/auth/me").status_code == httpx.codes.OK
        assert other.cookies["santa_session"] == before, "others keep theirs"
    assert value(server.dsn, "select count(*) from app_user where id = $1", ben) == 1


def test_a_name_is_taken_whatever_case_or_letters_it_is_written_with(admin: httpx.Client) -> None:
    made(admin, GROUPS, name="Help Desk")
    letters = ("\u041d\u0435lp Desk", "Help\u200b Desk", "\uff28elp Desk", "\u0397elp Desk")
    for name in ("help desk", "HELP  DESK", *letters):
        assert admin.post(GROUPS, json={"name": name}).status_code == httpx.codes.CONFLICT, name
    other = made(admin, GROUPS, name="Hélp Desk")
    assert admin.patch(f"{GROUPS}/{other['id']}", json={"name": "hELP desk"}).status_code == 409
    made(admin, GROUPS, source="claim", name="Help Desk", external_id="7f0c")


@pytest.mark.parametrize(
    "body",
    [
        {"name": ""},
        {"name": "  "},
        {"name": "\u200b\u2060"},
        {"name": "a\nb"},
        {"name": "a\u202eb"},
        {"name": "x", "source": "scim"},
        {"name": "x", "source": "claim"},
        {"name": "x", "source": "app_role", "external_id": " "},
        {"name": "x", "external_id": "1"},
        {"name": "x", "roles": [{"role": "root"}]},
        {"name": "x", "roles": [{"role": "viewer", "tag": "nowhere"}]},
        {"name": "x", "roles": [{"role": "viewer", "from_provider": True}]},
        {"name": "x", "members": [1]},
        {"name": "x", "id": 7},
        {"name": "x", "created_by": 1},
        {},
    ],
)
def test_what_makes_no_group_is_refused(admin: httpx.Client, body: object) -> None:
    assert admin.post(GROUPS, json=body).status_code == httpx.codes.UNPROCESSABLE_ENTITY
    assert admin.get(GROUPS).json()["items"] == []


def test_groups_of_the_provider_have_no_members_by_hand(server: RunningServer, admin: httpx.Client) -> None:
    ada = person(server, "ada")
    for source in ("claim", "app_role"):
        group = made(admin, GROUPS, source=source, name="Theirs", external_id="SANTA-1")["id"]
        for method in ("PUT", "DELETE"):
            answer = admin.request(method, f"{GROUPS}/{group}/members/{ada}")
            assert (answer.status_code, "sign in" in answer.json()["detail"]) == (409, True)
        assert admin.delete(f"{GROUPS}/{group}").status_code == httpx.codes.NO_CONTENT


def test_groups_of_scim_keep_their_name_and_members(server: RunningServer, admin: httpx.Client) -> None:
    ada = person(server, "ada")
    execute(
        server.dsn,
        """insert into user_group (source, external_id, name, name_key, created_at, updated_at)
           values ('scim', 'x1', 'Sales', 'sales', now(), now())""",
    )
    group = value(server.dsn, "select id from user_group")
    for method, path, body in (
        ("PATCH", "", {"name": "Marketing"}),
        ("PATCH", "", {"external_id": "x2"}),
        ("DELETE", "", None),
        ("PUT", f"/members/{ada}", None),
        ("DELETE", f"/members/{ada}", None),
    ):
        answer = admin.request(method, f"{GROUPS}/{group}{path}", json=body)
        assert (answer.status_code, "SCIM" in answer.json()["detail"]) == (409, True), (method, path)
    changed = admin.patch(f"{GROUPS}/{group}", json={"description": "x", "roles": [{"role": "viewer"}]})
    assert changed.json()["roles"] == [{"role": "viewer", "tag": None}]


def test_another_external_id_empties_a_group(server: RunningServer, admin: httpx.Client) -> None:
    """Those whom the provider told of under the former id are not in the other group."""
    ada = person(server, "ada")
    group = made(admin, GROUPS, source="claim", name="Theirs", external_id="one")["id"]
    execute(server.dsn, "insert into user_group_member values ($1, $2, now())", group, ada)
    assert admin.patch(f"{GROUPS}/{group}", json={"external_id": "one"}).json()["members"] == 1
    assert admin.patch(f"{GROUPS}/{group}", json={"external_id": "two"}).json()["members"] == 0


@pytest.mark.parametrize("number", ["0", "-1", "9223372036854775808", "1.5", "me", "1%2F2"])
def test_odd_ids_are_no_group_and_no_user(admin: httpx.Client, number: str) -> None:
    group = made(admin, GROUPS, name="x")["id"]
    for method, path in (
        ("GET", f"{GROUPS}/{number}"),
        ("GET", f"{GROUPS}/{number}/members"),
        ("PUT", f"{GROUPS}/{group}/members/{number}"),
        ("DELETE", f"{GROUPS}/{group}/members/{number}"),
        ("GET", f"{ROLES}/{number}"),
        ("GET", f"{USERS}/{number}/permissions"),
    ):
        assert admin.request(method, path).status_code in {404, 422}, path


def test_lists_are_read_page_by_page_and_searched(server: RunningServer, admin: httpx.Client) -> None:
    people = [person(server, f"user{number}") for number in range(5)]
    numbers = [group_with(admin, f"Group {one}", [], people if one == 3 else []) for one in range(5)]
    found: list[int] = []
    cursor: str | None = ""
    while cursor is not None:
        page = admin.get(GROUPS, params={"limit": 2, "cursor": cursor}).json()
        found += [one["id"] for one in page["items"]]
        cursor = page["next_cursor"]
    assert found == numbers
    members = admin.get(f"{GROUPS}/{numbers[3]}/members?limit=3").json()
    rest = admin.get(f"{GROUPS}/{numbers[3]}/members", params={"cursor": members["next_cursor"]}).json()
    assert [one["id"] for one in members["items"] + rest["items"]] == people
    assert [one["name"] for one in admin.get(f"{GROUPS}?q=group 4").json()["items"]] == ["Group 4"]
    assert admin.get(f"{GROUPS}?source=scim").json()["items"] == []


def test_the_environment_is_shown(dsn: str) -> None:
    identity = {
        "OIDC_ISSUER": "https://id.example.com",
        "CLIENT_ID": "santa",
        "CLIENT_SECRET": "a secret that nobody guesses",
        "OIDC_GROUP_ROLES": "cn=b,dc=example=viewer; a=admin; a=auditor",
    }
    with RunningServer(dsn, identity) as server, session(server, "admin") as admin:
        shown = admin.get(f"{GROUPS}/environment").json()["items"]
    assert shown == [
        {"group": "a", "role": "admin"},
        {"group": "a", "role": "auditor"},
        {"group": "cn=b,dc=example", "role": "viewer"},
    ]
