"""The policy of a Mac at a moment, over HTTP: what applied, where it came from, what was confirmed."""

from datetime import datetime, timedelta
from typing import Any

import httpx
import pytest

from santaserver.machines.policy_schemas import MachinePolicyThen
from tests.conftest import add_user
from tests.support.postgres import execute, value
from tests.support.santa_client import CutError, SimulatedMac
from tests.support.server import RunningServer
from tests.sync.helpers import add_rule, change_rule, give, remove_rule, sha, tag

BLOCK, ALLOW = "BLOCKLIST", "ALLOWLIST"


def ask(admin: httpx.Client, mac: SimulatedMac | str, **params: Any) -> httpx.Response:  # noqa: ANN401
    machine_id = mac if isinstance(mac, str) else mac.machine_id
    shown = {name: one.isoformat() if isinstance(one, datetime) else one for name, one in params.items()}
    return admin.get(f"/api/v1/machines/{machine_id}/policy", params=shown)


def policy(admin: httpx.Client, mac: SimulatedMac, **params: Any) -> dict[str, Any]:  # noqa: ANN401
    response = ask(admin, mac, **params)
    assert response.status_code == httpx.codes.OK, response.text
    shown: dict[str, Any] = response.json()
    assert MachinePolicyThen.model_validate(shown).model_dump(mode="json") == shown
    return shown


def problem(admin: httpx.Client, mac: SimulatedMac | str, **params: Any) -> tuple[int, list[tuple[str, str]]]:  # noqa: ANN401
    response = ask(admin, mac, **params)
    return response.status_code, [(one["field"], one["message"]) for one in response.json()["errors"]]


def rules(shown: dict[str, Any]) -> dict[str, tuple[str, str, str]]:
    return {one["identifier"]: (one["policy"], one["layer"], one["delivery"]) for one in shown["rules"]}


def tick(server: RunningServer) -> datetime:
    """Let a minute pass; return the moment before it ended."""
    server.clock.advance(seconds=60)
    return server.clock() - timedelta(seconds=30)


def head(server: RunningServer) -> int:
    seq: int = value(server.dsn, "select seq from policy_head")
    return seq


def test_each_moment_has_its_rules(server: RunningServer, admin: httpx.Client, mac: SimulatedMac) -> None:
    rule = add_rule(admin, sha(1), BLOCK, comment="first", reason="an incident")
    mac.sync()
    blocked = tick(server)
    change_rule(admin, rule, ALLOW, reason="a mistake")
    allowed = tick(server)
    mac.sync()
    delivered = tick(server)
    remove_rule(admin, rule)
    removed = tick(server)
    mac.sync()
    gone = tick(server)
    assert rules(policy(admin, mac, at=blocked)) == {sha(1): (BLOCK, "global", "confirmed")}
    assert rules(policy(admin, mac, at=allowed)) == {sha(1): (ALLOW, "global", "pending")}
    assert rules(policy(admin, mac, at=delivered)) == {sha(1): (ALLOW, "global", "confirmed")}
    assert rules(policy(admin, mac, at=removed)) == {sha(1): (ALLOW, "global", "removal_pending")}
    assert rules(policy(admin, mac, at=gone)) == {}
    shown = policy(admin, mac, at=blocked)["rules"][0]
    assert (shown["rule_id"], shown["comment"], shown["reason"]) == (rule, "first", "an incident")
    assert (shown["written_by"], shown["seq"]) == ("admin", head(server) - 2)
    assert policy(admin, mac, at=allowed)["rules"][0]["reason"] == "a mistake"


def test_a_number_shows_the_last_moment_at_which_it_was_the_newest(
    server: RunningServer, admin: httpx.Client, mac: SimulatedMac
) -> None:
    rule = add_rule(admin, sha(1), BLOCK)
    before = tick(server)
    mac.sync()
    first, _ = head(server), tick(server)
    change_rule(admin, rule, ALLOW)
    tick(server)
    mac.sync()
    assert ask(admin, mac, at=before).status_code == httpx.codes.UNPROCESSABLE_ENTITY
    shown = policy(admin, mac, seq=first)
    assert rules(shown) == {sha(1): (BLOCK, "global", "confirmed")}
    assert (shown["seq"], shown["confirmed"]["seq"], shown["confirmed"]["same_layers"]) == (
        first,
        first,
        True,
    )
    assert rules(policy(admin, mac, seq=first + 1)) == {sha(1): (ALLOW, "global", "confirmed")}


def test_layers_tags_and_their_names_are_those_of_the_moment(
    server: RunningServer, admin: httpx.Client, mac: SimulatedMac
) -> None:
    mac.sync()
    bare = tick(server)
    pilot = tag(admin, "pilot", predicate=f"hostname == '{mac.hostname}'")
    add_rule(admin, sha(1), BLOCK)
    add_rule(admin, sha(1), ALLOW, layer="tag:pilot")
    asked = tick(server)
    mac.sync()
    member = tick(server)
    renamed = admin.patch(
        f"/api/v1/tags/{pilot}",
        json={"name": "canary", "predicate": None, "groups": ["x"], "reason": "clearer"},
    )
    assert renamed.status_code == httpx.codes.OK, renamed.text
    tick(server)
    mac.sync()
    alone = tick(server)
    assert rules(policy(admin, mac, at=bare)) == {}
    # The tag counts from the preflight on that found it.
    assert rules(policy(admin, mac, at=asked)) == {sha(1): (BLOCK, "global", "pending")}
    shown = policy(admin, mac, at=member)
    assert (rules(shown), shown["layers"]) == (
        {sha(1): (ALLOW, "tag:pilot", "confirmed")},
        ["global", "tag:pilot"],
    )
    assert [(one["name"], one["sources"]) for one in shown["tags"]] == [("pilot", ["predicate"])]
    after = policy(admin, mac, at=alone)
    assert (rules(after), after["layers"], after["tags"]) == (
        {sha(1): (BLOCK, "global", "confirmed")},
        ["global"],
        [],
    )
    assert value(server.dsn, "select reason from policy_change order by seq desc limit 1") == "clearer"


def test_settings_have_their_layers_authors_and_confirmations(
    server: RunningServer, admin: httpx.Client, mac: SimulatedMac
) -> None:
    mac.sync()
    first = tick(server)
    change = {"values": {"client_mode": "LOCKDOWN"}, "locked": ["client_mode"], "reason": "readiness reached"}
    assert admin.put("/api/v1/settings/layer?layer=global", json=change).status_code == httpx.codes.OK
    ordered = tick(server)
    mac.sync()
    second = tick(server)
    mode = [policy(admin, mac, at=at)["settings"]["client_mode"] for at in (first, ordered, second)]
    assert [(one["value"], one["layer"], one["confirmed"]) for one in mode] == [
        ("MONITOR", None, True),
        ("LOCKDOWN", "global", False),
        ("LOCKDOWN", "global", True),
    ]
    assert (mode[2]["locked"], mode[2]["changed_by"], mode[2]["reason"]) == (
        True,
        "admin",
        "readiness reached",
    )
    assert policy(admin, mac, at=second)["confirmed"]["seq"] == head(server)


def test_a_monitor_window_counts_while_it_is_open(
    server: RunningServer, admin: httpx.Client, mac: SimulatedMac
) -> None:
    mac.sync()
    admin.patch("/api/v1/settings", json={"client_mode": "LOCKDOWN"})
    locked = tick(server)
    url = f"/api/v1/machines/{mac.machine_id}/monitor-mode"
    assert admin.post(url, json={"minutes": 60, "reason": "repair"}).status_code == httpx.codes.OK
    opened = tick(server)
    assert admin.delete(url).status_code == httpx.codes.OK
    ended = tick(server)
    shown = [policy(admin, mac, at=at) for at in (locked, opened, ended)]
    assert [one["settings"]["client_mode"]["value"] for one in shown] == ["LOCKDOWN", "MONITOR", "LOCKDOWN"]
    assert [bool(one["monitor_mode"]) for one in shown] == [False, True, False]
    assert (shown[1]["monitor_mode"]["reason"], shown[1]["monitor_mode"]["opened_by"]) == ("repair", "admin")


def test_a_lost_confirmation_is_none(server: RunningServer, admin: httpx.Client, mac: SimulatedMac) -> None:
    mac.sync()
    add_rule(admin, sha(1), BLOCK)
    with pytest.raises(CutError):
        mac.sync(cut_before="postflight")
    lost = tick(server)
    mac.sync()
    assert rules(policy(admin, mac, at=lost)) == {sha(1): (BLOCK, "global", "pending")}
    assert rules(policy(admin, mac, at=server.clock())) == {sha(1): (BLOCK, "global", "confirmed")}


def test_a_refused_confirmation_makes_it_unknown(
    server: RunningServer, admin: httpx.Client, mac: SimulatedMac
) -> None:
    mac.sync()
    add_rule(admin, sha(1), BLOCK)
    mac.post("preflight", mac.preflight_body())
    mac.post("ruledownload", {})
    mac.post("postflight", mac.postflight_body("NORMAL", 7))
    refused = tick(server)
    assert policy(admin, mac, at=refused)["confirmed"] is None
    mac.sync()
    assert policy(admin, mac, at=tick(server))["confirmed"]["seq"] == head(server)


def test_pages_follow_each_other(server: RunningServer, admin: httpx.Client, mac: SimulatedMac) -> None:
    mac.sync()
    tag_id = tag(admin, "t")
    give(admin, tag_id, mac)
    for number in range(9):
        add_rule(admin, sha(number), BLOCK)
        if number % 3 == 0:
            add_rule(admin, sha(number), "NONE", layer="tag:t")
    mac.sync()
    tick(server)
    for number in range(20, 24):
        add_rule(admin, sha(number), BLOCK)
    now = tick(server)
    whole = policy(admin, mac, at=now, limit=500)["rules"]
    assert [one["identifier"] for one in whole] == [sha(n) for n in (1, 2, 4, 5, 7, 8, 20, 21, 22, 23)]
    for limit in (1, 2, 3, 10):
        found, cursor = [], None
        while True:
            extra: dict[str, str] = {"cursor": cursor} if cursor else {}
            page = policy(admin, mac, at=now, limit=limit, **extra)
            assert len(page["rules"]) <= limit
            found += page["rules"]
            cursor = page["next_cursor"]
            if cursor is None:
                break
        assert found == whole


def test_what_cannot_be_answered_says_why(
    server: RunningServer, admin: httpx.Client, mac: SimulatedMac
) -> None:
    early = server.clock()
    tick(server)
    mac.sync()
    now = server.clock()
    unprocessable = httpx.codes.UNPROCESSABLE_ENTITY
    neither = [("at", "Give either a time as `at` or a policy number as `seq`")]
    assert problem(admin, mac) == (unprocessable, neither)
    assert problem(admin, mac, at=now, seq=0) == (unprocessable, neither)
    status, [(field, text)] = problem(admin, mac, at=now + timedelta(seconds=5))
    assert (status, field, text.partition(";")[0]) == (unprocessable, "at", "The time is in the future")
    status, [(field, text)] = problem(admin, mac, at=early)
    assert (status, field) == (unprocessable, "at")
    assert text.startswith("The machine was first seen at ")
    newest = head(server)
    status, errors = problem(admin, mac, seq=newest + 1)
    assert (status, errors) == (
        unprocessable,
        [("seq", f"There is no such policy number yet; the newest is {newest}")],
    )
    for odd in (
        {"at": "yesterday"},
        {"at": "2026-11-30T10:00:00"},
        {"seq": -1},
        {"seq": 2**63},
        {"seq": "x"},
    ):
        assert problem(admin, mac, **odd)[0] == unprocessable
    assert ask(admin, mac, at=now, cursor="?").status_code == httpx.codes.BAD_REQUEST
    assert ask(admin, "nobody", at=now).status_code == httpx.codes.NOT_FOUND


def test_a_machine_without_a_sync_has_no_policy(
    server: RunningServer, admin: httpx.Client, mac: SimulatedMac
) -> None:
    mac.post("eventupload", {"events": []})
    execute(server.dsn, "insert into machine (machine_id, enrolled_at) values ('silent', $1)", server.clock())
    status, [(field, text)] = problem(admin, "silent", at=server.clock())
    assert (status, field) == (httpx.codes.UNPROCESSABLE_ENTITY, "at")
    assert text == "The machine had not begun a sync by then, so it had no policy"


def test_a_machine_out_of_scope_is_not_found(
    server: RunningServer, admin: httpx.Client, mac: SimulatedMac
) -> None:
    mac.sync()
    add_user(server.dsn, "limited", "viewer", tag(admin, "theirs"))
    with server.client() as client:
        login = {"username": "limited", "password": "correct horse battery"}
        client.post("/api/v1/auth/login", json=login)
        assert ask(client, mac, at=server.clock()).status_code == httpx.codes.NOT_FOUND
        give(admin, 1, mac)
        assert ask(client, mac, at=server.clock()).status_code == httpx.codes.OK


def test_a_clock_that_was_set_back_leaves_the_newest_number_the_newest(
    server: RunningServer, admin: httpx.Client, mac: SimulatedMac
) -> None:
    mac.sync()
    server.clock.advance(hours=1)
    add_rule(admin, sha(1), BLOCK)
    wrong = head(server)
    server.clock.advance(minutes=-50)
    add_rule(admin, sha(2), BLOCK)
    right = head(server)
    server.clock.advance(minutes=1)
    assert policy(admin, mac, at=server.clock())["seq"] == right
    server.clock.advance(hours=2)
    assert policy(admin, mac, at=server.clock())["seq"] == right
    assert policy(admin, mac, seq=wrong)["seq"] == wrong


def test_a_retired_machine_has_no_policy_but_its_history(
    server: RunningServer, admin: httpx.Client, mac: SimulatedMac
) -> None:
    add_rule(admin, sha(1), BLOCK)
    mac.sync()
    synced = tick(server)
    url = f"/api/v1/machines/{mac.machine_id}"
    assert admin.post(f"{url}/retire").is_success
    retired = tick(server)
    assert admin.post(f"{url}/restore").is_success
    restored = tick(server)
    mac.sync()
    again = tick(server)
    assert rules(policy(admin, mac, at=synced)) == {sha(1): (BLOCK, "global", "confirmed")}
    for at in (retired, restored):
        status, [(field, text)] = problem(admin, mac, at=at)
        assert (status, field) == (httpx.codes.UNPROCESSABLE_ENTITY, "at")
        assert text.startswith("The machine was retired at ")
    assert rules(policy(admin, mac, at=again)) == {sha(1): (BLOCK, "global", "confirmed")}


def test_an_older_client_has_the_rule_below(
    server: RunningServer, admin: httpx.Client, mac: SimulatedMac
) -> None:
    mac.santa_version = "2025.5.1"
    mac.sync()
    give(admin, tag(admin, "t"), mac)
    add_rule(admin, sha(1), BLOCK)
    add_rule(admin, sha(1), "CEL", layer="tag:t", cel_expr="euid == 0")
    mac.sync()
    old = tick(server)
    mac.santa_version = "2026.7.1"
    mac.sync()
    new = tick(server)
    assert rules(policy(admin, mac, at=old)) == {sha(1): (BLOCK, "global", "confirmed")}
    assert rules(policy(admin, mac, at=new)) == {sha(1): ("CEL", "tag:t", "confirmed")}
