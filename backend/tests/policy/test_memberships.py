"""Who has a tag is part of the policy log: in its order, with who and why where a person decided."""

from typing import Any

import httpx

from tests.live.sockets import listen, socket
from tests.support.policy_log import UNEXPLAINED
from tests.support.postgres import fetch, value
from tests.support.santa_client import SimulatedMac
from tests.support.server import RunningServer
from tests.support.statements import statements
from tests.sync.helpers import add_rule, give, sha, tag

HEAD = "select seq from policy_head"
MEMBERS = """select source, joined_seq, left_seq from tag_member order by id"""
LAST = """select seq, kind, actor_kind, actor_name, reason, summary::text from policy_change
  order by seq desc limit 1"""
AUDIT = """select policy_seq, action, actor_name, reason from audit_log
  where action ~ '^(tag_member|machine_)' order by id"""
DONE = httpx.codes.NO_CONTENT


def members(server: RunningServer) -> list[tuple[str, int, int | None]]:
    """Return all memberships, in the order in which they began."""
    return [(row["source"], row["joined_seq"], row["left_seq"]) for row in fetch(server.dsn, MEMBERS)]


def tags_at(admin: httpx.Client, mac: SimulatedMac, **moment: Any) -> list[str]:  # noqa: ANN401
    """Return the tags that a Mac had at a number or a time."""
    response = admin.get(f"/api/v1/machines/{mac.machine_id}/policy", params=moment)
    assert response.status_code == httpx.codes.OK, response.text
    return [one["name"] for one in response.json()["tags"]]


def test_what_a_person_changes_has_a_number_and_an_entry(
    server: RunningServer, admin: httpx.Client, mac: SimulatedMac
) -> None:
    mac.sync()
    pilot = tag(admin, "pilot")
    before = value(server.dsn, HEAD)
    path = f"/api/v1/tags/{pilot}/members/{mac.machine_id}"
    with socket(server, admin) as live:
        for _ in range(2):  # the second time changes nothing
            assert admin.put(path, params={"reason": "first wave"}).status_code == DONE
        told = listen(live, "machine")
        assert (told["machine_id"], told["change"]) == (mac.machine_id, "tag_added")
    (change,) = fetch(server.dsn, LAST)
    summary = f'{{"tag": {pilot}, "action": "added", "machines": 1}}'
    assert change == {
        "seq": before + 1,
        "kind": "membership",
        "actor_kind": "user",
        "actor_name": "admin",
        "reason": "first wave",
        "summary": summary,
    }
    for _ in range(2):
        assert admin.delete(path, params={"reason": "over"}).status_code == DONE
    assert members(server) == [("manual", before + 1, before + 2)]
    assert value(server.dsn, HEAD) == before + 2
    assert [tuple(row.values()) for row in fetch(server.dsn, AUDIT)] == [
        (before + 1, "tag_member_added", "admin", "first wave"),
        (before + 2, "tag_member_removed", "admin", "over"),
    ]
    assert fetch(server.dsn, UNEXPLAINED) == []


def test_what_a_report_changes_comes_after_the_newest_change(
    server: RunningServer, admin: httpx.Client, mac: SimulatedMac
) -> None:
    tag(admin, "lab", predicate="hostname.startsWith('lab-')")
    tag(admin, "staff", groups=["staff"])
    mac.groups = ["staff"]
    mac.sync()
    first = value(server.dsn, HEAD)
    add_rule(admin, sha(1))
    mac.hostname = "lab-1"
    mac.sync()
    add_rule(admin, sha(2))
    mac.hostname = "office-1"
    mac.groups = []
    mac.sync()
    assert members(server) == [("group", first, first + 2), ("predicate", first + 1, first + 2)]
    assert value(server.dsn, HEAD) == first + 2  # no number was taken
    assert [tags_at(admin, mac, seq=first + step) for step in range(3)] == [["staff"], ["staff", "lab"], []]


def test_many_macs_are_retired_and_restored_under_one_number_each(
    server: RunningServer, admin: httpx.Client
) -> None:
    macs = [SimulatedMac(server.url, machine_id=f"M{number}", serial=f"S{number}") for number in range(3)]
    pilot = tag(admin, "pilot")
    for mac in macs:
        mac.sync()
    for mac in macs[:2]:
        give(admin, pilot, mac)
    before = value(server.dsn, HEAD)
    names = [mac.machine_id for mac in macs]
    for action in ("retire", "restore", "delete"):
        body = {"action": action, "machine_ids": names, "reason": f"to {action}"}
        admin.post("/api/v1/machines/actions", json=body).raise_for_status()
    assert members(server) == [
        ("manual", before - 1, before + 1),
        ("manual", before, before + 1),
        ("manual", before + 2, before + 3),
        ("manual", before + 2, before + 3),
    ]
    (change,) = fetch(server.dsn, LAST)
    assert (change["seq"], change["kind"], change["reason"]) == (before + 3, "membership", "to delete")
    numbers = {row["policy_seq"] for row in fetch(server.dsn, AUDIT) if row["action"] == "machine_retired"}
    assert numbers == {before + 1}
    assert fetch(server.dsn, UNEXPLAINED) == []
    for mac in macs:
        mac.close()


def test_macs_without_tags_are_retired_without_a_number(
    server: RunningServer, admin: httpx.Client, mac: SimulatedMac
) -> None:
    mac.sync()
    before = value(server.dsn, HEAD)
    admin.post("/api/v1/machines/actions", json={"action": "retire", "machine_ids": [mac.machine_id]})
    assert (value(server.dsn, HEAD), members(server)) == (before, [])


def test_a_removed_tag_ends_its_memberships_under_its_number(
    server: RunningServer, admin: httpx.Client, mac: SimulatedMac
) -> None:
    mac.sync()
    pilot = tag(admin, "pilot", predicate="true")
    give(admin, pilot, mac)
    mac.sync()
    before = value(server.dsn, HEAD)
    assert admin.delete(f"/api/v1/tags/{pilot}").status_code == DONE
    assert members(server) == [("manual", before, before + 1), ("predicate", before, before + 1)]


def test_the_order_is_that_of_the_numbers_when_the_clock_is_set_back(
    server: RunningServer, admin: httpx.Client, mac: SimulatedMac
) -> None:
    mac.sync()
    server.clock.advance(hours=3)
    pilot, lab = tag(admin, "pilot"), tag(admin, "lab", predicate="hostname.startsWith('lab-')")
    give(admin, pilot, mac)
    mac.sync()
    first = value(server.dsn, HEAD)
    server.clock.advance(hours=-1)
    give(admin, lab, mac)
    mac.hostname = "lab-1"
    mac.sync()
    give(admin, pilot, mac, "DELETE")
    mac.sync()
    server.clock.advance(hours=2)
    give(admin, lab, mac, "DELETE")
    mac.sync()
    assert members(server) == [
        ("manual", first, first + 2),
        ("manual", first + 1, first + 3),
        ("predicate", first + 1, None),
    ]
    found = [tags_at(admin, mac, seq=first + step) for step in range(4)]
    assert found == [["pilot"], ["lab", "pilot"], ["lab"], ["lab"]]
    numbers = [
        row["seq"] for row in fetch(server.dsn, "select seq from policy_change order by latest_at, seq")
    ]
    assert numbers == sorted(numbers)


def test_other_macs_notice_nothing(server: RunningServer, admin: httpx.Client, mac: SimulatedMac) -> None:
    """Whoever gets or loses a tag: the next sync of another Mac asks the database nothing more."""
    pilot = tag(admin, "pilot")
    add_rule(admin, sha(1))
    add_rule(admin, sha(2), layer="tag:pilot")
    other = SimulatedMac(server.url)
    for one in (mac, other, mac, other):
        one.sync()
    give(admin, pilot, mac)
    give(admin, pilot, mac, "DELETE")
    give(admin, pilot, mac)
    with statements(server, "_syncs") as sent:
        other.sync()
    assert [statement.split()[0] for statement in sent] == ["select", "update", "select", "select", "update"]
    assert value(server.dsn, "select max(acked_seq) from machine_sync") == value(server.dsn, HEAD)
    mac.sync()
    assert {key[1] for key in mac.rules} == {sha(1), sha(2)}
    other.close()
