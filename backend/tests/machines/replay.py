"""The policy of Macs over time, replayed from what was done: written apart from the server."""

from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import datetime

GLOBAL = "global"
DEFAULT = "MONITOR"

Rules = dict[str, str]
"""Identifier → policy."""


@dataclass
class Tag:
    """Who a tag's members are, beside those that were added manually."""

    prefix: str = ""
    group: str = ""


@dataclass
class Policy:
    """All layers by name, and tags from the lowest to the highest."""

    rules: dict[str, dict[str, tuple[str, bool]]] = field(default_factory=dict)
    """Layer → identifier → (policy, locked)."""
    modes: dict[str, tuple[str, bool]] = field(default_factory=dict)
    """Layer → (client mode, locked)."""
    tags: dict[str, Tag] = field(default_factory=dict)
    used: set[str] = field(default_factory=lambda: {GLOBAL})
    """Layers that ever held something: others are not among a Mac's layers."""

    def effective(self, layers: Sequence[str]) -> Rules:
        """Return the rules of a Mac with these layers, the lowest first."""
        found: dict[str, tuple[str, bool]] = {}
        for layer in layers:
            for identifier, rule in self.rules.get(layer, {}).items():
                if not found.get(identifier, ("", False))[1]:
                    found[identifier] = rule
        return {identifier: policy for identifier, (policy, _) in found.items() if policy != "NONE"}

    def mode(self, layers: Sequence[str]) -> str:
        """Return the client mode of such a Mac."""
        found = (DEFAULT, False)
        for layer in layers:
            if layer in self.modes and not found[1]:
                found = self.modes[layer]
        return found[0]


@dataclass
class Machine:
    """What is known of a Mac."""

    layers: list[str] | None = None
    """Those of its last preflight; None before the first."""
    automatic: set[tuple[str, str]] = field(default_factory=set)
    manual: set[str] = field(default_factory=set)
    confirmed: tuple[Rules, str] | None = None

    @property
    def tags(self) -> dict[str, list[str]]:
        """Its tags and why it has them."""
        found: dict[str, list[str]] = {}
        for tag, source in sorted(self.automatic | {(tag, "manual") for tag in self.manual}):
            found.setdefault(tag, []).append(source)
        return found


@dataclass
class World:
    """Everything at one moment."""

    policy: Policy = field(default_factory=Policy)
    machines: dict[str, Machine] = field(default_factory=dict)

    def preflight(self, name: str, hostname: str, group: str) -> None:
        """Determine a Mac's tags and layers."""
        machine = self.machines.setdefault(name, Machine())
        machine.automatic = set()
        for tag, content in self.policy.tags.items():
            if content.prefix and hostname.startswith(content.prefix):
                machine.automatic.add((tag, "predicate"))
            if content.group and content.group == group:
                machine.automatic.add((tag, "group"))
        mine = [f"tag:{tag}" for tag in self.policy.tags if tag in machine.tags]
        layers = [GLOBAL, *mine, f"machine:{name}"]
        machine.layers = [layer for layer in layers if layer in self.policy.used]

    def target(self, name: str) -> tuple[Rules, str]:
        """Return what a Mac is to have."""
        layers = self.machines[name].layers or []
        return self.policy.effective(layers), self.policy.mode(layers)

    def remove_tag(self, tag: str) -> None:
        """Take a tag out of use."""
        del self.policy.tags[tag]
        self.policy.rules.pop(f"tag:{tag}", None)
        self.policy.modes.pop(f"tag:{tag}", None)
        self.policy.used.discard(f"tag:{tag}")
        for machine in self.machines.values():
            machine.manual.discard(tag)
            machine.automatic = {member for member in machine.automatic if member[0] != tag}


Act = Callable[[World], None]


@dataclass
class Journal:
    """What was done, when, and the policy's number after it."""

    entries: list[tuple[datetime, int, Act]] = field(default_factory=list)

    def add(self, at: datetime, seq: int, act: Act) -> None:
        """Note something that was done."""
        self.entries.append((at, seq, act))

    def replay(self, chosen: Callable[[datetime, int], bool]) -> World:
        """Do again what is chosen by time and number."""
        world = World()
        for at, seq, act in self.entries:
            if chosen(at, seq):
                act(world)
        return deepcopy(world)

    def seq_at(self, at: datetime) -> int:
        """Return the newest number at a moment."""
        return max((seq for when, seq, _ in self.entries if when <= at), default=0)

    def last_moment_of(self, number: int, now: datetime) -> datetime:
        """Return the last moment at which a number was the newest."""
        made = [at for at, seq, _ in self.entries if seq == number]
        later = [at for at, seq, _ in self.entries if seq > number]
        end = later[0] - datetime.resolution if later else now
        return max(end, made[0]) if made else end


Shown = dict[str, tuple[str, str]]


def delivery(wanted: Rules, confirmed: Rules | None) -> Shown:
    """Return each rule with how far its delivery is."""
    had = confirmed or {}
    found = {
        one: (policy, "confirmed" if had.get(one) == policy else "pending") for one, policy in wanted.items()
    }
    return found | {one: (had[one], "removal_pending") for one in had.keys() - wanted.keys()}
