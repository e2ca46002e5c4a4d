"""What the policy was while a Mac synced, so that each sync is compared and not only the last one.

Settings, tags and rules that change by change sets only are changed by one administrator after the other. A
sync has to be that of one moment from its preflight on: it never shows half of a change.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from copy import copy
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from tests.model import settings
from tests.model.policy import Content, Facts, Key, Policy, Rule, Setting, Tag, effective, layers_of

SET: tuple[Key, ...] = (
    *(("BINARY", f"{number:064x}") for number in range(0x5E7, 0x5EB)),
    *(("TEAMID", f"SET{number:07d}") for number in range(2)),
)
"""Targets whose rules only change together, by imports."""


@dataclass(frozen=True)
class Moment:
    """The policy between two changes."""

    tags: tuple[Tag, ...]
    settings: dict[str, dict[str, Setting]]
    rules: dict[str, dict[Key, Rule]]
    """Those for `SET`."""
    windows: dict[str, datetime]


@dataclass(frozen=True)
class Since:
    """When something began: the number of the last moment that the server must know, and the time."""

    number: int
    at: datetime


class Timeline:
    """The last moments of a policy."""

    def __init__(self, policy: Policy, now: Callable[[], datetime]) -> None:
        """Begin with what there is; `now` tells the time without a tick."""
        self.now = now
        self.turn = asyncio.Lock()
        """To be held by whoever changes the policy, model and server."""
        self._policy = policy
        self._forgotten = 0
        self._done = 0
        self._moments = [self._moment()]

    @asynccontextmanager
    async def changed(self) -> AsyncIterator[None]:
        """The model's policy was changed; within the block the server's is, at some moment."""
        assert self.turn.locked()
        self._moments.append(self._moment())
        yield
        self._done = self._forgotten + len(self._moments) - 1

    def forget(self) -> None:
        """Nothing is under way: only the present counts from now on."""
        self._forgotten += len(self._moments) - 1
        del self._moments[:-1]

    def left(self, machine_id: str) -> None:
        """A Mac is deleted, and with it that it was put into tags by hand."""
        for moment in self._moments:
            for tag in moment.tags:
                tag.by_hand.discard(machine_id)

    def begin(self) -> Since:
        """Return from when on something that begins now may see the policy."""
        return Since(self._done, self.now())

    def possible_settings(self, mac: Facts, since: Since) -> Iterator[dict[str, Any]]:
        """Yield every state of a Mac's settings since then."""
        until = self.now()
        for layers, moment in self._views(mac, since):
            window = moment.windows.get(mac.machine_id)
            for at in dict.fromkeys((since.at, until)):
                yield settings.effective(moment.settings, layers, mac.version, window, at)

    def possible_sets(self, mac: Facts, since: Since) -> Iterator[dict[Key, Content]]:
        """Yield every state of a Mac's rules for `SET` since then."""
        for layers, moment in self._views(mac, since):
            yield effective(moment.rules, layers, mac.version, since.at)

    def _views(self, mac: Facts, since: Since) -> Iterator[tuple[list[str], Moment]]:
        """Yield the layers of a Mac and what they hold: those may be of two moments next to each other."""
        moments = self._moments[since.number - self._forgotten :]
        for shape in moments:
            layers = layers_of(shape.tags, mac)
            for moment in moments:
                yield layers, moment

    def _moment(self) -> Moment:
        policy = self._policy
        return Moment(
            tuple(with_members(tag) for tag in policy.tags),
            {layer: dict(settings) for layer, settings in policy.settings.items()},
            {
                layer: {key: rules[key] for key in SET if key in rules}
                for layer, rules in policy.layers.items()
            },
            dict(policy.windows),
        )


def with_members(tag: Tag) -> Tag:
    """Copy a tag with its members."""
    same = copy(tag)
    same.by_hand = set(tag.by_hand)
    return same
