"""Runs the lock-out guard around a change: what decides before it, what after it, and what to say.

`prepare` comes before the policy is locked, `before` inside the change, `check` at its end. Changes that
cannot concern a lifeline cost a few small queries.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime

from msgspec import structs

from santaserver.db import Connection
from santaserver.policy import guard_repository as repository
from santaserver.policy.capabilities import NEWEST
from santaserver.policy.change import Change
from santaserver.policy.claims import COLUMNS as HASHES
from santaserver.policy.claims import believed, claims_of, fleet_size
from santaserver.policy.guard import NOBODY_YET, Finding, MacClass, Move, View, compare
from santaserver.policy.guard_text import Report, reason_of, refusal, reports
from santaserver.policy.layer_names import layer_names
from santaserver.policy.layer_ranks import GLOBAL_LAYER
from santaserver.policy.lifelines import KNOWN, Lifeline, Program, declared
from santaserver.policy.rule_text import Key
from santaserver.policy.withholding_repository import overridden
from santaserver.scope import EVERYWHERE, Scope
from santaserver.unit_of_work import UnitOfWork

LOCK_KEY = 0x6775617264
"""Advisory lock: what the guard found holds until the commit. Locked after machines and the policy's head."""

Members = Mapping[Move, Sequence[str]]
"""The Macs of moves whose Macs are known already, by name."""


class Guarding:
    """The check of one change."""

    def __init__(self, work: UnitOfWork, lifelines: Sequence[Lifeline], now: datetime) -> None:
        """Use `prepare` or `prepare_all` instead."""
        self._work = work
        self._lifelines = lifelines
        self._now = now
        self._before: View | None = None
        self.overridden = False
        """Whether the request stored what would have been refused."""

    @property
    def concerned(self) -> bool:
        """Whether the change can concern a lifeline at all."""
        return bool(self._lifelines)

    @property
    def view(self) -> View:
        """What decided before the change."""
        if self._before is None:
            raise RuntimeError("the guard was not told when the change began")
        return self._before

    @property
    def keys(self) -> set[Key]:
        """The targets of rules that can decide."""
        programs = (program for one in self._lifelines for program in (*one.declared, *one.seen))
        return {key for program in programs for key in program.keys}

    @property
    def teams(self) -> set[str]:
        """The publishers of which every program counts."""
        return {team for one in self._lifelines for team in one.teams}

    @property
    def lifelines(self) -> Sequence[Lifeline]:
        """What must not be blocked."""
        return self._lifelines

    async def read(self) -> View:
        """Return what decides about them now."""
        return await repository.read_view(self._work.connection, self.keys, self.teams)

    async def before(self, *, lock: bool = True) -> None:
        """Remember what decides, before anything is written; until the commit no report changes tags.

        Whoever needs the policy's head locked as well has locked it before: all writers in this order. `lock`
        is False for a plan, which is judged again when it is applied.
        """
        if not self.concerned:
            return
        if lock:
            await self._work.connection.execute("select pg_advisory_xact_lock($1)", LOCK_KEY)
        self._before = await self.read()

    async def check(
        self,
        change: Change,
        layers: Collection[int],
        *,
        field: str,
        scope: Scope = EVERYWHERE,
        newcomers: bool = False,
    ) -> None:
        """Judge a change of what these layers hold, or of their order.

        When it adds to them, `newcomers` counts Macs that get a layer later.
        """
        if not self.concerned:
            return
        self.decide(await self.judge(await self.read(), layers, scope=scope, newcomers=newcomers), field)
        self.record(change)

    async def judge(
        self, after: View, layers: Collection[int], *, scope: Scope = EVERYWHERE, newcomers: bool = True
    ) -> list[Report]:
        """Return what to say about a change of what these layers hold or where they are."""
        deciding = self.view.layers | after.layers
        moves = [Move(one, one) for one in await self._classes(deciding, layers)]
        if newcomers:
            moves += await self._possible(deciding, layers)
        moves += [
            Move(_with(one, layer), _with(one, layer), layer)
            for one, layer in await repository.late_classes(self._work.connection, deciding, layers)
        ]
        for layer in layers if newcomers else ():
            first = MacClass(frozenset({GLOBAL_LAYER, layer}), NEWEST.code)
            moves.append(Move(first, first, NOBODY_YET))
        found = await self._without_accepted(self.compare(after, moves), after)
        return await self._tell(found, deciding, None, scope)

    async def _without_accepted(self, found: list[Finding], view: View) -> list[Finding]:
        """Leave out what was saved against the guard's advice and is therefore not withheld."""
        if all(finding.severity != "possible" for finding in found):
            return found
        accepted = (await overridden(self._work.connection, view)).causes
        refused = {finding.cause for finding in found if finding.severity == "refused"}
        return [
            one
            for one in found
            if one.severity != "possible" or not (one.cause in refused or one.cause.key in accepted)
        ]

    async def _possible(self, deciding: Collection[int], layers: Collection[int]) -> list[Move]:
        """Return the Macs that may get one of these layers by their own reports, besides those they have."""
        automatic = await repository.automatic_layers(self._work.connection, layers)
        if not automatic:
            return []
        classes = await self._classes(deciding, None)
        there = set(classes)
        pairs = ((_with(one, layer), layer) for one in classes for layer in automatic)
        return [Move(one, one, -layer) for one, layer in pairs if one not in there]

    async def warn_of_members(self, moves: Collection[Move]) -> None:
        """Keep a warning of memberships that Macs may get by their own reports."""
        found = self.compare(self.view, moves) if self.concerned else []
        found = await self._without_accepted(found, self.view)
        self.keep(await self._tell(found, self.view.layers, None, EVERYWHERE))

    async def check_members(self, moves: Collection[Move], members: Members | None, field: str) -> None:
        """Judge a change of memberships; without `members` it is about Macs that do not exist yet."""
        if self.concerned:
            found = self.compare(self.view, moves)
            self.decide(await self._tell(found, self.view.layers, members, EVERYWHERE), field)

    def worse(self, moves: Collection[Move]) -> list[Move]:
        """Return which changes of memberships would be worth a word."""
        found = self.compare(self.view, moves) if self.concerned else []
        return list({finding.move for finding in found if finding.severity != "known"})

    async def every_class(self) -> list[MacClass]:
        """Return all classes of Macs, by the layers that decide."""
        return (
            await repository.classes(self._work.connection, self.view.layers, None) if self.concerned else []
        )

    async def tell_present(self) -> None:
        """Keep a warning for everything that is blocked now."""
        view = self._before = await self.read()
        moves = [Move(one, one) for one in await self.every_class()]
        self.keep(await self._tell(self.compare(view, moves), view.layers, None, EVERYWHERE))

    def compare(self, after: View, moves: Collection[Move]) -> list[Finding]:
        """Return what a change makes of the lifelines."""
        return compare(self.view, after, moves, self._lifelines, self._now)

    def decide(self, reports: Sequence[Report], field: str) -> None:
        """Raise `Unprocessable` when a lifeline becomes blocked, else keep what there is to say."""
        refused = [report for report in reports if report.severity == "refused"]
        if refused and not self._work.guard.override:
            raise refusal(refused, field)
        self.keep(reports)

    def keep(self, reports: Sequence[Report]) -> None:
        """Keep what there is to say for the response."""
        self.overridden |= any(report.severity == "refused" for report in reports)
        self._work.guard.warnings += [report.text for report in reports]

    def record(self, change: Change) -> None:
        """Write down that a change was made against the guard's advice."""
        if self.overridden:
            change.sum_up(guard_overridden=True)
            change.audit("guard_overridden", ("policy", "*"), None, {"warnings": self._work.guard.warnings})

    async def _tell(
        self, found: Iterable[Finding], deciding: Collection[int], members: Members | None, scope: Scope
    ) -> list[Report]:
        """Put findings into words, with the Macs that there are."""
        groups: dict[tuple[object, ...], list[Finding]] = {}
        for finding in found:
            groups.setdefault(reason_of(finding), []).append(finding)
        macs = {reason: await self._macs(group, deciding, members, scope) for reason, group in groups.items()}
        kept = [
            finding
            for reason, group in groups.items()
            for finding in group
            if macs[reason][0] or finding.move.source == NOBODY_YET or finding.move.is_possible
        ]
        owners = {finding.cause.layer for finding in kept if finding.cause.layer is not None}
        owners |= {-(finding.move.source or 0) for finding in kept if finding.move.is_possible}
        names = await layer_names(self._work.connection, sorted(owners)) if owners else {}
        return reports(kept, names, macs, self._now)

    async def _macs(
        self, group: Sequence[Finding], deciding: Collection[int], members: Members | None, scope: Scope
    ) -> tuple[int, tuple[str, ...]]:
        if members is not None:
            known = sorted({name for finding in group for name in members.get(finding.move, ())})
            return len(known), tuple(known[: repository.NAMED])
        synced = {finding.move.before for finding in group if finding.move.source is None}
        late = {
            (_without(finding.move.before, finding.move.source), finding.move.source)
            for finding in group
            if finding.move.source and not finding.move.is_possible
        }
        if not (synced or late):
            return 0, ()
        counted = await repository.affected(self._work.connection, scope, deciding, synced, late)
        return counted.number, tuple(counted.names)

    async def _classes(self, deciding: Collection[int], changed: Collection[int] | None) -> list[MacClass]:
        return await repository.classes(self._work.connection, deciding, changed)


async def lock_out_changes(connection: Connection) -> None:
    """Let no change that the guard judges begin or go on until the end of the transaction."""
    await connection.execute("select pg_advisory_xact_lock_shared($1)", LOCK_KEY)


async def prepare_for(work: UnitOfWork, lifelines: Sequence[Lifeline], now: datetime) -> Guarding:
    """Return a check of these lifelines only."""
    return Guarding(work, await _with_seen(work, lifelines, now), now)


def nothing(work: UnitOfWork, now: datetime) -> Guarding:
    """Return the check of a change that cannot concern any lifeline."""
    return Guarding(work, [], now)


async def prepare(work: UnitOfWork, keys: Collection[Key], now: datetime) -> Guarding:
    """Return the check of a change of rules for these targets; it is about the lifelines that they match."""
    if not keys:
        return nothing(work, now)
    connection = work.connection
    known = [*KNOWN, *await repository.essentials(connection)]
    programs = await _by_hash(work, known, keys)
    concerned = [
        structs.replace(lifeline, seen=tuple(own))
        for lifeline, own in zip(known, programs, strict=True)
        if own or any(lifeline.is_named(*key) for key in keys)
    ]
    popular = await repository.popular_programs(connection, keys, work.guard.widely_used, now)
    return Guarding(work, [*await _with_seen(work, concerned, now), *popular], now)


async def prepare_all(
    work: UnitOfWork, now: datetime, *, popular: bool = False, hashes: Collection[Key] = ()
) -> Guarding:
    """Return the check of a change that can concern every lifeline, and rules for these hashes."""
    known = [*KNOWN, *await repository.essentials(work.connection)]
    programs = await _by_hash(work, known, hashes)
    with_hashes = [structs.replace(one, seen=tuple(own)) for one, own in zip(known, programs, strict=True)]
    lifelines = await _with_seen(work, with_hashes, now)
    if popular:
        lifelines += await repository.popular_programs(work.connection, None, work.guard.widely_used, now)
    return Guarding(work, lifelines, now)


async def _with_seen(work: UnitOfWork, lifelines: Iterable[Lifeline], now: datetime) -> list[Lifeline]:
    """Return lifelines with the programs that Macs reported of them."""
    wanted = list(lifelines)
    if not wanted:
        return []
    programs = [program for one in wanted for program in one.declared]
    seen = await repository.seen_programs(work.connection, programs, now)
    return [
        structs.replace(one, seen=(*one.seen, *_seen_of(one, seen)), declared=_judged_by_rules(one, seen))
        for one in wanted
    ]


def _seen_of(lifeline: Lifeline, seen: Iterable[Program]) -> list[Program]:
    return [
        structs.replace(program, by_rules_only=lifeline.runs_anyway)
        for program in seen
        if any(lifeline.is_named(*key) for key in program.keys)
    ]


def _judged_by_rules(lifeline: Lifeline, seen: Iterable[Program]) -> tuple[Program, ...]:
    """Leave paths and mode to the programs that were seen, of which more is known, when there are any."""
    if not _seen_of(lifeline, seen):
        return lifeline.declared
    return tuple(structs.replace(program, by_rules_only=True) for program in lifeline.declared)


async def _by_hash(
    work: UnitOfWork, lifelines: Sequence[Lifeline], keys: Collection[Key]
) -> list[list[Program]]:
    """Return for each lifeline its programs, as enough Macs claim, that rules for these hashes are about."""
    by_type: dict[str, list[str]] = {}
    for rule_type, identifier in keys:
        if rule_type in HASHES:
            by_type.setdefault(rule_type, []).append(identifier)
    found: list[list[Program]] = [[] for _ in lifelines]
    fleet: int | None = None
    for rule_type, hashes in by_type.items():
        claims = await claims_of(work.connection, rule_type, hashes)
        if claims and fleet is None:
            fleet = await fleet_size(work.connection)
        for name, claim in claims.items():
            for lifeline, programs in zip(lifelines, found, strict=True):
                for signer in believed(claim, lifeline, fleet or 0)[:1]:
                    own = declared(rule_type, name)
                    program = structs.replace(
                        own, team_id=signer.team_id, signing_id=signer.signing_id, by_rules_only=True
                    )
                    programs.append(program)
    return found


def _with(macs: MacClass, layer: int) -> MacClass:
    return MacClass(macs.layers | {layer}, macs.code)


def _without(macs: MacClass, layer: int | None) -> MacClass:
    return MacClass(macs.layers - {layer}, macs.code)
