"""What a Mac should have: written from the specification, independently of the server."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

Key = tuple[str, str]
Content = tuple[str, str, str]
"""(policy, CEL expression, message)"""
Setting = tuple[Any, bool]
"""(value, whether it is locked)"""

PEDRO = "pedro-0.3.0 (pedro 0.3.0)"
OTHER = "mystery 7"
CDHASH_WORD = "CD_HASH"
"""How pedro spells that type of rule; other unknown clients are not sent it."""
CAN_CEL = {"2026.8.1": True, "2026.2.1": True, "2025.5.1": False, PEDRO: False, OTHER: False}
CAN_SILENCE = {"2026.8.1": True, "2026.2.1": False, "2025.5.1": False}
LOUD = {PEDRO, OTHER}
"""Clients that are sent BLOCKLIST for whatever is silent."""


@dataclass
class Rule:
    """A rule of one layer."""

    id: int
    content: Content
    locked: bool = False
    starts_at: datetime | None = None
    expires_at: datetime | None = None

    def over(self, now: datetime) -> bool:
        """Tell whether its time has passed."""
        return self.expires_at is not None and self.expires_at <= now

    def holds(self, now: datetime) -> bool:
        """Tell whether it is in force."""
        return not self.over(now) and (self.starts_at is None or self.starts_at <= now)


@dataclass
class Tag:
    """A tag; a Mac is a member by hand, by group, or when its host name begins with a prefix."""

    id: int
    name: str
    group: str
    prefix: str
    by_hand: set[str] = field(default_factory=set)


@dataclass
class Facts:
    """What the model has to know of a Mac."""

    machine_id: str
    version: str
    user: str
    groups: list[str]
    hostname: str


@dataclass
class Policy:
    """All layers by name, and tags from the lowest to the highest."""

    layers: dict[str, dict[Key, Rule]] = field(default_factory=dict)
    tags: list[Tag] = field(default_factory=list)
    settings: dict[str, dict[str, Setting]] = field(default_factory=dict)
    windows: dict[str, datetime] = field(default_factory=dict)
    """Until when Macs are in monitor mode, whatever their layers say."""

    def layers_of(self, mac: Facts) -> list[str]:
        """Return the names of a Mac's layers, the lowest first."""
        return layers_of(self.tags, mac)

    def effective(self, mac: Facts, now: datetime) -> dict[Key, Content]:
        """Return exactly the rules that the Mac should have."""
        return effective(self.layers, self.layers_of(mac), mac.version, now)

    def forget_expired(self, now: datetime) -> None:
        """Drop rules whose time has passed: the server removes them for good."""
        for rules in self.layers.values():
            for key in [key for key, rule in rules.items() if rule.over(now)]:
                del rules[key]


def layers_of(tags: Iterable[Tag], mac: Facts) -> list[str]:
    """Return the names of a Mac's layers, the lowest first."""
    mine = [
        f"tag:{tag.name}"
        for tag in tags
        if mac.machine_id in tag.by_hand
        or tag.group in mac.groups
        or (tag.prefix and mac.hostname.startswith(tag.prefix))
    ]
    return ["global", *mine, f"user:{mac.user.lower()}", f"machine:{mac.machine_id}"]


def effective(
    rules: Mapping[str, Mapping[Key, Rule]], layers: Sequence[str], version: str, now: datetime
) -> dict[Key, Content]:
    """Return what a release is sent of the rules of these layers, the lowest first."""
    found: dict[Key, Rule] = {}
    for layer in layers:
        for key, rule in rules.get(layer, {}).items():
            below = found.get(key)
            if not rule.holds(now) or not supports(version, rule.content):
                continue
            if not (below and below.locked):
                found[key] = rule
    if version == OTHER:
        found = {key: rule for key, rule in found.items() if key[0] != "CDHASH"}
    sent = {key: in_release(rule.content, version) for key, rule in found.items()}
    return {key: content for key, content in sent.items() if content}


def supports(version: str, content: Content) -> bool:
    """Tell whether a release can take a rule; the next rule for the target applies when it cannot."""
    return content[0] != "CEL" or CAN_CEL[version]


def in_release(content: Content, version: str) -> Content | None:
    """Return what a release is sent of a rule, None for nothing."""
    policy, expression, message = content
    if policy == "NONE":
        return None
    if policy == "ALLOWLIST_COMPILER" and version == OTHER:
        return ("ALLOWLIST", expression, message)
    if policy == "SILENT_GUI_BLOCKLIST" and version in LOUD:
        return ("BLOCKLIST", expression, message)
    if policy == "SILENT_GUI_BLOCKLIST" and not CAN_SILENCE[version]:
        return ("SILENT_BLOCKLIST", expression, message)
    return content
