"""How many Macs of a layer have confirmed a policy: counted with a list, and cached briefly.

Counting goes through all Macs. So that pages of a large fleet's rules cost no more than those of a small one,
counts are reused for a second per 10,000 Macs, 30 at most; below a thousand Macs they are not cached.
"""

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate

from santaserver import sizes
from santaserver.cache import CacheMemory, LruCache

COUNTS = """
sets as (select w.layer_id, p.id from wanted w join policy_signature p on w.layer_id = any(p.layers)
  where w.layer_id <> 1),
totals as (
  select 1::bigint as layer_id, count(*) as macs from machine_sync
    where exists (select from wanted where layer_id = 1)
  union all
  select w.layer_id, count(y.machine_id) from wanted w
    left join sets s on s.layer_id = w.layer_id left join machine_sync y on y.signature = s.id
    where w.layer_id <> 1 group by w.layer_id),
confirmed as (
  select 1::bigint as layer_id, acked_seq as seq, count(*) as macs from machine_sync
    where acked_seq is not null and exists (select from wanted where layer_id = 1) group by acked_seq
  union all
  select s.layer_id, y.acked_seq, count(*) from sets s join machine_sync y on y.acked_signature = s.id
    where y.acked_seq is not null group by s.layer_id, y.acked_seq),
counted as materialized (
  select (select array_agg(array[layer_id, macs]) from totals) as totals,
    (select array_agg(array[layer_id, seq, macs]) from confirmed) as confirmed,
    (select greatest(reltuples, 0)::bigint from pg_class where oid = 'machine_sync'::regclass) as fleet
  where exists (select from wanted))
"""
"""Common table expressions that count for the layers in `wanted`; `counted` has one row, or none."""

FEW = 1_000
"""Macs that are counted for each list."""
MACS_A_SECOND = 10_000
LONGEST = 30.0
CLAIMED = 1.0
"""Seconds for which the others use the old numbers while one list counts."""
REMEMBERED = 200
"""Layers."""

Numbers = Sequence[Sequence[int]] | None
Counted = tuple[Numbers, Numbers, int | None]
"""(layer and its Macs; layer, policy number and how many Macs confirmed it; Macs in all, as estimated)"""


@dataclass(frozen=True, slots=True)
class LayerProgress:
    """The Macs of a layer, and how many of them confirmed which policy number or a later one."""

    total: int
    numbers: Sequence[int]
    reached: Sequence[int]

    def confirmed(self, seq: int) -> int:
        """Return how many Macs have confirmed this policy number."""
        place = bisect_left(self.numbers, seq)
        return self.reached[place] if place < len(self.reached) else 0


NOBODY = LayerProgress(0, (), ())


class FleetProgress:
    """What this worker remembers of it."""

    def __init__(self, memory: CacheMemory) -> None:
        """Know nothing."""
        self._layers: LruCache[int, LayerProgress] = LruCache(
            memory, "confirmed_rules", lambda _, progress: sizes.ENTRY + 2 * sizes.numbers(progress.numbers)
        )
        self._until: dict[int, float] = {}

    def known(self, now: float) -> dict[int, LayerProgress]:
        """Return the cached counts; the first caller recounts expired ones."""
        found = {}
        for layer, until in list(self._until.items()):
            progress = self._layers.get(layer)
            if progress is None or until + CLAIMED < now:
                del self._until[layer]
            elif until > now:
                found[layer] = progress
            else:
                self._until[layer] = now + CLAIMED
        return found

    def learn(self, counted: Counted, now: float) -> dict[int, LayerProgress]:
        """Return what a list has counted, and cache it for a large fleet."""
        totals, confirmed, fleet = counted
        found = progress_of_layers(totals, confirmed)
        macs = max(fleet or 0, *(progress.total for progress in found.values()), 0)
        if macs >= FEW and len(self._until) + len(found) <= REMEMBERED:
            for layer, progress in found.items():
                self._layers.put(layer, progress)
                self._until[layer] = now + min(macs / MACS_A_SECOND, LONGEST)
        return found


def progress_of_layers(totals: Numbers, confirmed: Numbers) -> dict[int, LayerProgress]:
    """Return the progress of each layer from what was counted."""
    groups: dict[int, list[tuple[int, int]]] = {}
    for layer, seq, macs in confirmed or ():
        groups.setdefault(layer, []).append((seq, macs))
    return {layer: progress_of(macs, groups.get(layer, ())) for layer, macs in totals or ()}


def progress_of(total: int, groups: Iterable[tuple[int, int]]) -> LayerProgress:
    """Return the progress of a layer from how many Macs confirmed each policy number last."""
    newest_first = sorted(groups, reverse=True)
    reached = list(accumulate(macs for _, macs in newest_first))
    return LayerProgress(total, [seq for seq, _ in reversed(newest_first)], reached[::-1])
