"""Files of rules over REST: export, dry run, import in one step, and all errors at once."""

import asyncio
import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from santaserver.policy.guarding import LOCK_KEY
from santaserver.rules import transfer_staging
from santaserver.rules.transfer_format import FileRow, read_rules
from santaserver.rules.transfer_schemas import COLUMNS, FileFormat, FileMistake, FileRule
from santaserver.rules.transfer_write import FileWriter
from tests.support.postgres import execute, fetch, held, value
from tests.support.santa_client import SimulatedMac
from tests.support.server import RunningServer
from tests.sync.helpers import add_rule, sha

WAITING = """select count(*) from pg_stat_activity
  where datname = current_database() and wait_event_type = 'Lock'"""
HEADER = "layer,rule_type,identifier,policy,comment\n"


def exported(client: httpx.Client, kind: str = "json", **params: str) -> str:
    response = client.get("/api/v1/rules/export", params={"format": kind, **params})
    assert response.status_code == httpx.codes.OK, response.text
    return response.text


def imported(client: httpx.Client, content: str, kind: str = "json", **more: Any) -> httpx.Response:  # noqa: ANN401
    return client.post("/api/v1/rules/import", json={"format": kind, "content": content, **more})


def plan(client: httpx.Client, content: str, kind: str = "json", **more: Any) -> dict[str, Any]:  # noqa: ANN401
    response = imported(client, content, kind, **more)
    assert response.status_code == httpx.codes.OK, response.text
    shown: dict[str, Any] = response.json()
    return shown


def counts(shown: dict[str, Any]) -> tuple[int, int, int, int]:
    return shown["added"], shown["changed"], shown["removed"], shown["unchanged"]


@pytest.fixture
def filled(admin: httpx.Client, mac: SimulatedMac) -> int:
    """Rules of many kinds in several layers; return how many."""
    mac.sync()
    admin.post("/api/v1/tags", json={"name": "Lab 2.0"})
    add_rule(admin, sha(1), custom_msg='He said "no",\nand left', comment="ünïcödé; a,b")
    add_rule(admin, sha(2), "CEL", cel_expr="args.size() > 1 && '\"' != ''", layer="tag:Lab 2.0")
    add_rule(admin, sha(3), "NONE", layer=f"machine:{mac.machine_id}", locked=True)
    add_rule(admin, sha(4), layer="user:Lena", expires_at="2098-01-02T03:04:05.678901+02:00")
    add_rule(admin, sha(5), starts_at="2097-01-01T00:00:00Z", custom_url="null")
    return 5


@pytest.mark.parametrize("kind", ["json", "csv"])
def test_an_export_is_the_same_each_time_and_imports_back_to_no_change(
    server: RunningServer, admin: httpx.Client, filled: int, kind: str
) -> None:
    text = exported(admin, kind)
    before = value(server.dsn, "select seq from policy_head")
    for dry_run in (True, False):
        shown = plan(admin, text, kind, remove_missing=True, dry_run=dry_run)
        assert counts(shown) == (0, 0, 0, filled)
        assert shown["mistakes"] == []
    assert value(server.dsn, "select seq from policy_head") == before
    assert exported(admin, kind) == text


@pytest.mark.parametrize("kind", ["json", "csv"])
def test_an_export_restores_what_was_removed(admin: httpx.Client, filled: int, kind: str) -> None:
    text = exported(admin, kind)
    for rule in admin.get("/api/v1/rules").json()["items"]:
        admin.delete(f"/api/v1/rules/{rule['id']}")
    assert counts(plan(admin, text, kind, dry_run=False)) == (filled, 0, 0, 0)
    assert exported(admin, kind) == text


def test_an_export_can_be_of_one_layer(admin: httpx.Client, filled: int) -> None:
    assert filled
    rules = json.loads(exported(admin, layer="tag:lab 2.0"))["rules"]
    assert [(rule["layer"], rule["identifier"]) for rule in rules] == [("tag:Lab 2.0", sha(2))]


def test_a_trial_shows_the_plan_and_changes_nothing(server: RunningServer, admin: httpx.Client) -> None:
    for number in (1, 2, 3):
        add_rule(admin, sha(number))
    before = exported(admin)
    text = HEADER + f"global,BINARY,{sha(1)},BLOCKLIST,\nglobal,BINARY,{sha(2).upper()},ALLOWLIST,why\n"
    text += "user:new,TEAMID,abcde12345,BLOCKLIST,\n"
    shown = plan(admin, text, "csv", remove_missing=True)
    assert (shown["applied"], counts(shown)) == (False, (1, 1, 1, 1))
    assert [(one["action"], one["line"], one["before"], one["after"]) for one in shown["changes"]] == [
        ("change", 3, "BLOCKLIST", "ALLOWLIST"),
        ("add", 4, None, "BLOCKLIST"),
        ("remove", None, "BLOCKLIST", None),
    ]
    assert exported(admin) == before
    assert value(server.dsn, "select count(*) from layer where kind = 'user'") == 0


def test_an_import_is_one_number_and_reaches_macs(
    server: RunningServer, admin: httpx.Client, mac: SimulatedMac
) -> None:
    add_rule(admin, sha(1))
    add_rule(admin, sha(9))
    mac.sync()
    before = value(server.dsn, "select seq from policy_head")
    lines = [f"global,BINARY,{sha(1)},ALLOWLIST,", f"user:SIM,BINARY,{sha(2)},BLOCKLIST,"]
    lines += [f"global,BINARY,{sha(number)},BLOCKLIST," for number in range(20, 40)]
    shown = plan(
        admin, HEADER + "\n".join(lines), "csv", dry_run=False, remove_missing=True, reason="quarterly"
    )
    assert counts(shown) == (21, 1, 1, 0)
    assert (shown["policy_seq"], value(server.dsn, "select seq from policy_head")) == (before + 1,) * 2
    opened = fetch(server.dsn, "select distinct reason from rule_version where opened_seq = $1", before + 1)
    assert [row["reason"] for row in opened] == ["quarterly"]
    mac.sync()
    assert {key[1]: rule[0] for key, rule in mac.rules.items()} == {
        sha(1): "ALLOWLIST",
        sha(2): "BLOCKLIST",
        **{sha(number): "BLOCKLIST" for number in range(20, 40)},
    }
    assert value(server.dsn, "select after->>'adds' from audit_log where action = 'rules_imported'") == "21"


def test_a_plan_that_is_out_of_date_is_not_applied(admin: httpx.Client) -> None:
    text = HEADER + f"global,BINARY,{sha(1)},BLOCKLIST,\n"
    shown = plan(admin, text, "csv")
    add_rule(admin, sha(2))
    late = imported(admin, text, "csv", dry_run=False, policy_seq=shown["policy_seq"])
    assert late.status_code == httpx.codes.CONFLICT
    again = plan(admin, text, "csv")
    assert counts(plan(admin, text, "csv", dry_run=False, policy_seq=again["policy_seq"])) == (1, 0, 0, 0)


def test_every_mistake_is_told_with_its_line(server: RunningServer, admin: httpx.Client) -> None:
    lines = [
        f"global,BINARY,{sha(1)},BLOCKLIST,fine",
        "global,BINARY,short,BLOCKLIST,",
        f"tag:nobody,BINARY,{sha(2)},BLOCKLIST,",
        f"global,BINARY,{sha(3)},NONE,",
        f"global,BINARY,{sha(1).upper()},ALLOWLIST,twice",
        f'global,BINARY,{sha(4)},CEL,"over two\nlines"',
        "global,TEAMID,ZMCG7MLDV9,BLOCKLIST,",
        f"global,BINARY,{sha(5)},SOMETHING,",
        f"nowhere,BINARY,{sha(6)},BLOCKLIST,",
        "tag:nobody,TEAMID,A,CEL,",
    ]
    text = HEADER + "\n".join(lines) + "\n"
    shown = plan(admin, text, "csv")
    assert [(one["line"], one["field"]) for one in shown["mistakes"]] == [
        (3, "identifier"),
        (4, "layer"),
        (5, "policy"),
        (6, "identifier"),
        (7, "cel_expr"),
        (9, "identifier"),
        (10, "policy"),
        (11, "layer"),
        (12, "layer"),
    ]
    assert shown["mistakes_total"] == 9
    refused = imported(admin, text, "csv", dry_run=False)
    assert refused.status_code == httpx.codes.UNPROCESSABLE_ENTITY
    assert refused.json()["errors"][0]["field"] == "line 3.identifier"
    assert value(server.dsn, "select count(*) from rule") == 0


def test_the_guard_can_be_overridden_for_a_file(server: RunningServer, admin: httpx.Client) -> None:
    text = HEADER + "global,TEAMID,ZMCG7MLDV9,BLOCKLIST,\n"
    assert plan(admin, text, "csv")["mistakes_total"] == 1
    assert counts(plan(admin, text, "csv", override_guard=True, dry_run=False)) == (1, 0, 0, 0)
    assert value(
        server.dsn, "select after->>'guard_overridden' from audit_log where action = 'rules_imported'"
    )
    assert value(server.dsn, "select summary->'guard_overridden' from policy_change") == "true"


def test_an_import_takes_its_locks_in_the_order_of_all_changes(
    server: RunningServer, admin: httpx.Client
) -> None:
    """The policy's head first, then the guard's: else an import and another change would block each other."""
    text = HEADER + "global,TEAMID,ZMCG7MLDV9,BLOCKLIST,\n"
    with ThreadPoolExecutor(1) as threads:
        with held(server.dsn, "select from policy_head for update") as holder:
            waiting = threads.submit(plan, admin, text, "csv", dry_run=False, override_guard=True)
            holder.until(lambda: value(server.dsn, WAITING) == 1)
            assert value(server.dsn, "select pg_try_advisory_xact_lock($1)", LOCK_KEY)
        assert counts(waiting.result()) == (1, 0, 0, 0)


def test_a_rule_that_is_meant_does_not_stop_its_own_export(admin: httpx.Client) -> None:
    body = {"rule_type": "TEAMID", "identifier": "ZMCG7MLDV9", "policy": "BLOCKLIST", "override_guard": True}
    assert admin.post("/api/v1/rules", json=body).status_code == httpx.codes.CREATED
    assert counts(plan(admin, exported(admin), dry_run=False)) == (0, 0, 0, 1)


def test_a_rule_in_force_cannot_start_later(admin: httpx.Client) -> None:
    add_rule(admin, sha(1))
    text = f"rule_type,identifier,policy,starts_at\nBINARY,{sha(1)},BLOCKLIST,2098-01-01T00:00:00Z\n"
    assert [one["field"] for one in plan(admin, text, "csv")["mistakes"]] == ["starts_at"]


def read(kind: FileFormat, text: str, size: int = 7) -> tuple[list[FileRule], list[FileMistake]]:
    """Read a file whose text comes in pieces of a size."""
    found = list(read_rules(kind, iter(text[place : place + size] for place in range(0, len(text), size))))
    rules = [item.rule for item in found if isinstance(item, FileRow)]
    return rules, [item for item in found if isinstance(item, FileMistake)]


RULE = '{"rule_type": "TEAMID", "identifier": "ABCDE12345", "policy": "ALLOWLIST"}'


@pytest.mark.parametrize(
    ("kind", "text", "line", "words"),
    [
        ("json", "", 1, "must be"),
        ("json", '{"version": 2, "rules": []}', 1, "version 1"),
        ("json", '{"version": 1}', 1, "no list"),
        ("json", f"[\n{RULE},\n{RULE[:-1]}\n", 4, "Not valid JSON"),
        ("json", f"[\n{RULE}\n{RULE}]", 3, "Expecting ','"),
        ("json", '[\n\n{"rule_type": "TEAMID", "what": 1}]', 3, "Field required"),
        ("json", "[\n1]", 2, "valid dictionary"),
        ("json", "[" * 100_000, 1, "deeply"),
        ("csv", "", 1, "is empty"),
        ("csv", "rule_type,policy\n", 1, "identifier is missing"),
        ("csv", "rule_type,identifier,policy,nonsense\n", 1, "Unknown column"),
        ("csv", "rule_type,identifier,policy,policy\n", 1, "twice"),
        ("csv", "rule_type,identifier,policy\na,b,c,d\n", 2, "4 cells"),
        ("csv", 'rule_type,identifier,policy\na,"b,c\n', 2, "Not valid CSV"),
    ],
)
def test_a_file_that_cannot_be_read_says_where(kind: Any, text: str, line: int, words: str) -> None:  # noqa: ANN401
    _, mistakes = read(kind, text)
    assert mistakes[0].line == line
    assert any(words in one.message for one in mistakes), mistakes


@pytest.mark.parametrize(
    "text", [f"[{RULE}]", f'{{"rules": [{RULE}]}}', f'\ufeff{{"version": 1, "rules":[{RULE}]}}']
)
def test_lists_and_objects_are_read(text: str) -> None:
    rows, mistakes = read("json", text)
    assert (len(rows), mistakes) == (1, [])


def test_what_is_written_is_read_back() -> None:
    kinds: tuple[FileFormat, ...] = ("json", "csv")
    for kind in kinds:
        rules, _ = read("json", f"[{RULE}]")
        writer = FileWriter(kind)
        text = writer.portion([[getattr(rule, name) for name in COLUMNS] for rule in rules]) + writer.end()
        assert read(kind, text.decode()) == (rules, [])


def test_only_an_administrator_exports_and_imports(viewer: httpx.Client, anonymous: httpx.Client) -> None:
    text = HEADER + f"global,BINARY,{sha(1)},BLOCKLIST,\n"
    assert viewer.get("/api/v1/rules/export").status_code == httpx.codes.FORBIDDEN
    assert imported(viewer, text, "csv").status_code == httpx.codes.FORBIDDEN
    assert anonymous.get("/api/v1/rules/export").status_code == httpx.codes.UNAUTHORIZED
    assert imported(anonymous, text, "csv").status_code == httpx.codes.UNAUTHORIZED


def test_a_large_file_is_imported_in_one_step(server: RunningServer, admin: httpx.Client) -> None:
    lines = "".join(f"global,BINARY,{sha(number)},ALLOWLIST,\n" for number in range(12_000))
    assert counts(plan(admin, HEADER + lines, "csv", dry_run=False)) == (12_000, 0, 0, 0)
    assert value(server.dsn, "select count(distinct opened_seq) from rule_version") == 1


@pytest.fixture
def compared(monkeypatch: pytest.MonkeyPatch) -> list[Callable[[], object]]:
    """Count comparisons by what is left: each call takes what is to happen after it."""
    compare, after = transfer_staging.compare, list[Callable[[], object]]()

    async def counted(connection: Any, **how: Any) -> dict[str, int]:  # noqa: ANN401
        found = await compare(connection, **how)
        await asyncio.to_thread(after.pop(0))
        return found

    monkeypatch.setattr(transfer_staging, "compare", counted)
    return after


def test_a_file_is_compared_before_the_policy_is_locked(
    server: RunningServer, admin: httpx.Client, compared: list[Callable[[], object]]
) -> None:
    compared.append(lambda: execute(server.dsn, "select from policy_head for update nowait"))
    shown = plan(admin, f"{HEADER}global,BINARY,{sha(1)},BLOCKLIST,\n", "csv", dry_run=False)
    assert (counts(shown), compared) == ((1, 0, 0, 0), [])


@pytest.mark.parametrize(
    ("policy", "expected"), [("BLOCKLIST", (1, 0, 0, 1)), ("ALLOWLIST", (1, 1, 0, 0)), ("CEL", (1, 1, 0, 0))]
)
def test_a_file_is_compared_again_after_a_change_in_between(
    admin: httpx.Client, compared: list[Callable[[], object]], policy: str, expected: tuple[int, ...]
) -> None:
    fields = {"cel_expr": "euid == 0"} if policy == "CEL" else {}
    compared += [lambda: add_rule(admin, sha(1), policy, **fields), lambda: None]
    rows = "".join(f"global,BINARY,{sha(number)},BLOCKLIST,\n" for number in (1, 2))
    shown = plan(admin, HEADER + rows, "csv", dry_run=False)
    assert (counts(shown), compared) == (expected, [])
    listed = admin.get("/api/v1/rules").json()["items"]
    assert [(one["identifier"], one["policy"]) for one in listed] == [
        (sha(2), "BLOCKLIST"),
        (sha(1), "BLOCKLIST"),
    ]


def test_a_rule_scheduled_in_between_counts_although_it_takes_no_number(
    server: RunningServer, admin: httpx.Client, compared: list[Callable[[], object]]
) -> None:
    later = "2097-01-01T00:00:00Z"
    compared += [lambda: add_rule(admin, sha(1), "ALLOWLIST", starts_at=later), lambda: None]
    shown = plan(admin, f"{HEADER}global,BINARY,{sha(1)},BLOCKLIST,\n", "csv", dry_run=False)
    assert (counts(shown), compared) == ((0, 1, 0, 0), [])
    [rule] = admin.get("/api/v1/rules").json()["items"]
    assert (rule["policy"], rule["starts_at"]) == ("BLOCKLIST", None)
    assert value(server.dsn, "select count(*) from rule_version where cancelled_at is not null") == 1


def test_a_scheduled_rule_removed_in_between_is_added(
    server: RunningServer, admin: httpx.Client, compared: list[Callable[[], object]]
) -> None:
    waiting = add_rule(admin, sha(1), "ALLOWLIST", starts_at="2097-01-01T00:00:00Z")
    compared += [lambda: admin.delete(f"/api/v1/rules/{waiting}").raise_for_status(), lambda: None]
    shown = plan(admin, f"{HEADER}global,BINARY,{sha(1)},BLOCKLIST,\n", "csv", dry_run=False)
    assert (counts(shown), compared) == ((1, 0, 0, 0), [])
    [rule] = admin.get("/api/v1/rules").json()["items"]
    assert (rule["policy"], rule["id"] != waiting) == ("BLOCKLIST", True)
    assert value(server.dsn, "select count(*) from rule where removed_at is null") == 1


def test_a_comment_is_part_of_a_version(server: RunningServer, admin: httpx.Client) -> None:
    rule = add_rule(admin, sha(1), comment="before")
    shown = plan(
        admin, f"{HEADER}global,BINARY,{sha(1)},BLOCKLIST,after\n", "csv", dry_run=False, reason="clearer"
    )
    assert counts(shown) == (0, 1, 0, 0)
    versions = fetch(server.dsn, "select comment, reason, closed_seq from rule_version order by id")
    assert [tuple(one.values()) for one in versions] == [
        ("before", "", shown["policy_seq"]),
        ("after", "clearer", None),
    ]
    assert admin.get(f"/api/v1/rules/{rule}").json()["comment"] == "after"
