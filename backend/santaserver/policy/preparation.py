"""Makes large changes ready for syncs, on connections of its own and each only once.

A sync that needs a part that is not there yet gives its connection back, waits, and starts over. So however
many Macs ask for an import at the same moment, syncs that need nothing of it go on.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Hashable, Sequence
from contextlib import AbstractAsyncContextManager
from functools import partial
from typing import Any, TypeVar
from weakref import WeakValueDictionary

from santaserver.db import Connection
from santaserver.errors import Overloaded
from santaserver.policy import layer_log, rule_log
from santaserver.policy.caches import PolicyCaches
from santaserver.policy.capabilities import Capabilities
from santaserver.policy.large_change import Wanted
from santaserver.policy.layer_log import Version
from santaserver.policy.layer_rules import JoinedRules, LayerKey, LayerRules, Overlay, OverlayKey, Sent, Span
from santaserver.policy.rule_text import Key, RuleText, removal, rule_text
from santaserver.turns import Turns

log = logging.getLogger(__name__)

LARGE = 1000
"""Versions in one layer above which a change is made in parts."""
PARTS_AT_ONCE = 2
SETS_AT_ONCE = 1
"""Whole sets that are compared; parts do not wait for them, and one connection remains for overlays."""

KEEP = 5.0
"""Seconds in which whoever waited for something must have asked for it again."""
WHAT = "rule changes to prepare"

WAIT_TIMEOUT = 20.0
"""Seconds that a request waits; a Mac's timeout is 30."""

ResultT = TypeVar("ResultT")
Connect = Callable[[], AbstractAsyncContextManager[Connection]]


class NotPrepared(Exception):  # noqa: N818 - nothing is wrong
    """What a sync needs is being made: give the connection back, wait, and start over."""

    def __init__(self, ready: Callable[[], Awaitable[object]], *held: object) -> None:
        """Take what waits, and what must not be forgotten until the new start."""
        super().__init__()
        self._ready = ready
        self._held = held

    async def wait(self, until: float) -> None:
        """Wait until it is worth to start over, at most until a time of the event loop's clock."""
        try:
            async with asyncio.timeout_at(until):
                await self._ready()
        except TimeoutError as error:
            raise Overloaded(WHAT) from error


class RulePreparer:
    """The large changes of one process: those that are being made, and those that requests hold."""

    def __init__(self, connect: Connect, caches: PolicyCaches) -> None:
        """Use connections of `connect`, and keep what is made in `caches`."""
        self._connect = connect
        self._caches = caches
        self._parts: WeakValueDictionary[LayerKey, LayerRules] = WeakValueDictionary()
        self._overlays: WeakValueDictionary[OverlayKey, Overlay] = WeakValueDictionary()
        self._made: dict[Hashable, Any] = {}
        """What was just made, for those who waited for it."""
        self._under_way: dict[Hashable, asyncio.Task[Any]] = {}
        self._part_turn = asyncio.Semaphore(PARTS_AT_ONCE)
        self._set_turn = asyncio.Semaphore(SETS_AT_ONCE)

    def joined(self, wanted: Wanted, number: int) -> JoinedRules:
        """Return the rules of a sync, at least so many or all; else raise `NotPrepared`."""
        parts = [self._part(wanted.part(layer), wanted.client) for layer in wanted.large]
        overlay = self._caches.overlays.get(wanted.key) or self._overlays.get(wanted.key)
        if overlay is None:
            task = self._start(wanted.key, partial(self._overlay, wanted))
            raise NotPrepared(partial(_result, task), task, parts)
        rules = JoinedRules(parts, overlay)
        growing = rules.growing
        if growing is not None and len(rules) < number:
            raise NotPrepared(partial(growing.grow, len(growing.keys)), rules)
        return rules

    def made(self, name: Hashable, make: Callable[[Connection], Awaitable[ResultT]]) -> ResultT:
        """Return what takes long to make for a sync; raise `NotPrepared` when it was not just made.

        Names must not contain ids of signatures: one that a sync stores itself has another id at each start.
        """
        if name in self._made:
            return self._made[name]  # type: ignore[no-any-return]

        async def work() -> None:
            async with self._set_turn, self._connect() as connection:
                self._made[name] = await make(connection)
            asyncio.get_running_loop().call_later(KEEP, self._made.pop, name, None)

        task = self._start(name, work)
        raise NotPrepared(partial(_result, task), task)

    async def close(self) -> None:
        """Stop what is under way."""
        tasks = list(self._under_way.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _start(self, key: Hashable, work: Callable[[], Coroutine[Any, Any, Any]]) -> asyncio.Task[Any]:
        task = self._under_way.get(key)
        if task is None or task.done():
            task = self._under_way[key] = asyncio.create_task(work(), name="rule preparation")
            task.add_done_callback(partial(self._ended, key))
        return task

    def _ended(self, key: Hashable, task: asyncio.Task[Any]) -> None:
        if self._under_way.get(key) is task:
            del self._under_way[key]
        if not task.cancelled() and (error := task.exception()) is not None:
            log.debug("a large change could not be made ready: %r", error)

    def _part(self, key: LayerKey, client: Capabilities) -> LayerRules:
        part = self._caches.layer_rules.get(key) or self._parts.get(key)
        if part is None or part.error is not None:
            part = self._parts[key] = LayerRules(key)
            self._start(key, partial(self._fill, part, client))
        return part

    async def _fill(self, part: LayerRules, client: Capabilities) -> None:
        """Read what a layer contributes, and let it be used from the first portion on."""
        try:
            async with self._part_turn, self._connect() as connection:
                await _read(connection, self._caches, part, client)
        except BaseException as error:
            part.end(Overloaded(WHAT) if isinstance(error, asyncio.CancelledError) else error)
            raise
        part.end()
        self._caches.layer_rules.put(part.key, part)

    async def _overlay(self, wanted: Wanted) -> Overlay:
        async with self._connect() as connection:
            overlay = await _make_overlay(connection, self._caches, wanted)
        self._overlays[wanted.key] = overlay
        return self._caches.overlays.put(wanted.key, overlay)


async def when_prepared(work: Callable[[], Awaitable[ResultT]]) -> ResultT:
    """Do something that may find a large change not prepared, by one who keeps the connection meanwhile."""
    until = asyncio.get_running_loop().time() + WAIT_TIMEOUT
    while True:
        try:
            return await work()
        except NotPrepared as error:
            missing = error.with_traceback(None)
        await missing.wait(until)


async def _result(task: asyncio.Task[Any]) -> None:
    """Wait for a shared task without ending it; raise its error."""
    await asyncio.wait([task])
    if task.cancelled():
        raise Overloaded(WHAT)
    if (error := task.exception()) is not None:
        raise error.with_traceback(None)


async def _read(connection: Connection, caches: PolicyCaches, part: LayerRules, client: Capabilities) -> None:
    """Fill a part from the policy log; a whole layer from an earlier one when there is one."""
    key = part.key
    older = None if key.span.bases else caches.layer_rules.get(caches.newest_layers.get(key.place) or key)
    if older is not None and older.key.span.seq < key.span.seq:
        since = Span((older.key.span.seq,), key.span.seq)
        if await layer_log.size(connection, key.layer, since, LARGE + 1) <= LARGE:
            later = LayerKey(key.layer, key.code, since)
            found = [one async for some in _differing(connection, caches, later, client) for one in some]
            part.take_changed(older, found)
            caches.newest_layers.put(key.place, key)
            return
    turns = Turns()
    async for portion in _differing(connection, caches, key, client):
        part.add(portion)
        part.tell()
        await turns.pause()
    if not key.span.bases:
        caches.newest_layers.put(key.place, key)


async def _differing(
    connection: Connection, caches: PolicyCaches, key: LayerKey, client: Capabilities
) -> AsyncIterator[list[Sent]]:
    """Yield the targets whose rule is another one at the end of a span, and that rule; None for no rule."""
    open_group: list[Version] = []
    async for versions in layer_log.versions(connection, key, client.level):
        *groups, open_group = layer_log.by_target([*open_group, *versions])
        yield _sent(caches, groups, key.span, client)
    if open_group:
        yield _sent(caches, [open_group], key.span, client)


def _sent(
    caches: PolicyCaches, groups: Sequence[Sequence[Version]], span: Span, client: Capabilities
) -> list[Sent]:
    def at(versions: Sequence[Version], seq: int) -> RuleText | None:
        found = next((version for version in versions if version.is_in_force(seq)), None)
        if found is None:
            return None
        return caches.texts.get(found.id) or caches.texts.put(found.id, rule_text(found.rule()))

    sent: list[Sent] = []
    for versions in groups:
        rules = [at(versions, seq) for seq in (*span.bases, span.seq)]
        *before, after = (None if rule is None else rule.at(client) for rule in rules)
        if any(text != after for text in before) if before else after is not None:
            # Its target is shared too.
            key = next(rule.key for rule in reversed(rules) if rule is not None)
            sent.append((key, after))
    return sent


async def _make_overlay(connection: Connection, caches: PolicyCaches, wanted: Wanted) -> Overlay:
    """Find the targets that several layers decide, and what follows for them."""
    keys: set[Key] = set()
    for layer in wanted.large:
        keys |= await _shared(connection, caches, wanted, layer)
    small = [layer for layer in wanted.layers if layer not in wanted.large]
    keys |= await layer_log.keys_of(connection, small, wanted.span)
    decided = sorted(keys)
    rules: dict[Key, bytes | None] = {}
    if decided:
        span = wanted.span
        rows = await rule_log.touched(
            connection, wanted.layers, span.seq, span.bases, wanted.client.level, decided
        )
        rules = await rule_log.sent(connection, caches, rows, wanted.client)
    order = sorted(rules)
    return Overlay(
        tuple(map(wanted.part, wanted.large)),
        decided,
        [rules[key] or removal(key) for key in order],
        [key for key in order if rules[key] is not None],
    )


async def _shared(connection: Connection, caches: PolicyCaches, wanted: Wanted, layer: int) -> set[Key]:
    """Return the targets that a span concerns in a large layer and that another layer has a say in too."""
    others = [other for other in wanted.layers if other != layer]
    names = {other: (wanted.part(layer), other, wanted.spans[other]) for other in others}
    known = {other: caches.shared_keys.get(name) for other, name in names.items()}
    missing = [other for other, keys in known.items() if keys is None]
    if missing:
        for other, keys in (await layer_log.shared_with(connection, layer, missing, wanted.span)).items():
            known[other] = caches.shared_keys.put(names[other], keys)
    return {key for keys in known.values() for key in keys or ()}
