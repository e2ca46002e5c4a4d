"""Withholds tags that a Mac's report gives to it or takes from it, if that would block what the Mac needs."""

import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from santaserver.policy import withholding_repository as repository
from santaserver.policy.guard import MacClass
from santaserver.policy.layer_ranks import GLOBAL_LAYER
from santaserver.policy.member_log import Source
from santaserver.policy.rule_log import signature_of
from santaserver.policy.withholding import LayerChange, Withheld, guard_basis, reasons, withhold
from santaserver.sync.caches import SyncCaches, TagRule
from santaserver.unit_of_work import UnitOfWork

log = logging.getLogger(__name__)

counted: Counter[str] = Counter()
"""How often a layer was withheld that had not been, since this process began: `gained`, `lost`."""


@dataclass(frozen=True, slots=True)
class Subject:
    """The machine whose layers are determined."""

    id: int
    machine_id: str
    enrollment: int | None
    signature: int | None
    """Its layers and client so far."""
    settled: bool
    """Whether nothing was withheld from it."""


@dataclass(frozen=True, slots=True)
class Memberships:
    """What follows from a machine's report."""

    tags: Sequence[TagRule]
    """All tags in their order."""
    present: frozenset[Source]
    """As they were before the report."""
    manual: frozenset[Source]
    automatic: frozenset[Source]
    user_layer: int | None
    machine_layer: int | None
    code: int
    """Of its client's capabilities."""
    settled: bool = True
    """Whether nothing is withheld."""

    @property
    def layers(self) -> list[int]:
        """The layers in their order."""
        names = {tag for tag, _ in self.automatic | self.manual}
        own = [layer for layer in (self.user_layer, self.machine_layer) if layer is not None]
        return [GLOBAL_LAYER, *(tag.layer for tag in self.tags if tag.used and tag.id in names), *own]

    def without(self, withheld: Sequence[LayerChange]) -> "Memberships":
        """Return them without some changes."""
        tags = {tag.layer: tag.id for tag in self.tags}
        refused = {tags.get(change.layer) for change in withheld if change.gained}
        kept = {tags.get(change.layer) for change in withheld if not change.gained}
        automatic = {member for member in self.automatic if member[0] not in refused}
        automatic |= {member for member in self.present - self.manual if member[0] in kept}
        held_back = self.user_layer is not None and LayerChange(self.user_layer, gained=True) in withheld
        return replace(
            self,
            automatic=frozenset(automatic),
            user_layer=None if held_back else self.user_layer,
            settled=not withheld,
        )


async def allowed(
    work: UnitOfWork, caches: SyncCaches, subject: Subject, reported: Memberships, now: datetime
) -> Memberships:
    """Return the memberships that a report leads to, without those that would block what the Mac needs."""
    found: list[Withheld] = []
    changes = await _changes(work, caches, subject, reported)
    if changes:
        basis = caches.guard = await guard_basis(work, caches.guard, now)
        decided = basis.overridden.definitions
        changes = [one for one in changes if one.layer in basis.view.layers and one.layer not in decided]
        after = frozenset(reported.layers)
        before = after.symmetric_difference(change.layer for change in changes)
        found = await withhold(
            before,
            changes,
            lambda one, other: basis.against(MacClass(one, reported.code), MacClass(other, reported.code)),
        )
    if found or not subject.settled:
        await _tell(work, subject, found, now)
    return reported.without([one.change for one in found])


async def _changes(
    work: UnitOfWork, caches: SyncCaches, subject: Subject, reported: Memberships
) -> list[LayerChange]:
    """Return which layers the report gives or takes, the lowest first."""
    had = {tag for tag, _ in reported.present}
    has = {tag for tag, _ in reported.automatic | reported.manual}
    changes = [
        LayerChange(tag.layer, tag.id in has)
        for tag in reported.tags
        if tag.used and (tag.id in had) != (tag.id in has)
    ]
    if reported.user_layer is not None:
        before: Sequence[int] = ()
        if subject.signature is not None:
            before, _ = await signature_of(work.connection, caches, subject.signature)
        if reported.user_layer not in before:
            changes.append(LayerChange(reported.user_layer, gained=True))
    return changes


async def _tell(work: UnitOfWork, subject: Subject, found: Sequence[Withheld], now: datetime) -> None:
    """Store what is withheld; log and count it once."""
    why = await reasons(work.connection, found) if found else []
    layers = [(one.change.layer, one.change.gained) for one in found]
    news = await repository.store(work.connection, subject.id, layers, why, now)
    for (layer, gained), reason in zip(layers, why, strict=True):
        if layer in news:
            counted["gained" if gained else "lost"] += 1
            verb = "does not get" if gained else "keeps"
            log.warning("%s %s layer %d, in spite of its report: %s", subject.machine_id, verb, layer, reason)
