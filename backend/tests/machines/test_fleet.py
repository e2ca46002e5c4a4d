"""Releasing, retiring, restoring and deleting Macs, one and many."""

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import httpx
import pytest

from tests.conftest import SECRET
from tests.support.enrollments import add_enrollment
from tests.support.postgres import execute, fetch, value
from tests.support.santa_client import SimulatedMac
from tests.support.server import RunningServer

OTHER = "other-secret-of-the-tests"
RETURNING = "returning-secret-of-the-tests"
STAGES = ("preflight", "eventupload", "ruledownload", "postflight", "metrics")
Make = Callable[..., SimulatedMac]


@pytest.fixture
def make(server: RunningServer) -> Iterator[Make]:
    """Makes Macs of three enrollments; the last one takes retired Macs back."""
    for secret, returns in ((OTHER, False), (RETURNING, True)):
        add_enrollment(server.dsn, secret, "o", reenroll_retired=returns)
    made: list[SimulatedMac] = []

    def one(machine_id: str = "M1", secret: str = SECRET, **fields: Any) -> SimulatedMac:  # noqa: ANN401
        made.append(SimulatedMac(server.url, secret=secret, machine_id=machine_id, **fields))
        return made[-1]

    yield one
    for mac in made:
        mac.close()


def status(mac: SimulatedMac, stage: str) -> int:
    return mac.post_raw(
        stage, json.dumps({"rules_received": 0} if stage == "postflight" else {}).encode()
    ).status_code


def detail(admin: httpx.Client, machine_id: str = "M1") -> dict[str, Any]:
    response = admin.get(f"/api/v1/machines/{machine_id}")
    assert response.status_code == 200, response.text
    found: dict[str, Any] = response.json()
    return found


def kinds(shown: dict[str, Any]) -> list[str]:
    return [notice["kind"] for notice in shown["notices"]]


def actions(admin: httpx.Client) -> list[str]:
    return [step["action"] for step in detail(admin)["credential"]["history"]]


def listed(admin: httpx.Client, **query: str) -> list[str]:
    return [item["machine_id"] for item in admin.get("/api/v1/machines", params=query).json()["items"]]


def order(admin: httpx.Client, **body: Any) -> httpx.Response:  # noqa: ANN401
    return admin.post("/api/v1/machines/actions", json=body)


def test_a_released_mac_works_on_and_is_moved_by_the_next_other_credential(
    admin: httpx.Client, make: Make
) -> None:
    mac = make()
    mac.sync()
    assert status(make(secret=OTHER), "preflight") == 403
    shown = detail(admin)
    assert kinds(shown) == ["credential_refused"]
    assert shown["credential"]["refused_enrollment"] == "o"
    assert admin.get("/api/v1/machines").json()["items"][0]["refused_at"]
    released = admin.post("/api/v1/machines/M1/release")
    assert released.status_code == 200, released.text
    assert "credential_released" in kinds(released.json())
    assert mac.sync().kind == "NORMAL"
    assert {stage: status(make(secret=OTHER), stage) for stage in STAGES[1:]} == dict.fromkeys(
        STAGES[1:], 403
    )
    assert make(secret=OTHER).sync()
    assert status(mac, "preflight") == 403
    shown = detail(admin)
    assert shown["credential"]["enrollment"]["label"] == "o"
    assert shown["released_at"] is None
    assert actions(admin) == ["machine_credential_changed", "machine_credential_released"]


def test_a_release_can_be_withdrawn(admin: httpx.Client, make: Make) -> None:
    make().sync()
    admin.post("/api/v1/machines/M1/release")
    assert admin.delete("/api/v1/machines/M1/release").json()["released_at"] is None
    assert status(make(secret=OTHER), "preflight") == 403


@pytest.mark.parametrize("secret", [SECRET, OTHER])
def test_a_retired_mac_is_refused_until_it_is_restored(admin: httpx.Client, make: Make, secret: str) -> None:
    mac = make()
    mac.sync()
    mac.block()
    shown = admin.post("/api/v1/machines/M1/retire").json()
    assert (shown["sync_state"], kinds(shown)) == ("retired", ["retired"])
    assert (listed(admin), listed(admin, retired="true")) == ([], ["M1"])
    assert {stage: status(make(secret=secret), stage) for stage in STAGES} == dict.fromkeys(STAGES, 403)
    assert "tried to sync" in detail(admin)["notices"][0]["text"]
    assert len(admin.get("/api/v1/events").json()["items"]) == 1
    assert admin.post("/api/v1/machines/M1/clean-sync", json={"kind": "clean"}).status_code == 409
    order_monitor = {"minutes": 5, "reason": "test"}
    assert admin.post("/api/v1/machines/M1/monitor-mode", json=order_monitor).status_code == 409
    then = {"at": shown["retired_at"]}
    assert "was retired" in admin.get("/api/v1/machines/M1/policy", params=then).json()["detail"]
    assert admin.post("/api/v1/machines/M1/restore").json()["sync_state"] == "never"
    assert status(make(secret=OTHER), "preflight") == 403
    assert mac.sync().kind == "CLEAN"
    assert actions(admin) == ["machine_restored", "machine_retired"]


@pytest.mark.parametrize("first", ["preflight", "eventupload"])
def test_an_enrollment_may_take_retired_macs_back(admin: httpx.Client, make: Make, first: str) -> None:
    mac = make(secret=RETURNING)
    mac.sync()
    admin.post("/api/v1/machines/M1/retire")
    assert status(make(), first) == 403
    assert status(mac, first) == 200
    assert mac.sync().kind == "CLEAN"
    assert detail(admin)["retired_at"] is None
    assert actions(admin) == ["machine_reenrolled", "machine_retired"]
    assert status(make(), "preflight") == 403


@pytest.mark.parametrize("first", ["preflight", "eventupload"])
def test_a_retired_mac_comes_back_with_its_own_credential_only(
    admin: httpx.Client, server: RunningServer, make: Make, first: str
) -> None:
    make().sync()
    admin.post("/api/v1/machines/M1/retire")
    assert {stage: status(make(secret=RETURNING), stage) for stage in STAGES} == dict.fromkeys(STAGES, 403)
    execute(server.dsn, "update enrollment set revoked_at = now() where label <> 'o'")
    assert status(make(secret=OTHER), first) == 403
    assert status(make(secret=RETURNING), first) == 200
    assert make(secret=RETURNING).sync().kind == "CLEAN"


@pytest.mark.parametrize("by_itself", [False, True])
def test_a_mac_comes_back_with_its_tags(admin: httpx.Client, make: Make, *, by_itself: bool) -> None:
    mac = make(secret=RETURNING)
    mac.sync()
    tags: list[dict[str, Any]] = [
        {"name": "by-hand"},
        {"name": "removed"},
        {"name": "by-group", "groups": ["staff"]},
        {"name": "by-name", "predicate": "hostname == 'nobody'"},
    ]
    made = {tag["name"]: admin.post("/api/v1/tags", json=tag).json()["id"] for tag in tags}
    for name in ("by-hand", "removed", "by-name"):
        assert admin.put(f"/api/v1/tags/{made[name]}/members/M1").status_code == 204
    mac.groups = ["staff"]
    mac.sync()
    before = admin.get("/api/v1/machines/M1/tags").json()
    assert len(before) == 4
    admin.post("/api/v1/machines/M1/retire")
    assert admin.get("/api/v1/machines/M1/tags").json() == []
    assert admin.delete(f"/api/v1/tags/{made['removed']}").status_code == 204
    if not by_itself:
        restored = admin.post("/api/v1/machines/M1/restore")
        assert restored.json()["sync_state"] == "never", restored.text
        assert len(admin.get("/api/v1/machines/M1/tags").json()) == 3
    assert mac.sync().kind == "CLEAN"
    after = admin.get("/api/v1/machines/M1/tags").json()
    assert [tag["name"] for tag in after] == [tag["name"] for tag in before if tag["name"] != "removed"]
    assert [tag["sources"] for tag in after] == [tag["sources"] for tag in before if tag["name"] != "removed"]


def test_a_mac_that_comes_back_may_do_several_things_at_once(admin: httpx.Client, make: Make) -> None:
    stages = ("preflight", "eventupload", "preflight", "ruledownload", "preflight", "eventupload")
    macs = [make(secret=RETURNING) for _ in stages]
    macs[0].sync()
    with ThreadPoolExecutor(len(stages) + 1) as pool:
        for turn in range(10):
            assert admin.post("/api/v1/machines/M1/retire").status_code == 200
            barrier = Barrier(len(stages) + 1)

            def at_once(mac: SimulatedMac, stage: str, barrier: Barrier = barrier) -> int:
                barrier.wait(10)
                return status(mac, stage)

            def retire(barrier: Barrier = barrier) -> int:
                barrier.wait(10)
                return admin.post("/api/v1/machines/M1/retire").status_code

            retired = pool.submit(retire)
            codes = list(pool.map(at_once, macs, stages))
            assert set(codes) <= {200, 403, 404, 409}, (turn, codes)
            assert retired.result(20) == 200


def test_a_deleted_mac_is_gone_but_its_events_name_it(
    admin: httpx.Client, server: RunningServer, make: Make
) -> None:
    mac = make()
    mac.sync()
    mac.block()
    for _ in range(2):
        response = admin.delete("/api/v1/machines/M1")
    assert response.status_code == 404
    assert (listed(admin), listed(admin, retired="true")) == ([], [])
    for path in ("", "/tags", "/policy"):
        assert admin.get(f"/api/v1/machines/M1{path}").status_code == 404, path
    assert admin.get("/api/v1/events").json()["items"][0]["machine_id"] == "M1"
    assert value(server.dsn, "select count(*) from audit_log where action = 'machine_deleted'") == 1
    assert status(make(secret=OTHER), "metrics") == 200
    assert make(secret=OTHER).sync().kind == "CLEAN"
    assert detail(admin)["credential"]["enrollment"]["label"] == "o"
    assert actions(admin) == ["machine_reenrolled", "machine_deleted"]
    assert status(mac, "preflight") == 403


def test_the_history_of_a_credential_outlives_its_details(
    admin: httpx.Client, server: RunningServer, make: Make
) -> None:
    make().sync()
    admin.post("/api/v1/machines/M1/release")
    execute(server.dsn, "delete from audit_detail")
    (step,) = detail(admin)["credential"]["history"]
    assert (step["action"], step["actor"], step["before"]) == ("machine_credential_released", None, None)


def test_a_retired_mac_does_not_count(admin: httpx.Client, server: RunningServer, make: Make) -> None:
    execute(server.dsn, "update enrollment set quota = 1")
    make().sync()
    assert status(make("M2"), "preflight") == 401
    admin.post("/api/v1/machines/M1/retire")
    make("M2").sync()
    enrollment = admin.get("/api/v1/enrollments").json()["items"][-1]
    assert (enrollment["machines"], enrollment["state"]) == (1, "full")
    assert admin.get("/api/v1/overview").json()["machines"]["total"] == 1


def test_many_by_a_filter_with_the_exact_number(
    admin: httpx.Client, server: RunningServer, make: Make
) -> None:
    for number in range(6):
        make(f"M{number}", hostname=f"{'lab' if number % 2 else 'desk'}-{number}").sync()
    count = admin.get("/api/v1/machines/count", params={"q": "lab"}).json()["count"]
    assert count == 3
    wanted = {"action": "retire", "filter": {"q": "lab"}, "reason": "lab closed"}
    for wrong in (2, 4, 0):
        refused = order(admin, **wanted, count=wrong)
        assert (refused.status_code, len(listed(admin))) == (412, 6), refused.text
        assert "3 machines" in refused.json()["detail"]
    assert order(admin, **wanted).status_code == 422
    done = order(admin, **wanted, count=count)
    assert done.json() == {"action": "retire", "matched": 3, "changed": 3}
    assert listed(admin) == ["M0", "M2", "M4"]
    assert status(make("M1"), "preflight") == 403
    entries = fetch(
        server.dsn, "select object_id, reason from audit_log where action = 'machine_retired' order by 1"
    )
    assert [entry["object_id"] for entry in entries] == ["M1", "M3", "M5"]
    assert entries[0]["reason"] == "lab closed"
    again = order(admin, action="restore", filter={"q": "", "retired": True}, count=3)
    assert again.json()["changed"] == 3
    released = order(admin, action="release", machine_ids=["M0", "M1"])
    assert released.json() == {"action": "release", "matched": 2, "changed": 2}
    assert order(admin, action="release", machine_ids=["M0", "M2"]).json()["changed"] == 1


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"action": "retire"}, 422),
        ({"action": "retire", "machine_ids": []}, 422),
        ({"action": "retire", "machine_ids": ["M1"], "filter": {"q": ""}, "count": 1}, 422),
        ({"action": "explode", "machine_ids": ["M1"]}, 422),
        ({"action": "retire", "machine_ids": ["M1", "nobody"]}, 404),
        ({"action": "retire", "machine_ids": ["M1"], "count": 2}, 412),
        ({"action": "retire", "filter": {"host": "x"}, "count": 1}, 422),
        ({"action": "retire", "filter": {"q": "%"}, "count": 1}, 412),
    ],
)
def test_an_order_that_is_not_clear_changes_nothing(
    admin: httpx.Client, make: Make, body: dict[str, Any], code: int
) -> None:
    make().sync()
    assert order(admin, **body).status_code == code
    assert listed(admin) == ["M1"]


def test_a_viewer_may_not(viewer: httpx.Client, make: Make) -> None:
    make().sync()
    assert order(viewer, action="retire", machine_ids=["M1"]).status_code == 403
    for path in ("release", "retire", "restore"):
        assert viewer.post(f"/api/v1/machines/M1/{path}").status_code == 403
    assert viewer.delete("/api/v1/machines/M1").status_code == 403
    assert viewer.delete("/api/v1/machines/M1/release").status_code == 403
    assert listed(viewer) == ["M1"]
