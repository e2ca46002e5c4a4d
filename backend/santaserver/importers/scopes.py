"""Scopes of Zentral's rules as layers: each include is one, and each exclude masks the rule in one."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from santaserver.importers.model import GLOBAL, REMOVE, ImportedRule, Place, Report
from santaserver.policy.targets import MASK

SERIAL = "serial:"
"""The layer of a Mac whose machine id has to be looked up."""
LISTED = 20
"""Layers that a message names."""
RANKS = ("tag:", "user:", SERIAL)


@dataclass(slots=True)
class Scope:
    """Who a rule is for: names of layers, without any it is for everybody, and who it is not for."""

    included: list[str] = field(default_factory=list)
    excluded: list[str] = field(default_factory=list)
    place: Place = field(default_factory=Place)
    """Where the excludes are."""
    key: str = ""
    """What the excludes are called there."""


def spread(rule: ImportedRule, scope: Scope, layer: str, report: Report) -> Iterator[ImportedRule]:
    """Yield the rule for each layer of its scope, and a mask for each that it excludes."""
    excluded = list(dict.fromkeys(scope.excluded))
    masked = {name.lower() for name in excluded}
    named = list(dict.fromkeys(scope.included)) or [layer]
    for name in named:
        if name.lower() not in masked:
            yield replace(rule, layer=name)
    if rule.policy == REMOVE:
        return
    _check_order(rule, named, scope, report)
    for name in excluded:
        yield replace(rule, layer=name, policy=MASK, custom_msg="", custom_url="", comment="", cel_expr="")


def _check_order(rule: ImportedRule, named: list[str], scope: Scope, report: Report) -> None:
    """Warn where a mask has to rank above the rule, or never can."""
    by_rank: dict[int, list[str]] = {}
    for name in named:
        by_rank.setdefault(_rank(name), []).append(name)
    for name in dict.fromkeys(scope.excluded):
        level = _rank(name)
        same = by_rank.get(1, []) if level == 1 else []
        higher = [one for rank in range(level + 1, len(RANKS) + 1) for one in by_rank.get(rank, [])[:LISTED]]
        if same:
            message = f"tag {_plain(name)} has to rank above {_listed(same)}, or it masks nothing"
            report.warn("mask_order", message, scope.place, rule.entry, scope.key)
        if higher:
            message = (
                f"{name} cannot mask the rule for {_listed(higher)}: users and Macs rank above tags, "
                "and Macs above users"
            )
            report.warn("mask_order", message, scope.place, rule.entry, scope.key)


def _rank(layer: str) -> int:
    if layer == GLOBAL:
        return 0
    return next((number for number, kind in enumerate(RANKS, 1) if layer.startswith(kind)), len(RANKS))


def _plain(layer: str) -> str:
    return layer.partition(":")[2]


def _listed(layers: list[str]) -> str:
    names = [_plain(layer) or layer for layer in layers[:LISTED]]
    if len(layers) > LISTED:
        return f"{', '.join(names)} and others"
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
