"""The model check, and a test of the check itself: see the package's docstring."""

import asyncio
import json
import os
from collections.abc import Coroutine, Iterator
from datetime import timedelta
from typing import Any

import pytest

from santaserver.sync import repository
from tests.model.conditions import hard
from tests.model.credential_mutants import CREDENTIAL_MUTANTS, write_what_was_read_before
from tests.model.mac import FAULTS, LATE, TORN
from tests.model.mutants import MUTANTS, Mutant, same_number_as_before
from tests.model.policy_mutants import POLICY_MUTANTS, pages_are_of_the_newest_policy
from tests.model.stacks import Served
from tests.model.witness import CHANGE_SETS, SETTINGS
from tests.model.world import BETWEEN, EARLIER, RESTORED, World, direct
from tests.model.wrong import WrongError
from tests.support.postgres import Cluster

SYNCS = int(os.environ.get("SANTA_MODEL_SYNCS", "800"))
"""Machine-syncs of the right algorithm."""
MUTANT_SYNCS = 40_000
"""Machine-syncs within which a wrong one has to be noticed; most are within some hundred or thousand."""
QUICK_SEED = 5
"""With it nearly every wrong one is noticed within a thousand machine-syncs."""
LONGEST = 300
"""Seconds of a run: one that hangs is a fault, not a mutant that was noticed."""
STANDINGS = ("another profile", "release", "retire", "restore", "delete")

EDITION = 7
RULE = {"rule_type": "BINARY", "policy": "BLOCKLIST"}


@pytest.fixture(autouse=True)
def hard_conditions(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small pages, and writers that take their time between number and commit."""
    hard(monkeypatch.setattr)


def test_every_mac_has_what_the_model_says(dsn: str) -> None:
    world = World(direct(dsn), seed=1)
    asyncio.run(world.run(SYNCS, lambda: not missing(world)))
    assert world.settled > 0
    assert missing(world) == []


def missing(world: World) -> list[str]:
    """What has yet to happen: how much does depends on which of two things at the same time is first."""
    kinds = ("NORMAL", "CLEAN", "CLEAN_ALL", "whole NORMAL", "whole CLEAN", "given up")
    standings = (f"happening: {what}" for what in STANDINGS)
    posts = ("of strangers: postflight", "refused: preflight")
    wanted = (
        (world.kinds, kinds),
        (world.faults, (*FAULTS, LATE, *standings, BETWEEN, RESTORED)),
        (world.posts, posts),
        (world.compared, (SETTINGS, CHANGE_SETS, EARLIER)),
    )
    return [name for counts, names in wanted for name in names if counts[name] == 0]


def test_every_mac_has_what_the_model_says_over_connections_cut_at_any_byte(dsn: str) -> None:
    world = World(lambda clock: Served(dsn, clock), seed=2)
    asyncio.run(world.run(SYNCS // 2))
    assert world.settled > 0
    assert world.faults[TORN] > 0


@pytest.mark.parametrize(
    "mutant", [*MUTANTS, *CREDENTIAL_MUTANTS, *POLICY_MUTANTS], ids=lambda mutant: mutant.__name__
)
def test_a_wrong_algorithm_is_noticed(
    cluster: Cluster, template: str, monkeypatch: pytest.MonkeyPatch, mutant: Mutant
) -> None:
    name = cluster.create(template)
    mutant(monkeypatch, cluster.dsn(name))
    # A restore makes every Mac right again, which hides what this looks for.
    world = World(direct(cluster.dsn(name)), seed=QUICK_SEED, restores=0)
    assert wrongs(world.run(MUTANT_SYNCS))
    cluster.drop(name)


def wrongs(run: Coroutine[Any, Any, None]) -> list[WrongError]:
    """What the Macs of this run noticed, perhaps several at once; any other error is raised."""
    noticed: list[WrongError] = []
    try:
        asyncio.run(asyncio.wait_for(run, LONGEST))
    except* WrongError as group:
        noticed += leaves(group)
    return noticed


def leaves(group: BaseExceptionGroup[WrongError]) -> Iterator[WrongError]:
    for error in group.exceptions:
        if isinstance(error, BaseExceptionGroup):
            yield from leaves(error)
        else:
            yield error


async def two_at_once() -> None:
    async def notice(mac: str) -> None:
        raise WrongError(mac, "M holds other rules")

    async with asyncio.TaskGroup() as outer:
        outer.create_task(notice("M-1"))
        async with asyncio.TaskGroup() as inner:
            inner.create_task(notice("M-2"))


async def nothing() -> None:
    pass


async def another_fault() -> None:
    raise ConnectionError("the database is away")


def test_several_macs_may_notice_the_same_mistake_at_once() -> None:
    assert {wrong.machine_id for wrong in wrongs(two_at_once())} == {"M-1", "M-2"}
    assert wrongs(nothing()) == []
    with pytest.raises(ConnectionError, match="away"):
        wrongs(another_fault())


@pytest.mark.parametrize("mutated", [False, True])
def test_only_its_own_number_of_rules_keeps_a_late_postflight_from_confirming(
    dsn: str, monkeypatch: pytest.MonkeyPatch, mutated: bool
) -> None:
    """Too rare to meet by chance: it takes a Mac that goes away between the last page and its postflight."""
    if mutated:
        same_number_as_before(monkeypatch, dsn)

    async def story() -> bool:
        world = World(direct(dsn), seed=3)
        await world.begin()
        mac = world.macs[2]
        line = world.stack.wire.line()
        rule = await world.admins.call("POST", "/api/v1/rules", RULE | {"identifier": "a" * 64})
        await mac.sync()
        late = {"rules_received": 1, "rules_processed": 1, "syncType": "NORMAL", "rulesHash": mac.hash()}
        # As many rules as before, or this agent's counts would give the mistake away.
        await world.admins.call("PATCH", f"/api/v1/rules/{rule['id']}", {"policy": "ALLOWLIST"})
        await mac.post(line, "preflight", mac.report())
        page = await mac.post(line, "ruledownload", {})
        assert [rule["policy"] for rule in page["rules"]][:1] == ["ALLOWLIST"]
        await mac.post(line, "postflight", late)
        await mac.sync()
        await world.database.close()
        return mac.table["BINARY", "a" * 64][0] == "ALLOWLIST"

    assert asyncio.run(story()) is not mutated


@pytest.mark.parametrize("mutated", [False, True])
def test_only_what_is_as_it_was_read_keeps_the_old_secret_from_confirming_after_a_move(
    dsn: str, monkeypatch: pytest.MonkeyPatch, mutated: bool
) -> None:
    """Too rare to meet by chance: it takes a postflight that waits while its Mac moves and gets rules."""
    if mutated:
        write_what_was_read_before(monkeypatch, dsn)
    rule = RULE | {"identifier": "a" * 64}

    async def story() -> tuple[int, str]:
        world = World(direct(dsn), seed=3)
        await world.begin()
        mac, call = world.macs[8], world.admins.call
        path = f"/api/v1/machines/{mac.facts.machine_id}"
        member = f"/api/v1/tags/{world.policy.tags[2].id}/members/{mac.facts.machine_id}"
        await call("POST", "/api/v1/rules", rule)
        await call("POST", "/api/v1/rules", rule | {"layer": "tag:t2", "policy": "ALLOWLIST"})
        await mac.sync()
        await mac.post(mac.wire.line(), "preflight", mac.report())
        said = mac.request("postflight", mac.speech.write("postflight", {"rules_received": 0}))
        reading, go_on = held_after_reading(monkeypatch)
        waiting = asyncio.create_task(mac.wire.line().exchange(said))
        await reading.wait()
        await call("POST", f"{path}/release")
        await call("PUT", member)
        mac.badge.shown, mac.badge.unsure = 1, True
        await mac.sync()
        assert mac.table["BINARY", "a" * 64][0] == "ALLOWLIST"
        go_on.set()
        status = (await waiting).status
        await call("DELETE", member)
        await mac.sync()
        await world.database.close()
        return status, mac.table["BINARY", "a" * 64][0]

    assert asyncio.run(story()) == ((200, "ALLOWLIST") if mutated else (403, "BLOCKLIST"))


@pytest.mark.parametrize("mutated", [False, True])
def test_pages_are_of_one_policy_when_a_file_is_imported_and_rules_expire_between_them(
    dsn: str, monkeypatch: pytest.MonkeyPatch, mutated: bool
) -> None:
    """Too rare to meet by chance: it takes a sync of several pages with a change between two of them."""
    if mutated:
        pages_are_of_the_newest_policy(monkeypatch, dsn)

    async def story() -> tuple[set[str], set[str]]:
        world = World(direct(dsn), seed=3)
        await world.begin()
        mac, call = world.macs[2], world.admins.call
        line = mac.wire.line()
        ends = world.clock.now + timedelta(minutes=20)
        short = RULE | {"custom_msg": "first", "expires_at": ends.isoformat()}
        await call("POST", "/api/v1/rules", short | {"identifier": "0" * 64})
        await call("POST", "/api/v1/rules/import", edition("first"))
        await mac.post(line, "preflight", mac.report())
        page = await mac.post(line, "ruledownload", {})
        received = page["rules"]
        await call("POST", "/api/v1/rules/import", edition("second"))
        world.clock.now = ends
        while cursor := page.get("cursor"):
            page = await mac.post(line, "ruledownload", {"cursor": cursor})
            received += page["rules"]
        await world.database.close()
        sent = [rule for rule in received if rule["policy"] != "REMOVE"]
        return {rule["identifier"] for rule in sent}, {rule["custom_msg"] for rule in sent}

    every = {f"{number:064x}" for number in range(EDITION + 1)}
    assert (asyncio.run(story()) == (every, {"first"})) is not mutated


def edition(text: str) -> dict[str, object]:
    """A file of rules that fill several pages."""
    rules = [RULE | {"identifier": f"{number:064x}", "custom_msg": text} for number in range(1, EDITION + 1)]
    return {"format": "json", "content": json.dumps(rules), "dry_run": False}


def held_after_reading(monkeypatch: pytest.MonkeyPatch) -> tuple[asyncio.Event, asyncio.Event]:
    """Have the next stage on the fast path wait once it has read its Mac: (it has, it may go on)."""
    reading, go_on = asyncio.Event(), asyncio.Event()
    find = repository.find_machine

    async def held(*values: Any) -> Any:  # noqa: ANN401 - passed on
        machine = await find(*values)
        if not reading.is_set():
            reading.set()
            await go_on.wait()
        return machine

    monkeypatch.setattr(repository, "find_machine", held)
    return reading, go_on
