"""Rules over REST."""

import httpx
import pytest

from tests.support.postgres import execute, fetch, value
from tests.support.santa_client import SimulatedMac
from tests.support.server import RunningServer

TEAM = {"rule_type": "TEAMID", "identifier": "ABCDEFGHIJ", "policy": "BLOCKLIST"}
HASH = "a" * 64


def test_a_rule_lives_from_creation_to_removal(admin: httpx.Client) -> None:
    created = admin.post("/api/v1/rules", json={**TEAM, "comment": "why"})
    assert created.status_code == httpx.codes.CREATED
    rule = created.json()
    assert (rule["created_by"], rule["comment"], rule["machines_total"]) == ("admin", "why", 0)
    changed = admin.patch(
        f"/api/v1/rules/{rule['id']}", json={"policy": "ALLOWLIST", "custom_msg": "fine"}
    ).json()
    assert (changed["policy"], changed["custom_msg"], changed["comment"]) == ("ALLOWLIST", "fine", "why")
    assert changed["seq"] > rule["seq"]
    assert admin.get("/api/v1/rules").json()["items"] == [changed]
    assert admin.delete(f"/api/v1/rules/{rule['id']}").status_code == httpx.codes.NO_CONTENT
    assert admin.get("/api/v1/rules").json() == {"items": [], "next_cursor": None}
    for method in ("GET", "DELETE"):
        assert admin.request(method, f"/api/v1/rules/{rule['id']}").status_code == httpx.codes.NOT_FOUND


def test_history_is_kept(server: RunningServer, admin: httpx.Client) -> None:
    rule = admin.post("/api/v1/rules", json=TEAM).json()["id"]
    admin.patch(f"/api/v1/rules/{rule}", json={"policy": "ALLOWLIST"})
    admin.delete(f"/api/v1/rules/{rule}")
    versions = fetch(server.dsn, "select policy, opened_seq, closed_seq from rule_version order by id")
    assert [(row["policy"], row["closed_seq"] - row["opened_seq"]) for row in versions] == [
        ("BLOCKLIST", 1),
        ("ALLOWLIST", 1),
    ]


def test_a_target_has_one_rule_and_may_get_a_new_one_after_removal(admin: httpx.Client) -> None:
    first = admin.post("/api/v1/rules", json=TEAM).json()["id"]
    again = admin.post("/api/v1/rules", json={**TEAM, "identifier": " abcdefghij "})
    assert again.status_code == httpx.codes.CONFLICT
    admin.delete(f"/api/v1/rules/{first}")
    assert admin.post("/api/v1/rules", json=TEAM).status_code == httpx.codes.CREATED


def test_a_comment_is_a_change_that_sends_nothing(
    server: RunningServer, admin: httpx.Client, mac: SimulatedMac
) -> None:
    rule = admin.post("/api/v1/rules", json=TEAM).json()
    mac.sync()
    path = f"/api/v1/rules/{rule['id']}"
    after = admin.patch(path, json={"policy": "BLOCKLIST", "comment": "only this"}).json()
    assert (after["comment"], after["seq"]) == ("only this", rule["seq"] + 1)
    assert mac.sync().received == 0
    again = admin.patch(path, json={"policy": "BLOCKLIST", "comment": "only this"}).json()
    assert again["seq"] == after["seq"] == value(server.dsn, "select seq from policy_head")


@pytest.mark.parametrize(
    ("fields", "wrong"),
    [
        ({"identifier": "short"}, "identifier"),
        ({"rule_type": "BINARY", "identifier": "xyz"}, "identifier"),
        ({"rule_type": "SIGNINGID", "identifier": "no-team"}, "identifier"),
        ({"policy": "ALLOWLIST_COMPILER"}, "policy"),
        ({"policy": "CEL"}, "cel_expr"),
        ({"policy": "CEL", "cel_expr": "this is invalid"}, "cel_expr"),
        ({"policy": "CEL", "cel_expr": "ALLOWLIST_COMPILER"}, "cel_expr"),
        ({"cel_expr": "true"}, "cel_expr"),
        ({"policy": "REMOVE"}, "policy"),
        ({"custom_msg": "a\0b"}, "custom_msg"),
        ({"rule_type": "NONE"}, "rule_type"),
    ],
)
def test_a_wrong_rule_names_the_field(admin: httpx.Client, fields: dict[str, str], wrong: str) -> None:
    response = admin.post("/api/v1/rules", json={**TEAM, **fields})
    assert response.status_code == httpx.codes.UNPROCESSABLE_ENTITY
    assert response.headers["content-type"] == "application/problem+json"
    assert [error["field"] for error in response.json()["errors"]] == [wrong]


@pytest.mark.parametrize(
    "statement",
    [
        "insert into rule (layer_id, rule_type, identifier, created_at) values (1, 'BINARY', 'xyz', now())",
        (
            "insert into rule (layer_id, rule_type, identifier, created_at) "
            "values (1, 'TEAMID', 'ABCDEFGHIJ', now())"
        ),
        "update rule_version set policy = 'CEL'",
        "update rule_version set cel_expr = 'true'",
        "update rule_version set policy = 'ALLOWLIST_COMPILER', grants_compiler = true",
        "update rule_version set policy = 'REMOVE'",
        "update rule_version set closed_seq = opened_seq",
        "update rule_version set identifier = 'KLMNOPQRST'",
        "insert into policy_head (only_row, seq) values (false, 1)",
        "insert into layer (kind, name, rank) values ('global', 'other', 1)",
    ],
)
def test_the_database_refuses_what_the_service_would(
    server: RunningServer, admin: httpx.Client, statement: str
) -> None:
    admin.post("/api/v1/rules", json=TEAM)
    with pytest.raises(Exception, match="violates"):
        execute(server.dsn, statement)


def test_lists_are_paged_and_searched(admin: httpx.Client) -> None:
    for number in range(5):
        admin.post(
            "/api/v1/rules",
            json={"rule_type": "BINARY", "identifier": f"{number:064d}", "policy": "ALLOWLIST"},
        )
    admin.post("/api/v1/rules", json={**TEAM, "comment": "100% _odd_"})
    seen, cursor = [], None
    while True:
        page = admin.get("/api/v1/rules", params={"limit": 4} | ({"cursor": cursor} if cursor else {})).json()
        seen += [rule["identifier"] for rule in page["items"]]
        cursor = page["next_cursor"]
        if not cursor:
            break
    assert seen == ["ABCDEFGHIJ", *(f"{number:064d}" for number in (4, 3, 2, 1, 0))]
    assert [rule["identifier"] for rule in admin.get("/api/v1/rules?q=100%25 _odd").json()["items"]] == [
        "ABCDEFGHIJ"
    ]
    assert len(admin.get("/api/v1/rules?rule_type=BINARY").json()["items"]) == 5
    assert len(admin.get("/api/v1/rules?policy=BLOCKLIST").json()["items"]) == 1
    assert admin.get("/api/v1/rules?cursor=broken").status_code == httpx.codes.BAD_REQUEST


def test_every_type_and_policy_can_be_stored(admin: httpx.Client) -> None:
    rules = [
        ("CERTIFICATE", HASH, "ALLOWLIST"),
        ("BINARY", HASH.upper(), "ALLOWLIST_COMPILER"),
        ("TEAMID", "abcde12345", "SILENT_BLOCKLIST"),
        ("SIGNINGID", "abcde12345:com.Example:x", "SILENT_GUI_BLOCKLIST"),
        ("SIGNINGID", "Platform:com.apple.yes", "SILENT_TTY_BLOCKLIST"),
        ("CDHASH", "B" * 40, "BLOCKLIST"),
    ]
    stored = []
    for rule_type, identifier, policy in rules:
        body = {"rule_type": rule_type, "identifier": identifier, "policy": policy}
        stored.append(admin.post("/api/v1/rules", json=body).json()["identifier"])
    assert stored == [
        HASH,
        HASH,
        "ABCDE12345",
        "ABCDE12345:com.Example:x",
        "platform:com.apple.yes",
        "b" * 40,
    ]
