"""The lock-out guard: compares what a change makes of the programs that a Mac needs. Pure.

It judges results, as Santa would: the rule that wins for each identifier of a program, from the most to the
least specific; without one, path patterns; then the mode. A change is refused when the result for a lifeline
becomes worse on any Mac. Macs with equal layers and capabilities are judged once.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Literal

from msgspec import Struct

from santaserver.policy.capabilities import Capabilities, by_code
from santaserver.policy.cel_outcome import Known, Outcome, outcome_of
from santaserver.policy.lifelines import Lifeline, Program
from santaserver.policy.path_outcome import matches
from santaserver.policy.rule_text import Key
from santaserver.policy.targets import MASK

BLOCKING = frozenset({"BLOCKLIST", "SILENT_BLOCKLIST", "SILENT_GUI_BLOCKLIST", "SILENT_TTY_BLOCKLIST"})
MODE, ALLOWED_PATH, BLOCKED_PATH = "client_mode", "allowed_path_regex", "blocked_path_regex"
SETTINGS = (MODE, ALLOWED_PATH, BLOCKED_PATH)
"""The settings that decide about programs without a rule."""
DEFAULT_MODE = "MONITOR"

Severity = Literal["refused", "advised", "uncertain", "known", "possible"]
"""A lifeline becomes blocked; what is only advisory does; it may depend on the Mac; it was blocked before; it
would be on a Mac whose report gives it another tag.
"""


class Version(Struct, frozen=True):
    """A live rule: in force, or waiting for its time."""

    rule_id: int
    layer: int
    rule_type: str
    identifier: str
    policy: str
    cel_expr: str | None
    locked: bool
    needs_level: int
    starts_at: datetime | None
    """None for a rule in force."""
    expires_at: datetime | None

    def holds(self, at: datetime) -> bool:
        """Tell whether it is in force at a time."""
        begun = self.starts_at is None or self.starts_at <= at
        return begun and (self.expires_at is None or self.expires_at > at)


class Cause(Struct, frozen=True):
    """What decides: a rule, or a setting's value."""

    layer: int | None
    """None for a default."""
    rule_type: str
    """For a setting its key."""
    identifier: str
    """For a setting its value."""
    policy: str = ""
    locked: bool = False

    @property
    def key(self) -> tuple[int | None, str, str]:
        """What of the policy it is."""
        return self.layer, self.rule_type, self.identifier

    @property
    def is_rule(self) -> bool:
        """Whether it is no setting."""
        return self.rule_type not in SETTINGS


class Verdict(Struct, frozen=True):
    """The result for a program."""

    outcome: Outcome
    cause: Cause | None = None


ALLOWED = Verdict(Outcome.ALLOWED)


class MacClass(Struct, frozen=True):
    """Macs with the same layers, of those that matter, and the same client."""

    layers: frozenset[int]
    code: int
    """Of the client's capabilities."""

    @property
    def key(self) -> str:
        """Its name in SQL."""
        return f"{','.join(map(str, sorted(self.layers)))}/{self.code}"


class Move(Struct, frozen=True):
    """A class of Macs before and after a change; the layers differ when memberships change."""

    before: MacClass
    after: MacClass
    source: int | None = None
    """The layer whose members these Macs are already, though they have not synced since; 0 for no Mac yet;
    negative for one that their own reports may give to them.
    """

    @property
    def is_possible(self) -> bool:
        """Whether it is about Macs that have all layers but one, which they may get by their own reports."""
        return self.source is not None and self.source < 0


NOBODY_YET = 0


class Finding(Struct, frozen=True):
    """A lifeline that is blocked, or may be, for a class of Macs."""

    severity: Severity
    lifeline: Lifeline
    program: Program
    move: Move
    cause: Cause
    at: datetime


class View:
    """What decides about some programs: rules for them, settings, the order of layers."""

    def __init__(
        self,
        ranks: Mapping[int, int],
        versions: Iterable[Version],
        settings: Mapping[int, Mapping[str, tuple[str, bool]]],
    ) -> None:
        """Take live layers with their ranks, live rules, and by layer the settings: key → (value, locked)."""
        self.ranks = ranks
        self.settings = settings
        self._with_settings = frozenset(settings)
        self.versions = list(versions)
        self.rules: dict[Key, dict[int, list[Version]]] = {}
        for version in self.versions:
            by_layer = self.rules.setdefault((version.rule_type, version.identifier), {})
            by_layer.setdefault(version.layer, []).append(version)
        self._holding: dict[Program, frozenset[int]] = {}
        self._by_rules: dict[tuple[Program, MacClass, datetime], Verdict | None] = {}
        self._without: dict[tuple[Program, MacClass], Verdict] = {}
        self.by_cel = {
            (version.rule_type, version.identifier) for version in self.versions if version.policy == "CEL"
        }
        """Targets with rules whose result depends on more of the program."""
        self._layers = {key: frozenset(by_layer) for key, by_layer in self.rules.items()}

    def _layers_of(self, program: Program) -> frozenset[int]:
        """Return the layers with rules for a program."""
        return frozenset[int]().union(*(self._layers.get(key, frozenset()) for key in program.keys))

    @property
    def moments(self) -> set[datetime]:
        """When rules come into force or expire."""
        times = [time for version in self.versions for time in (version.starts_at, version.expires_at)]
        return {time for time in times if time is not None}

    @property
    def layers(self) -> set[int]:
        """The layers that hold something that decides."""
        return {layer for layers in self._layers.values() for layer in layers} | self.settings.keys()

    def verdict(self, program: Program, macs: MacClass, at: datetime) -> Verdict:
        """Return what happens to a program on these Macs at a time."""
        holding = self._holding.get(program)
        if holding is None:
            holding = self._holding[program] = self._layers_of(program)
        if holding:
            place = (program, MacClass(macs.layers & holding, macs.code), at)
            if place not in self._by_rules:
                self._by_rules[place] = self._judge_rules(program, place[1], at)
            found = self._by_rules[place]
            if found is not None:
                return found
        if program.by_rules_only or program.is_platform:
            return ALLOWED
        setting = (program, MacClass(macs.layers & self._with_settings, macs.code))
        if setting not in self._without:
            self._without[setting] = self._judge_settings(program, setting[1])
        return self._without[setting]

    def _judge_rules(self, program: Program, macs: MacClass, at: datetime) -> Verdict | None:
        """Return what the first rule says that Santa finds, None without one."""
        client = by_code(macs.code)
        for key in program.keys:
            version = self._winner(key, macs.layers, client, at)
            if version is None or version.policy == MASK:
                continue
            cause = Cause(version.layer, *key, version.policy, version.locked)
            if version.policy in BLOCKING:
                return Verdict(Outcome.BLOCKED, cause)
            if version.policy == "CEL":
                return Verdict(_by_cel(version.cel_expr or "", program), cause)
            return ALLOWED
        return None

    def _winner(self, key: Key, layers: frozenset[int], client: Capabilities, at: datetime) -> Version | None:
        """Return the version that applies, by the precedence that `precedence.py` has in SQL."""
        if key[0] not in client.rule_types:
            return None
        best: tuple[bool, int] | None = None
        found = None
        by_layer = self.rules.get(key, {})
        for layer in layers & by_layer.keys():
            rank = self.ranks.get(layer)
            if rank is None:
                continue
            for version in by_layer[layer]:
                order = (version.locked, -rank if version.locked else rank)
                able = version.needs_level <= client.level and version.holds(at)
                if able and (best is None or order > best):
                    best, found = order, version
        return found

    def _judge_settings(self, program: Program, macs: MacClass) -> Verdict:
        blocked, allowed = self._setting(BLOCKED_PATH, macs), self._setting(ALLOWED_PATH, macs)
        mode = self._setting(MODE, macs)
        sent = by_code(macs.code).mode(mode.identifier)
        outcome = {"LOCKDOWN": Outcome.BLOCKED, "STANDALONE": Outcome.UNCERTAIN}.get(sent, Outcome.ALLOWED)
        by_mode = Verdict(outcome, mode) if outcome else ALLOWED
        worst = ALLOWED
        for path in program.paths or (None,):
            found = _by_paths(blocked, allowed, path) or by_mode
            worst = max(worst, found, key=lambda one: one.outcome)
        return worst

    def _setting(self, key: str, macs: MacClass) -> Cause:
        best: tuple[bool, int] | None = None
        found = Cause(None, key, DEFAULT_MODE if key == MODE else "")
        for layer in macs.layers:
            rank, own = self.ranks.get(layer), self.settings[layer].get(key)
            if rank is None or own is None:
                continue
            value, locked = own
            order = (locked, -rank if locked else rank)
            if best is None or order > best:
                best, found = order, Cause(layer, key, value, locked=locked)
        return found


def _by_paths(blocked: Cause, allowed: Cause, path: str | None) -> Verdict | None:
    """Return what the patterns make of a path, None when they leave it to the mode."""
    if blocked.identifier:
        hit = None if path is None else matches(blocked.identifier, path)
        if hit is not False:
            return Verdict(Outcome.BLOCKED if hit else Outcome.UNCERTAIN, blocked)
    if allowed.identifier and path is not None:
        hit = matches(allowed.identifier, path)
        if hit is not False:
            return ALLOWED if hit else Verdict(Outcome.UNCERTAIN, allowed)
    return None


def _by_cel(expression: str, program: Program) -> Outcome:
    known = [
        Known(
            team_id=program.team_id or ("" if program.is_platform else None),
            signing_id=program.signing_id or None,
            path=path,
            is_platform=program.is_platform if program.team_id or program.signing_id else None,
        )
        for path in program.paths or (None,)
    ]
    return max(outcome_of(expression, one) for one in known)


def compare(
    before: View, after: View, moves: Collection[Move], lifelines: Sequence[Lifeline], now: datetime
) -> list[Finding]:
    """Return which lifelines are blocked after a change, now or when a rule comes into force or expires."""
    times = sorted({now, *(time for time in before.moments | after.moments if time > now)})
    found: dict[tuple[int, Move, str], Finding] = {}
    for number, lifeline in enumerate(lifelines):
        for program in _different(lifeline, before, after):
            for at in times:
                for move in moves:
                    finding = _judge(before, after, move, (lifeline, program), at)
                    if finding is not None:
                        found.setdefault((number, move, finding.severity), finding)
    return list(found.values())


def _judge(
    before: View, after: View, move: Move, subject: tuple[Lifeline, Program], at: datetime
) -> Finding | None:
    lifeline, program = subject
    result = after.verdict(program, move.after, at)
    if result.outcome is Outcome.ALLOWED or result.cause is None:
        return None
    past = before.verdict(program, move.before, at).outcome
    severity: Severity
    if result.outcome is Outcome.BLOCKED:
        severity = "known" if past is Outcome.BLOCKED else "advised" if lifeline.advisory else "refused"
    elif past is Outcome.ALLOWED:
        severity = "uncertain"
    else:
        return None
    if move.is_possible:
        if severity != "refused":
            return None
        severity = "possible"
    return Finding(severity, lifeline, program, move, result.cause, at)


def _different(lifeline: Lifeline, *views: View) -> Iterable[Program]:
    """Return the programs of a lifeline without those that these views cannot tell from another one."""
    paths = any(
        own.get(key, ("", False))[0]
        for view in views
        for own in view.settings.values()
        for key in (ALLOWED_PATH, BLOCKED_PATH)
    )
    found: dict[object, Program] = {}
    named = {key for view in views for key in view.rules if key[0] == "SIGNINGID"}
    teams = lifeline.teams
    others = [
        Program(team_id=identifier.partition(":")[0], signing_id=identifier, by_rules_only=True)
        for _, identifier in named
        if identifier.partition(":")[0] in teams
    ]
    for program in (*lifeline.declared, *lifeline.seen, *others):
        keys = frozenset(key for key in program.keys for view in views if key in view.rules)
        by_cel = any(key in view.by_cel for key in keys for view in views)
        shape = (
            keys,
            program.by_rules_only or program.is_platform,
            program.paths if paths or by_cel else (),
            (program.team_id, program.signing_id) if by_cel else (),
        )
        found.setdefault(shape, program)
    return found.values()
