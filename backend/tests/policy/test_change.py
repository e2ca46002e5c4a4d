"""A change of the policy: one number, one entry of the log, one audit entry, all or nothing."""

import asyncio
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import httpx
import pytest

from santaserver.audit import SYSTEM, Actor
from santaserver.clock import system_clock
from santaserver.database_settings import DatabaseSettings
from santaserver.db import Database
from santaserver.outbox import Message
from santaserver.policy.change import policy_change
from santaserver.preconditions import ANY
from santaserver.scope import EVERYWHERE
from santaserver.tags.schemas import TagContent
from santaserver.tags.service import create_tag, remove_tag
from santaserver.unit_of_work import UnitOfWork
from tests.support.postgres import execute, fetch, held, value
from tests.support.santa_client import SimulatedMac
from tests.support.server import RunningServer
from tests.sync.helpers import add_rule, change_rule, sha

LOG = """select seq, actor_kind, actor_name, kind, reason, request_id, summary::text
  from policy_change order by seq"""
OPEN = """select query from pg_stat_activity
  where datname = current_database() and state = 'idle in transaction'"""
WAITING = """select count(*) from pg_stat_activity
  where datname = current_database() and wait_event_type = 'Lock'"""
MANY = """
with made as (
  insert into rule (layer_id, rule_type, identifier, created_at)
  select l.id, 'BINARY', lpad(to_hex(n), 64, '0'), now() from layer l, generate_series(1, $1) n
  where l.kind = 'tag' returning *)
insert into rule_version (rule_id, layer_id, rule_type, identifier, policy, grants_compiler, opened_seq,
  opened_at)
select id, layer_id, rule_type, identifier, 'BLOCKLIST', false, 1, created_at from made
"""


def in_one_unit(
    dsn: str, act: Callable[[UnitOfWork], Coroutine[Any, Any, None]], *, publish: list[Message]
) -> None:
    """Run `act` in a unit of work of a process of its own."""

    async def run() -> None:
        database = Database(DatabaseSettings.model_validate({"DATABASE_URL": dsn}))
        try:
            async with database.unit_of_work(publish.extend) as work:
                await act(work)
        finally:
            await database.close()

    asyncio.run(run())


def test_each_number_says_what_it_stands_for(
    server: RunningServer, admin: httpx.Client, mac: SimulatedMac
) -> None:
    admin.headers["X-Request-Id"] = "request-7"
    rule = add_rule(admin, sha(1), reason="because")
    change_rule(admin, rule, "ALLOWLIST", reason="it is fine", locked=True)
    change_rule(admin, rule, "ALLOWLIST", comment="nothing that a Mac sees", reason="words", locked=True)
    admin.delete(f"/api/v1/rules/{rule}", params={"reason": "over & done"})
    admin.patch("/api/v1/settings", json={"client_mode": "LOCKDOWN", "reason": "ready"})
    local = {"values": {"batch_size": 20}, "reason": "slow link"}
    admin.patch("/api/v1/settings/layer", params={"layer": "global"}, json=local)
    tags = [
        admin.post("/api/v1/tags", json={"name": name, "reason": f"new {name}"}).json()["id"] for name in "ab"
    ]
    admin.put("/api/v1/tags/order", json={"tags": tags[::-1], "reason": "upside down"})
    admin.patch(f"/api/v1/tags/{tags[0]}", json={"name": "a", "groups": ["staff"], "reason": "staff"})
    admin.patch(f"/api/v1/tags/{tags[0]}", json={"name": "c", "groups": ["staff"], "reason": "renamed"})
    expires_at = (server.clock() + timedelta(hours=1)).isoformat()
    add_rule(admin, sha(2), layer="tag:b", expires_at=expires_at)
    admin.delete(f"/api/v1/tags/{tags[0]}", params={"reason": "unused"})
    server.clock.advance(hours=2)
    mac.sync()
    log = fetch(server.dsn, LOG)
    assert [row["seq"] for row in log] == list(range(1, value(server.dsn, "select seq from policy_head") + 1))
    assert [(row["kind"], row["reason"]) for row in log] == [
        ("rule", "because"),
        ("rule", "it is fine"),
        ("rule", "words"),
        ("rule", "over & done"),
        ("settings", "ready"),
        ("settings", "slow link"),
        ("tag", "new a"),
        ("tag", "new b"),
        ("tag_order", "upside down"),
        ("tag", "staff"),
        ("tag", "renamed"),
        ("rule", ""),
        ("tag", "unused"),
        ("schedule", ""),
    ]
    assert {(row["actor_kind"], row["actor_name"]) for row in log[:-1]} == {("user", "admin")}
    assert {row["request_id"] for row in log[:-1]} == {"request-7"}
    assert (log[-1]["actor_kind"], log[-1]["actor_name"]) == ("schedule", "schedule")
    assert '"rule": ' in log[0]["summary"]
    assert log[-1]["summary"] == '{"expired": 1, "activated": 0}'
    entries = fetch(
        server.dsn, "select policy_seq as seq, reason from audit_log where policy_seq is not null order by id"
    )
    assert {(row["seq"], row["reason"]) for row in entries} == {(row["seq"], row["reason"]) for row in log}


def test_what_an_import_did_is_in_the_log(server: RunningServer, admin: httpx.Client) -> None:
    rules = "layer,rule_type,identifier,policy\n" + "".join(
        f"global,BINARY,{sha(number)},BLOCKLIST\n" for number in range(3)
    )
    body = {"format": "csv", "content": rules, "reason": "list", "dry_run": False}
    response = admin.post("/api/v1/rules/import", json=body)
    assert response.status_code == httpx.codes.OK, response.text
    (row,) = fetch(server.dsn, LOG)
    assert (row["kind"], row["reason"]) == ("import", "list")
    assert row["summary"] == '{"adds": 3, "changes": 0, "removes": 0}'


def test_a_change_whose_audit_entry_cannot_be_stored_did_not_happen(
    server: RunningServer, admin: httpx.Client
) -> None:
    execute(
        server.dsn,
        "alter table audit_leaf add constraint full_up check (body ->> 'action' <> 'rule_created')",
    )
    body = {"rule_type": "BINARY", "identifier": sha(1), "policy": "BLOCKLIST"}
    assert admin.post("/api/v1/rules", json=body).status_code == httpx.codes.INTERNAL_SERVER_ERROR
    for table in ("rule", "rule_version", "policy_change", "audit_log where action = 'rule_created'"):
        assert value(server.dsn, f"select count(*) from {table}") == 0, table  # noqa: S608 - constants
    assert value(server.dsn, "select seq from policy_head") == 0


def test_the_audit_entry_is_the_last_statement(dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """No transaction waits for a row of the policy or of a Mac while it holds the audit log."""
    seen: list[str] = []
    finish = UnitOfWork.finish

    async def noted(work: UnitOfWork) -> None:
        await finish(work)
        seen.extend(row["query"] for row in await asyncio.to_thread(fetch, dsn, OPEN))

    async def act(work: UnitOfWork) -> None:
        await create_tag(work, EVERYWHERE, TagContent(name="a"), SYSTEM, system_clock())

    monkeypatch.setattr(UnitOfWork, "finish", noted)
    in_one_unit(dsn, act, publish=[])
    assert [query.split()[:3] for query in seen] == [["select", "audit_append($1,", "$2,"]]


def test_an_error_after_the_change_leaves_nothing(dsn: str) -> None:
    published: list[Message] = []

    async def act(work: UnitOfWork) -> None:
        await create_tag(work, EVERYWHERE, TagContent(name="a"), SYSTEM, system_clock())
        work.outbox.add({"type": "lagged"})
        raise KeyError

    with pytest.raises(KeyError):
        in_one_unit(dsn, act, publish=published)
    assert published == []
    assert value(dsn, "select count(*) from tag") == 0
    assert fetch(dsn, "select seq, layer_version from policy_head") == [{"seq": 0, "layer_version": 0}]


def test_a_change_that_does_nothing_takes_no_number(dsn: str) -> None:
    async def act(work: UnitOfWork) -> None:
        async with policy_change(work, Actor("someone"), system_clock(), "rule"):
            pass

    in_one_unit(dsn, act, publish=[])
    assert fetch(dsn, "select seq, layer_version from policy_head") == [{"seq": 0, "layer_version": 0}]
    assert value(dsn, "select count(*) from policy_change") == 0


def test_several_changes_of_one_unit_have_numbers_of_their_own(dsn: str) -> None:
    async def act(work: UnitOfWork) -> None:
        for name in "abc":
            await create_tag(work, EVERYWHERE, TagContent(name=name), SYSTEM, system_clock())

    in_one_unit(dsn, act, publish=[])
    assert [row["seq"] for row in fetch(dsn, LOG)] == [1, 2, 3]
    assert {row["actor_kind"] for row in fetch(dsn, LOG)} == {"command_line"}


@pytest.mark.parametrize("number", [0, 1, 3000])
def test_a_tag_goes_in_one_change_however_many_rules_it_has(dsn: str, number: int) -> None:
    published: list[Message] = []

    async def make(work: UnitOfWork) -> None:
        await create_tag(work, EVERYWHERE, TagContent(name="many"), SYSTEM, system_clock())

    async def remove(work: UnitOfWork) -> None:
        tag = await work.connection.fetchval("select id from tag")
        await remove_tag(work, EVERYWHERE, tag, ANY, SYSTEM, system_clock())

    in_one_unit(dsn, make, publish=[])
    execute(dsn, MANY, number)
    in_one_unit(dsn, remove, publish=published)
    assert value(dsn, "select count(*) from rule where removed_at is null") == 0
    assert value(dsn, "select count(*) from rule_version where closed_seq = 2") == number
    (entry,) = fetch(dsn, "select action, before->>'rules' as rules from audit_log where policy_seq = 2")
    assert entry == {"action": "tag_removed", "rules": str(number)}
    assert len(published) == (1 if number else 0)
    assert fetch(dsn, LOG)[-1]["summary"].count('"action": "removed"') == 1


@pytest.mark.parametrize(
    ("method", "body"),
    [
        ("POST", {"rule_type": "BINARY", "identifier": sha(2), "policy": "BLOCKLIST"}),
        ("PATCH", {"policy": "ALLOWLIST"}),
        ("DELETE", None),
    ],
)
def test_macs_are_counted_before_the_policy_is_locked(
    server: RunningServer, admin: httpx.Client, method: str, body: dict[str, str] | None
) -> None:
    """Counting the Macs of a large fleet takes time; other changes do not wait for it."""
    rule = add_rule(admin, sha(1))
    path = "/api/v1/rules" if method == "POST" else f"/api/v1/rules/{rule}"
    with ThreadPoolExecutor(1) as others:
        with held(server.dsn, "lock table machine_sync in access exclusive mode") as holder:
            sent = others.submit(admin.request, method, path, json=body)
            holder.until(lambda: sent.done() or value(server.dsn, WAITING) > 0)
            assert not sent.done()
            execute(server.dsn, "select from policy_head for update nowait")
        assert sent.result().is_success, sent.result().text
