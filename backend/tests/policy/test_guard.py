"""The lock-out guard against a plain evaluation of every Mac, for small fleets and policies thought up."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from santaserver.policy import guard
from santaserver.policy.capabilities import by_version
from santaserver.policy.cel_outcome import Known, Outcome, outcome_of
from santaserver.policy.guard import MacClass, Move, Version, View, compare
from santaserver.policy.lifelines import Lifeline, Program
from santaserver.policy.path_outcome import matches

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)
LATER = NOW + timedelta(hours=1)
TEAM, SIGNING_ID, CDHASH, SHA = "TEAM000001", "TEAM000001:vpn", "c" * 40, "a" * 64
PATH = "/Applications/VPN.app/vpn"
TARGETS = (("TEAMID", TEAM), ("SIGNINGID", SIGNING_ID), ("BINARY", SHA), ("CDHASH", CDHASH))
ORDER = ("CDHASH", "BINARY", "SIGNINGID", "CERTIFICATE", "TEAMID")
LAYERS = ("global", "low", "high", "own")
IDS = {name: number for number, name in enumerate(LAYERS, 1)}
VERSIONS = {"2026.8": 5, "2025.6": 1, "2025.5": 0, "2022.2": 0}
"""Releases, and the CEL features of each."""
WITHOUT_CDHASH = {"2022.2"}
WITHOUT_SIGNINGID = {"2022.2"}
CEL = {"true": 1, "false": 1, "path == '/bin/ls'": 4, "euid == 0": 2}
"""Expressions and the features that they need."""
BLOCKS = {"BLOCKLIST", "SILENT_BLOCKLIST"}
ALLOWED, MAYBE, BLOCKED = range(3)


@dataclass(frozen=True)
class Rule:
    """A rule in a layer."""

    policy: str
    cel: str = ""
    locked: bool = False
    begins: bool = False
    """In an hour."""
    ends: bool = False


@dataclass(frozen=True)
class Mac:
    """A Mac with its tags."""

    tags: frozenset[str]
    version: str


@dataclass(frozen=True)
class World:
    """A whole policy and its Macs."""

    rules: dict[tuple[str, tuple[str, str]], Rule] = field(default_factory=dict)
    modes: dict[str, str] = field(default_factory=dict)
    blocked: dict[str, str] = field(default_factory=dict)
    allowed: dict[str, str] = field(default_factory=dict)
    locked: frozenset[str] = frozenset()
    """Layers whose settings are locked."""
    order: tuple[str, ...] = LAYERS
    macs: tuple[Mac, ...] = ()


def brute(world: World, mac: Mac, program: Program, at: datetime) -> int:  # noqa: C901, PLR0911, PLR0912
    """Return what happens on one Mac, written down as Santa's documentation says it."""
    layers = [layer for layer in world.order if layer == "global" or layer in mac.tags]
    known = {
        "CDHASH": program.cdhash,
        "BINARY": program.sha256,
        "SIGNINGID": program.signing_id,
        "TEAMID": program.team_id,
    }
    for kind in ORDER:
        if not known.get(kind) or (kind == "CDHASH" and mac.version in WITHOUT_CDHASH):
            continue
        if kind == "SIGNINGID" and mac.version in WITHOUT_SIGNINGID:
            continue
        best = None
        for layer in layers:
            rule = world.rules.get((layer, (kind, known[kind])))
            if rule is None or (rule.begins and at < LATER) or (rule.ends and at >= LATER):
                continue
            if rule.policy == "CEL" and CEL[rule.cel] > VERSIONS[mac.version]:
                continue
            if best is None or not best.locked:
                best = rule
        if best is None or best.policy == "NONE":
            continue
        if best.policy in BLOCKS:
            return BLOCKED
        if best.policy == "CEL":
            place = program.paths[0] if program.paths else None
            return {
                "true": ALLOWED,
                "false": BLOCKED,
                "path == '/bin/ls'": BLOCKED if place else MAYBE,
                "euid == 0": MAYBE,
            }[best.cel]
        return ALLOWED
    if program.by_rules_only:
        return ALLOWED

    def setting(values: dict[str, str], default: str) -> str:
        own = [layer for layer in layers if layer in values]
        fixed = [layer for layer in own if layer in world.locked]
        return values[fixed[0]] if fixed else values[own[-1]] if own else default

    blocked, allowed = setting(world.blocked, ""), setting(world.allowed, "")
    if blocked and not program.paths:
        return MAYBE
    if blocked and program.paths[0].startswith(blocked[1:]):
        return BLOCKED
    if allowed and program.paths and program.paths[0].startswith(allowed[1:]):
        return ALLOWED
    mode = setting(world.modes, "MONITOR")
    if mode == "STANDALONE" and mac.version != "2022.2":
        return MAYBE
    return BLOCKED if mode == "LOCKDOWN" else ALLOWED


def view(world: World) -> View:
    """Return a policy as the guard reads it."""
    versions = [
        Version(
            number,
            IDS[layer],
            *key,
            rule.policy,
            rule.cel or None,
            rule.locked,
            CEL[rule.cel] if rule.policy == "CEL" else 0,
            LATER if rule.begins else None,
            LATER if rule.ends else None,
        )
        for number, ((layer, key), rule) in enumerate(world.rules.items())
    ]
    found: dict[int, dict[str, tuple[str, bool]]] = {}
    for name, values in (
        (guard.MODE, world.modes),
        (guard.BLOCKED_PATH, world.blocked),
        (guard.ALLOWED_PATH, world.allowed),
    ):
        for layer, value in values.items():
            found.setdefault(IDS[layer], {})[name] = (value, layer in world.locked)
    return View({IDS[layer]: rank for rank, layer in enumerate(world.order)}, versions, found)


def class_of(mac: Mac) -> MacClass:
    """Return the class of a Mac."""
    return MacClass(frozenset({IDS["global"], *(IDS[tag] for tag in mac.tags)}), by_version(mac.version).code)


POLICIES = ("ALLOWLIST", "BLOCKLIST", "BLOCKLIST", "SILENT_BLOCKLIST", "NONE", "CEL")
MODES = ("MONITOR", "LOCKDOWN", "LOCKDOWN", "STANDALONE")
PATHS = ("", "^/Applications/", "^/usr/")


def some_rule(chance: Random) -> Rule:
    policy = chance.choice(POLICIES)
    cel = chance.choice(sorted(CEL)) if policy == "CEL" else ""
    return Rule(policy, cel, *(chance.random() < 0.25 for _ in range(3)))


def some_world(chance: Random) -> World:
    def by_layer(values: Sequence[str], most: int) -> dict[str, str]:
        return {layer: chance.choice(values) for layer in chance.sample(LAYERS, chance.randint(0, most))}

    places = [(chance.choice(LAYERS), chance.choice(TARGETS)) for _ in range(chance.randint(0, 6))]
    return World(
        rules={place: some_rule(chance) for place in places},
        modes=by_layer(MODES, 2),
        blocked=by_layer(PATHS, 1),
        allowed=by_layer(PATHS, 1),
        locked=frozenset(chance.sample(LAYERS, chance.randint(0, 1))),
        macs=tuple(
            Mac(
                frozenset(chance.sample(LAYERS[1:], chance.randint(0, 3))),
                chance.choice(sorted(VERSIONS)),
            )
            for _ in range(chance.randint(1, 5))
        ),
    )


def some_program(chance: Random) -> Program:
    return Program(
        team_id=TEAM,
        signing_id=chance.choice(("", SIGNING_ID)),
        sha256=chance.choice(("", SHA)),
        cdhash=chance.choice(("", CDHASH)),
        paths=chance.choice(((), (PATH,))),
        by_rules_only=chance.random() < 0.3,
    )


def some_change(chance: Random) -> tuple[World, World]:
    """Return a policy before and after one change."""
    before = some_world(chance)
    layer = chance.choice(LAYERS)
    match chance.randrange(6):
        case 0:
            key = (layer, chance.choice(TARGETS))
            return before, replace(before, rules=before.rules | {key: some_rule(chance)})
        case 1:
            kept = list(before.rules.items())[1:]
            return before, replace(before, rules=dict(kept))
        case 2:
            return before, replace(before, modes=before.modes | {layer: chance.choice(MODES)})
        case 3:
            return before, replace(before, blocked=before.blocked | {layer: chance.choice(PATHS)})
        case 4:
            return before, replace(before, order=("global", "high", "low", "own"))
        case _:
            flipped = chance.choice(LAYERS[1:])
            moved = tuple(replace(mac, tags=mac.tags ^ {flipped}) for mac in before.macs)
            return before, replace(before, macs=moved)


def expected(before: World, after: World, programs: Sequence[Program]) -> set[tuple[str, int]]:
    """Return how bad it becomes for whom: (severity, Mac)."""
    found = set()
    for at in (NOW, LATER):
        for program in programs:
            for number, (old, new) in enumerate(zip(before.macs, after.macs, strict=True)):
                past, result = brute(before, old, program, at), brute(after, new, program, at)
                if result == BLOCKED:
                    found.add(("known" if past == BLOCKED else "refused", number))
                elif result == MAYBE and past == ALLOWED:
                    found.add(("uncertain", number))
    return found


def judged(before: World, after: World, programs: Sequence[Program]) -> set[tuple[str, int]]:
    """Return the same from the guard, by classes of Macs."""
    by_move: dict[Move, list[int]] = {}
    for number, (old, new) in enumerate(zip(before.macs, after.macs, strict=True)):
        by_move.setdefault(Move(class_of(old), class_of(new)), []).append(number)
    lifeline = Lifeline("VPN", "", tuple(programs))
    # Other programs of the publisher are judged as well, which the plain evaluation does not think of.
    found = compare(view(before), view(after), list(by_move), [lifeline], NOW)
    return {(one.severity, number) for one in found for number in by_move[one.move]}


def check(seed: int) -> None:
    """Raise `AssertionError` unless both agree about what a seed makes up."""
    chance = Random(seed)
    change = some_change(chance)
    programs = [some_program(chance) for _ in range(chance.randint(1, 2))]
    programs.append(Program(team_id=TEAM, signing_id=SIGNING_ID, by_rules_only=True))
    assert judged(*change, programs) == expected(*change, programs)


def differs(seed: int) -> bool:
    try:
        check(seed)
    except AssertionError:
        return True
    return False


@settings(max_examples=500, deadline=None, derandomize=True, database=None)
@given(st.integers(0, 2**32))
def test_the_guard_agrees_with_an_evaluation_of_every_mac(seed: int) -> None:
    check(seed)


def ignores_locks(patch: pytest.MonkeyPatch) -> None:
    begin = View.__init__

    def unlocked(self: View, ranks: Any, versions: Any, settings: Any) -> None:  # noqa: ANN401
        begin(self, ranks, [structs.replace(version, locked=False) for version in versions], settings)

    patch.setattr(View, "__init__", unlocked)


def hides_what_a_mac_cannot_take(patch: pytest.MonkeyPatch) -> None:
    winner = View._winner

    def best_of_all(self: View, key: Any, layers: Any, client: Any, at: Any) -> Version | None:  # noqa: ANN401
        found = winner(self, key, layers, by_version("2026.8"), at)
        return found if found is None or found.needs_level <= client.level else None

    patch.setattr(View, "_winner", best_of_all)


def looks_at_now_only(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(View, "moments", property(lambda _: set()))


def goes_on_after_the_first_rule(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Program, "keys", property(lambda self: tuple(reversed(_keys(self)))))


def _keys(program: Program) -> list[tuple[str, str]]:
    found = zip(ORDER, (program.cdhash, program.sha256, program.signing_id, "", program.team_id), strict=True)
    return [(kind, identifier) for kind, identifier in found if identifier]


def forgets_what_was_before(patch: pytest.MonkeyPatch) -> None:
    judge = guard._judge
    nothing = View({}, [], {})
    patch.setattr(guard, "_judge", lambda _, after, *rest: judge(nothing, after, *rest))


def forgets_the_mode(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(guard, "MODE", "none")
    patch.setattr(View, "_judge_settings", lambda *_: guard.ALLOWED)


MUTANTS = (
    ignores_locks,
    hides_what_a_mac_cannot_take,
    looks_at_now_only,
    goes_on_after_the_first_rule,
    forgets_what_was_before,
    forgets_the_mode,
)


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.__name__)
def test_a_wrong_guard_is_noticed(
    monkeypatch: pytest.MonkeyPatch, mutant: Callable[[pytest.MonkeyPatch], None]
) -> None:
    mutant(monkeypatch)
    assert any(differs(seed) for seed in range(2_000))


VPN = Known("TEAM000001", SIGNING_ID, PATH, is_platform=False)


@pytest.mark.parametrize(
    ("expression", "outcome"),
    [
        ("true", Outcome.ALLOWED),
        ("false", Outcome.BLOCKED),
        ("BLOCKLIST", Outcome.BLOCKED),
        ("SILENT_TTY_BLOCKLIST", Outcome.BLOCKED),
        ("target.team_id == 'TEAM000001' ? BLOCKLIST : ALLOWLIST", Outcome.BLOCKED),
        ("target.team_id == 'TEAM000002' ? BLOCKLIST : ALLOWLIST", Outcome.ALLOWED),
        ("path.startsWith('/Applications/')", Outcome.ALLOWED),
        ("target.is_platform_binary", Outcome.BLOCKED),
        ("euid == 0", Outcome.UNCERTAIN),
        ("euid == 0 || true", Outcome.ALLOWED),
        ("args.exists(arg, arg == 'x') ? BLOCKLIST : SILENT_BLOCKLIST", Outcome.BLOCKED),
        ("args.exists(arg, arg == 'x') ? BLOCKLIST : ALLOWLIST", Outcome.UNCERTAIN),
        ("args[0] == 'x' ? ALLOWLIST : ALLOWLIST_COMPILER", Outcome.UNCERTAIN),
        ("target.signing_time > timestamp('2026-01-01T00:00:00Z')", Outcome.UNCERTAIN),
        ("not CEL at all", Outcome.UNCERTAIN),
    ],
)
def test_an_expression_is_judged_by_what_is_known(expression: str, outcome: Outcome) -> None:
    assert outcome_of(expression, VPN) is outcome


def test_what_is_not_known_is_not_assumed() -> None:
    nobody = Known(None, None, None, None)
    for expression in ("target.team_id == 'TEAM000001'", "path == '/x'", "target.is_platform_binary"):
        assert outcome_of(expression, nobody) is Outcome.UNCERTAIN


@pytest.mark.parametrize(
    ("pattern", "path", "matching"),
    [
        ("^(?:/Applications/.*)", PATH, True),
        ("^/usr/", PATH, False),
        ("^(?!/Applications/)", PATH, False),
        ("^(?!/Applications/)", "/opt/x", True),
        ("^(?=(a+)+$)", "/" + "a" * 200 + "!", None),
        ("^(a+)+$", "/" + "a" * 200 + "!", False),
        (r"^/\p{Lu}pplications", PATH, True),
        (r"^/(?<x>A)\k<x>", PATH, None),
    ],
)
def test_a_pattern_is_matched_quickly_or_not_at_all(pattern: str, path: str, matching: bool | None) -> None:
    assert matches(pattern, path) is matching
