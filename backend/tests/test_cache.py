"""All caches of a process stay within one memory budget, and nothing depends on their content."""

import random
import tracemalloc
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from santaserver.cache import CacheMemory, LruCache
from santaserver.current_user import Binding, user_with
from santaserver.db import Database
from santaserver.enrollment.admission import EnrollmentCache, EnrollmentTerms
from santaserver.events.catalog import ProgramCache
from santaserver.events.pending_claims import KnownProgram
from santaserver.policy.rule_text import RuleContent, RuleText, changes, rule_set, rule_text
from santaserver.policy.states import PolicyState, RuleCounts
from santaserver.settings import load
from santaserver.sync.batch_caps import BatchCaps
from santaserver.sync.caches import SyncCaches, TagRule
from santaserver.sync.pages import SharedPart
from santaserver.users.sessions import Lifetime, Lifetimes, Sessions, _Session
from tests.support.santa_client import SimulatedMac
from tests.support.server import RunningServer

NOW = datetime(2026, 1, 2, tzinfo=UTC)
MIB = 2**20

LIFETIMES = Lifetimes(Lifetime(timedelta(1), timedelta(1)), Lifetime(timedelta(1), timedelta(1)))


def text(number: int) -> RuleText:
    """Return a rule as it comes from the database, with texts of its own."""
    return rule_text(
        RuleContent(
            rule_type="BINARY",
            identifier=f"{number:064x}",
            policy="BLOCKLIST",
            cel_expr=None,
            custom_msg=f"Ask the help desk about {number}",
            custom_url="",
            needs_level=0,
            grants_compiler=False,
        )
    )


def state(number: int) -> PolicyState:
    return PolicyState(1000 + number % 7, 10_000 + number)


Fill = Callable[[CacheMemory, int], object]


def fill_sync(name: str, entry: Callable[[int], tuple[Any, Any]]) -> tuple[str, Fill]:
    def fill(memory: CacheMemory, number: int) -> object:
        caches = SyncCaches(memory)
        for one in range(number):
            getattr(caches, name).put(*entry(one))
        return caches

    return name, fill


def fill_programs(memory: CacheMemory, number: int) -> object:
    programs = ProgramCache(memory)
    for one in range(number):
        program = KnownProgram(10_000 + one, NOW)
        for mac in range(one % 5):
            program = program.reported_by(hash(("mac", one, mac)))
        programs.known.put(f"{one:064x}", program)
    return programs


def fill_places(memory: CacheMemory, number: int) -> object:
    programs = ProgramCache(memory)
    for one in range(number):
        programs.places.known.put(hash(("place", one)), True)
    return programs


def fill_enrollments(memory: CacheMemory, number: int) -> object:
    cache = EnrollmentCache(memory)
    for one in range(number):
        serials = frozenset(f"C02{one:05}{serial:04}" for serial in range(20))
        key = one.to_bytes(32, "big")
        cache.known.put(key, (EnrollmentTerms(one, None, serials, None), datetime(2026, 1, 2, 3, tzinfo=UTC)))
    return cache


def fill_caps(memory: CacheMemory, number: int) -> object:
    caps = BatchCaps(memory)
    for one in range(number):
        caps.too_large(f"{one:08x}-0000-4000-8000-000000000000", NOW)
    return caps


def fill_sessions(memory: CacheMemory, number: int) -> object:
    sessions = Sessions(Database(load({}).database), LIFETIMES, memory)
    for one in range(number):
        held = [Binding(role="operator", tag=None, tag_name=None)]
        user = user_with(1000 + one, f"someone{one}", f"Someone {one}", held)
        at = [NOW + timedelta(seconds=one, minutes=minute) for minute in range(3)]
        sessions._known.put(one.to_bytes(32, "big"), _Session(user, at[0], at[1], at[2], one / 7, 1000 + one))
    return sessions


FILLS = dict(
    [
        fill_sync("signatures", lambda one: ((tuple(range(1000 + one, 1010 + one)), 3), 10_000 + one)),
        fill_sync("layers", lambda one: (10_000 + one, (tuple(range(1000 + one, 1010 + one)), 3))),
        fill_sync(
            "tags",
            lambda one: (
                one,
                tuple(
                    TagRule(one * 300 + tag, one * 300 + tag, True, f"serial == '{one} {tag}'", *empty())
                    for tag in range(10)
                ),
            ),
        ),
        fill_sync("settings", lambda one: ((10_000 + one, 20_000 + one, False), bytes(900))),
        fill_sync("texts", lambda one: (10_000 + one, text(one))),
        fill_sync("newest", lambda one: (10_000 + one, state(one))),
        fill_sync("counts", lambda one: (state(one), RuleCounts(1000 + one, 2000, 3000, 4000, 5000))),
        fill_sync(
            "deltas",
            lambda one: (
                ((state(one), state(one + 1)), state(one + 2)),
                [f'{{"identifier":"{one:064x}{rule}"}}'.encode() for rule in range(5)],
            ),
        ),
        fill_sync(
            "pages",
            lambda one: ((state(one), 1000, True), SharedPart(bytes(8000), True, 30_000, 10_000 + one)),
        ),
        fill_sync(
            "authorities",
            lambda one: (state(one), frozenset(("BINARY", f"{one:060x}{key:04x}") for key in range(10))),
        ),
        ("programs", fill_programs),
        ("places", fill_places),
        ("enrollments", fill_enrollments),
        ("caps", fill_caps),
        ("sessions", fill_sessions),
    ]
)


def empty() -> tuple[frozenset[str], frozenset[int]]:
    return frozenset(), frozenset()


@pytest.mark.parametrize("name", FILLS)
def test_what_a_cache_is_thought_to_take_is_what_it_takes(name: str) -> None:
    memory = CacheMemory(64 * MIB)
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        kept = FILLS[name](memory, 2000)
        real = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert kept is not None
    assert 0.8 * real <= memory.used <= 2 * real, f"{memory.used} of {real} bytes"


def test_a_budget_is_kept_whatever_is_stored() -> None:
    memory = CacheMemory(100_000)
    caches: list[LruCache[int, bytes]] = [
        LruCache(memory, str(number), lambda _, value: 100 + len(value)) for number in range(4)
    ]
    chance = random.Random(7)
    for _ in range(20_000):
        cache = chance.choice(caches)
        key = chance.randrange(300)
        if chance.random() < 0.5:
            cache.get(key)
        else:
            cache.put(key, bytes(chance.choice((0, 10, 900, 49_900, 60_000))))
        assert memory.used <= memory.limit
    numbers = list(memory.numbers())
    assert memory.used == sum(one.size for one in numbers)
    assert all(one.entries == len(cache) for one, cache in zip(numbers, caches, strict=True))
    assert sum(one.evictions for one in numbers) > 0
    for cache in caches:
        found = [cache.get(key) for key in range(300)]
        assert cache.size == sum(100 + len(value) for value in found if value is not None)
        assert cache.unused == 0


def test_what_is_used_outlives_a_flood_of_one_cache() -> None:
    memory = CacheMemory(100_000)
    useful: LruCache[int, str] = LruCache(memory, "useful", lambda *_: 1000)
    flooded: LruCache[int, str] = LruCache(memory, "flooded", lambda *_: 500)
    for key in range(20):
        useful.put(key, "kept")
    for key in range(5000):
        flooded.put(key, "once")
        useful.get(key % 20)
    assert [useful.get(key) for key in range(20)] == ["kept"] * 20
    assert useful.evictions == 0
    assert flooded.get(0) is None
    assert flooded.get(4999) == "once"


def test_a_hundred_thousand_rules_fit_into_the_usual_budget() -> None:
    memory = CacheMemory()
    caches = SyncCaches(memory)
    caches.texts.put(10_000, text(1))
    assert memory.used * 100_000 < 0.9 * memory.limit


def test_texts_stay_as_long_as_a_rule_set_has_them() -> None:
    memory = CacheMemory(300_000)
    caches = SyncCaches(memory)
    here = PolicyState(1, 1)
    for version in range(100):
        caches.texts.put(version, text(version))
    held = [caches.texts.get(version) for version in range(100)]
    caches.sets.put(here, rule_set({one.key: one.text or b"" for one in held if one is not None}))
    del held
    for version in range(1000, 3000):
        caches.texts.put(version, text(version))
        caches.sets.get(here)
    assert all(caches.texts.get(version) is not None for version in range(100))
    for number in range(3000):
        caches.settings.put((number, 0, False), bytes(1000))
    assert caches.sets.get(here) is None
    assert caches.texts.get(0) is None
    assert memory.used <= memory.limit


def test_a_budget_that_is_too_small_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    memory = CacheMemory(20_000)
    caches = SyncCaches(memory)
    held = [caches.texts.put(version, text(version)) for version in range(100)]
    assert [caches.texts.get(version) for version in range(100)] == held
    told = [record for record in caplog.records if "raise CACHE_MEMORY_MIB" in record.getMessage()]
    assert len(told) == 1
    del held
    caches.texts.put(1000, text(1000))
    for version in range(2000, 2100):
        caches.texts.put(version, text(version))
    assert memory.used <= memory.limit, "nobody has them any more"


def test_one_change_a_second_for_a_quarter_of_an_hour_stays_within_the_budget() -> None:
    memory = CacheMemory(2 * MIB)
    caches = SyncCaches(memory)
    chance = random.Random(3)
    versions = {rule: text(rule) for rule in range(250)}
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        for seq in range(900):
            rule = chance.randrange(250)
            versions[rule] = caches.texts.put(1_000_000 + seq, text(rule + 1000 * seq))
            for signature in range(3):
                target = PolicyState(signature, seq)
                found = {one.key: one.text or b"" for one in versions.values()}
                whole = caches.sets.put(target, rule_set(found))
                caches.newest.put(signature, target)
                caches.counts.put(target, whole.counts())
                bases = tuple(PolicyState(signature, seq - late) for late in (1, 2, 60))
                caches.deltas.put((bases, target), changes(whole.keys[:2], found))
                caches.pages.put((target, 0), SharedPart(bytes(12_000), True, 50_000, 1))
            assert memory.used <= memory.limit
        real = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert memory.used > memory.limit / 2
    assert real < 1.5 * memory.limit
    assert caches.newest.get(2) == PolicyState(2, 899)


def test_macs_sync_without_anything_remembered(
    server: RunningServer, admin: httpx.Client, mac: SimulatedMac
) -> None:
    memory = server.app.state.santa.memory
    memory.limit = 0
    lines = "\n".join(f"BINARY,{number:064x},BLOCKLIST" for number in range(1100))
    plan = {"format": "csv", "content": f"rule_type,identifier,policy\n{lines}\n", "dry_run": False}
    assert admin.post("/api/v1/rules/import", json=plan).status_code == httpx.codes.OK
    mac.sync()
    assert len(mac.rules) == 1100
    rule = {"rule_type": "BINARY", "identifier": "f" * 64, "policy": "ALLOWLIST"}
    assert admin.post("/api/v1/rules", json=rule).status_code == httpx.codes.CREATED
    mac.sync()
    assert len(mac.rules) == 1101
    assert memory.used == 0
