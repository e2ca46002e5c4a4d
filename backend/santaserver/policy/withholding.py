"""Which layers a Mac's report may give to it or take from it: none that would block what the Mac needs.

A change by an administrator is judged, and refused, when it is made. When a Mac's report newly fits a tag, or
no longer does, nobody is there who could be asked. So the tag is withheld: the Mac stays as it was in this
respect, administrators are told, and each of its preflights judges again. What an administrator saved against
the guard's advice is not withheld.

No single rule is left out: what a Mac is sent has to follow from its layers and a policy number alone.
"""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from msgspec import Struct

from santaserver.db import Connection
from santaserver.policy import guarding
from santaserver.policy import withholding_repository as repository
from santaserver.policy.guard import Finding, MacClass, Move, View, compare
from santaserver.policy.guard_repository import essentials
from santaserver.policy.guard_text import Report
from santaserver.policy.head import read_head
from santaserver.policy.layer_names import layer_names
from santaserver.policy.lifelines import Lifeline
from santaserver.turns import Turns
from santaserver.unit_of_work import UnitOfWork

VALID_FOR = timedelta(minutes=1)
"""What Macs report of the programs they need changes slowly; everything else is compared each time."""
SINGLE = 20
"""Changes of which each is tried as the only one at fault."""

Layers = frozenset[int]
Against = Callable[[Layers, Layers], Finding | None]
"""(layers before, layers after) → what speaks against it."""


class LayerChange(Struct, frozen=True):
    """A layer that a Mac would get, or lose."""

    layer: int
    gained: bool

    def apply(self, layers: Layers) -> Layers:
        """Return the layers after it."""
        return layers | {self.layer} if self.gained else layers - {self.layer}


class Withheld(Struct, frozen=True):
    """A change that is not made, and why."""

    change: LayerChange
    finding: Finding


class GuardBasis:
    """What the guard judges by, read at one policy number."""

    def __init__(
        self,
        key: object,
        made_at: datetime,
        lifelines: Sequence[Lifeline],
        view: View,
        overridden: repository.Overridden,
    ) -> None:
        """Take what was read."""
        self.key = key
        self.made_at = made_at
        self.view = view
        self.overridden = overridden
        self._lifelines = lifelines
        self._known: dict[tuple[MacClass, MacClass], Finding | None] = {}

    def holds(self, key: object, now: datetime) -> bool:
        """Tell whether it is what would be read now."""
        return key == self.key and timedelta(0) <= now - self.made_at < VALID_FOR

    def against(self, before: MacClass, after: MacClass) -> Finding | None:
        """Return a lifeline that would become blocked, unless an administrator accepted that."""
        deciding = self.view.layers
        one, other = (MacClass(macs.layers & deciding, macs.code) for macs in (before, after))
        if one == other:
            return None
        pair = (one, other)
        if pair not in self._known:
            found = compare(self.view, self.view, [Move(*pair)], self._lifelines, self.made_at)
            refused = (finding for finding in found if finding.severity == "refused")
            self._known[pair] = next((one for one in refused if not self._accepted(one)), None)
        return self._known[pair]

    def _accepted(self, finding: Finding) -> bool:
        return finding.cause.key in self.overridden.causes


async def guard_basis(work: UnitOfWork, known: GuardBasis | None, now: datetime) -> GuardBasis:
    """Return what to judge by; until the end of the transaction no change that the guard judges is made."""
    connection = work.connection
    await guarding.lock_out_changes(connection)
    head = await read_head(connection)
    key = (head.seq, head.layer_version, tuple(await essentials(connection)))
    if known is not None and known.holds(key, now):
        return known
    guard = await guarding.prepare_all(work, now)
    view = await guard.read()
    overridden = await repository.overridden(connection, view)
    return GuardBasis(key, now, guard.lifelines, view, overridden)


async def withhold(before: Layers, changes: Sequence[LayerChange], against: Against) -> list[Withheld]:
    """Return which of the changes must not be made, so that nothing speaks against the others together."""
    everything = _after(before, changes)
    finding = against(before, everything)
    if finding is None:
        return []
    turns = Turns()
    for change in changes[-SINGLE:][::-1]:
        await turns.pause()
        if against(before, _after(before, [one for one in changes if one != change])) is None:
            return [Withheld(change, finding)]
    made, left = before, list(changes)
    for change in [*changes, *changes]:  # one may be harmless only after a later one
        await turns.pause()
        if change in left and against(before, change.apply(made)) is None:
            made = change.apply(made)
            left.remove(change)
    return [Withheld(change, against(before, change.apply(made)) or finding) for change in left]


async def reasons(connection: Connection, found: Sequence[Withheld]) -> list[str]:
    """Put into words why changes are withheld."""
    owners = {one.finding.cause.layer for one in found} - {None}
    names = await layer_names(connection, sorted(owner for owner in owners if owner is not None))
    return [_reason(one.finding, names.get(one.finding.cause.layer or 0, "")) for one in found]


def _reason(finding: Finding, layer: str) -> str:
    report = Report(finding.severity, finding.lifeline.title, finding.cause, layer, None, 1, ())
    return f"{report.lifeline} would be blocked: {report.why}"


def _after(layers: Layers, changes: Sequence[LayerChange]) -> Layers:
    for change in changes:
        layers = change.apply(layers)
    return layers
