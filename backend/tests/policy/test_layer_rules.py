"""Large changes are made in parts, with the same result as comparing each set of layers as a whole."""

import asyncio
import random
from collections.abc import Iterator

import asyncpg
import pytest

from santaserver.errors import Overloaded
from santaserver.policy import layer_log, preparation, rule_sets
from santaserver.policy.caches import PolicyCaches
from santaserver.policy.layer_rules import Gaps, JoinedRules, LayerKey, LayerRules, Overlay, Span
from santaserver.policy.preparation import NotPrepared, RulePreparer, when_prepared
from santaserver.policy.rule_sets import ALL
from santaserver.policy.rule_text import Key
from santaserver.policy.states import PolicyState

LAST = 12
TARGETS = 40
CODES = (5, 0, 12, 100)
"""Capabilities: the newest Santa, one without CEL, one without signing IDs, and pedro."""
POLICIES = ("ALLOWLIST", "BLOCKLIST", "SILENT_TTY_BLOCKLIST", "ALLOWLIST_COMPILER", "CEL", "NONE")
CURSOR_KEY = LayerKey(1, 5, Span((1,), 2))


async def write_history(connection: asyncpg.Connection, chance: random.Random) -> None:
    """Store a random log: some targets in one layer, some in several, opened and closed again and again."""
    await connection.execute(
        """insert into layer (kind, name, rank, used)
           select 'user', 'u' || n, 1000000, true from generate_series(1, 3) n"""
    )
    layers = [row[0] for row in await connection.fetch("select id from layer order by id")]
    for number in range(TARGETS):
        kind = chance.choice(("BINARY", "SIGNINGID"))
        target = f"{number:064x}" if kind == "BINARY" else f"ABCDE{number:05}:com.example"
        for layer in chance.sample(layers, chance.choice((1, 1, 1, 2, 4))):
            rule = await connection.fetchval(
                """insert into rule (layer_id, rule_type, identifier, created_at)
                   values ($1, $2, $3, now()) returning id""",
                layer,
                kind,
                target,
            )
            for opened, closed in spans(chance):
                policy = chance.choice(POLICIES if layer != 1 else POLICIES[:-1])
                await connection.execute(
                    """insert into rule_version (rule_id, layer_id, rule_type, identifier, policy, cel_expr,
                         needs_level, grants_compiler, locked, opened_seq, closed_seq, opened_at)
                       values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, now())""",
                    rule,
                    layer,
                    kind,
                    target,
                    policy,
                    "true" if policy == "CEL" else None,
                    chance.choice((1, 5)) if policy == "CEL" else 0,
                    policy == "ALLOWLIST_COMPILER",
                    chance.random() < 0.2,
                    opened,
                    closed,
                )


def spans(chance: random.Random) -> Iterator[tuple[int, int | None]]:
    """Yield when the versions of a rule are in force, one after the other."""
    opened = chance.randrange(1, LAST)
    while opened <= LAST:
        closed = opened + chance.randrange(1, LAST)
        yield opened, None if closed > LAST else closed
        opened = closed + chance.choice((0, 0, 2))


async def signatures(connection: asyncpg.Connection, chance: random.Random) -> list[int]:
    layers = [row[0] for row in await connection.fetch("select id from layer order by id")]
    made = set()
    for _ in range(6):
        chosen = [layer for layer in layers if layer == 1 or chance.random() < 0.6]
        made.add((tuple(sorted(chosen, key=layers.index)), chance.choice(CODES)))
    return [
        await connection.fetchval(
            "insert into policy_signature (layers, capabilities) values ($1, $2) returning id", *one
        )
        for one in sorted(made)
    ]


@pytest.mark.parametrize("seed", range(4))
def test_parts_are_what_a_comparison_of_each_set_of_layers_gives(
    dsn: str, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(preparation, "LARGE", seed % 3 * 3)
    monkeypatch.setattr(layer_log, "PORTION", 4)

    async def compare() -> int:
        chance = random.Random(seed)
        connection = await asyncpg.connect(dsn)
        await write_history(connection, chance)
        caches, alone = PolicyCaches(), PolicyCaches()
        pool = await asyncpg.create_pool(dsn, min_size=1, max_size=3)
        preparer = caches.preparer = RulePreparer(pool.acquire, caches)
        joined = 0
        for signature in await signatures(connection, chance):
            for _ in range(8):
                target = PolicyState(signature, chance.randrange(1, LAST + 1))
                bases = tuple(
                    PolicyState(signature, chance.randrange(target.seq + 1))
                    for _ in range(chance.choice((0, 1, 1, 2, 3)))
                )
                expected = await rule_sets.delta(connection, alone, bases, target)
                found = await when_prepared(
                    lambda bases=bases, target=target: rule_sets.delta(  # type: ignore[misc]
                        connection, caches, bases, target, ALL
                    )
                )
                assert sorted(found) == sorted(expected), (bases, target)
                joined += isinstance(found, JoinedRules)
                pages = [found[start : start + 7] for start in range(0, len(found), 7)]
                assert [rule for page in pages for rule in page] == list(found)
                expected_counts = await rule_sets.counts(connection, alone, target)
                assert expected_counts == await when_prepared(
                    lambda target=target: rule_sets.counts(connection, caches, target)  # type: ignore[misc]
                )
        await preparer.close()
        await pool.close()
        await connection.close()
        return joined

    assert asyncio.run(compare()) > 0


def key(number: int) -> Key:
    return "BINARY", f"{number:064x}"


def joined(part: LayerRules, *left_out: int) -> JoinedRules:
    overlay = Overlay((part.key,), [key(number) for number in left_out], [b"own"], [key(99)])
    return JoinedRules([part], overlay)


def test_rules_can_be_used_while_a_part_grows() -> None:
    part = LayerRules(CURSOR_KEY)
    rules = joined(part, 0, 2, 3, 9)
    assert len(rules) == 0
    part.add((key(number), b"%d" % number) for number in range(3))
    assert list(rules) == [b"1"]
    part.add((key(number), b"%d" % number) for number in range(3, 6))
    assert list(rules) == [b"1", b"4", b"5"]
    assert rules.shared(1, 3) == (part.key, 4, 6)
    assert rules.shared(0, 2) is None, "a range with a gap is nobody else's"
    part.end()
    assert list(rules) == [b"1", b"4", b"5", b"own"]
    assert rules[3] == b"own"
    assert rules[1:4] == [b"4", b"5", b"own"]
    assert rules.shared(2, 4) is None
    assert rules.counts().binary == 4


def test_a_part_that_is_made_again_has_the_same_gaps() -> None:
    gaps = Gaps([key(1), key(4)])
    part = LayerRules(CURSOR_KEY)
    part.add((key(number), b"") for number in range(6))
    part.end()
    gaps.look_up(part)
    again = LayerRules(CURSOR_KEY)
    again.add((key(number), b"") for number in range(3))
    gaps.look_up(again)
    assert (gaps.left(6), gaps.left(3)) == (4, 2)


def test_whoever_waits_for_a_part_that_fails_is_told() -> None:
    async def fail() -> None:
        part = LayerRules(CURSOR_KEY)
        waiting = [asyncio.create_task(part.grow(0)) for _ in range(3)]
        await asyncio.sleep(0)
        part.end(ConnectionError("away"))
        for one in await asyncio.gather(*waiting, return_exceptions=True):
            assert isinstance(one, ConnectionError)

    asyncio.run(fail())


def test_nobody_waits_longer_than_told() -> None:
    async def wait() -> None:
        part = LayerRules(CURSOR_KEY)
        with pytest.raises(Overloaded):
            await NotPrepared(lambda: part.grow(0)).wait(asyncio.get_running_loop().time())

    asyncio.run(wait())
