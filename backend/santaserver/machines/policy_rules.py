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

    async def winners_after(self, connection: Connection, after: Key, limit: int) -> list[WinningVersion]:
        """Return the first winning versions after a target."""
        return await winners_after(connection, self.layers, self.seq, after, limit, self.client.level)

    def sent(self, version: WinningVersion) -> str | None:
        """Return the policy that its client is sent for a version; None when it gets no rule."""
        content = version.content
        return self.client.policy(content.rule_type, content.policy, content.needs_level)

    def text(self, version: WinningVersion) -> bytes | None:
        """Return the rule as its client is sent it."""
        return rule_text(version.content).at(self.client)


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
    now = await view.winners_after(connection, after, portion)
    before: list[WinningVersion] = []
    if isinstance(had, PolicyView):
        same = (had.signature, had.seq) == (view.signature, view.seq)
        before = now if same else await had.winners_after(connection, after, portion)
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
    sent = None if version is None else view.sent(version)
    if version is not None and sent is not None:
        return Shown(version, sent, _delivery(view, had, version, earlier))
    if isinstance(had, PolicyView) and earlier is not None:
        confirmed = had.sent(earlier)
        return None if confirmed is None else Shown(earlier, confirmed, "removal_pending")
    return None


def _delivery(
    view: PolicyView, had: Had, version: WinningVersion, earlier: WinningVersion | None
) -> Literal["confirmed", "pending", "unknown"]:
    if not isinstance(had, PolicyView):
        return "pending" if had is None else "unknown"
    if earlier is None:
        return "pending"
    if earlier.id == version.id and had.client is view.client:
        return "confirmed"
    return "confirmed" if had.text(earlier) == view.text(version) else "pending"
