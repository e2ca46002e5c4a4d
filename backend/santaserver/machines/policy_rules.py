"""Rules that applied to a machine at a moment, beside those that it had confirmed: one list by target."""

from typing import Literal

from msgspec import Struct

from santaserver.db import Connection
from santaserver.policy.capabilities import Capabilities
from santaserver.policy.rule_pages import WinningVersion, winners_after
from santaserver.policy.rule_text import Key, rule_text

MOST = 2000
"""Targets that are read at a time when many of them are masks or cannot be sent."""
NO_KEY: Key = ("", "")


class PolicyView(Struct, frozen=True):
    """A policy as a machine has it: of some layers, for one client, at a number."""

    signature: int
    layers: tuple[int, ...]
    client: Capabilities
    seq: int

    def sent(self, version: WinningVersion) -> str | None:
        """Return the policy that its client is sent for a version; None when it gets no rule."""
        content = version.content
        return self.client.policy(content.rule_type, content.policy, content.needs_level)

    def text(self, version: WinningVersion | None) -> bytes | None:
        """Return the rule as its client is sent it."""
        return None if version is None else rule_text(version.content).at(self.client)


NOT_KEPT: Literal["not kept"] = "not kept"
Had = PolicyView | Literal["not kept"] | None
"""What a machine had confirmed: None when that was nothing that is known."""


class Shown(Struct, frozen=True):
    """A rule in the list."""

    version: WinningVersion
    sent: str
    delivery: Literal["confirmed", "pending", "removal_pending", "unknown"]


class RulesPage(Struct, frozen=True):
    """Some rules, and the target after which the next ones come."""

    rules: list[Shown]
    following: Key | None


async def rules_page(connection: Connection, view: PolicyView, had: Had, after: Key, limit: int) -> RulesPage:
    """Return a page of the rules that applied, and of those confirmed that did not apply any more."""
    found: list[Shown] = []
    portion = limit + 1
    while True:
        pairs, end = await _pairs(connection, view, had, after, portion)
        for shown in pairs:
            if len(found) == limit:
                return RulesPage(found, found[-1].version.key)
            found.append(shown)
        if end is None:
            return RulesPage(found, None)
        after, portion = end, min(portion * 4, MOST)


async def _pairs(
    connection: Connection, view: PolicyView, had: Had, after: Key, portion: int
) -> tuple[list[Shown], Key | None]:
    """Compare the next targets; return what is shown of them, and the last target unless none follows."""
    now = await winners_after(connection, view.layers, view.seq, after, portion)
    before: list[WinningVersion] = []
    if isinstance(had, PolicyView):
        same = (had.signature, had.seq) == (view.signature, view.seq)
        before = now if same else await winners_after(connection, had.layers, had.seq, after, portion)
    ends = [rows[-1].key for rows in (now, before) if len(rows) == portion]
    end = min(ends, default=None)
    present = {version.key: version for version in now}
    past = {version.key: version for version in before}
    keys = (key for key in sorted(present.keys() | past.keys()) if end is None or key <= end)
    compared = (_compared(view, had, present.get(key), past.get(key)) for key in keys)
    return [shown for shown in compared if shown is not None], end


def _compared(
    view: PolicyView, had: Had, version: WinningVersion | None, earlier: WinningVersion | None
) -> Shown | None:
    """Compare the rule that applied to a target with the one that was confirmed."""
    confirmed = had.text(earlier) if isinstance(had, PolicyView) else None
    sent = None if version is None else view.sent(version)
    if version is not None and sent is not None:
        if had == NOT_KEPT:
            return Shown(version, sent, "unknown")
        return Shown(version, sent, "confirmed" if view.text(version) == confirmed else "pending")
    if earlier is not None and confirmed is not None:
        return Shown(earlier, earlier.content.policy, "removal_pending")
    return None
