"""Predicates of tags: CEL expressions over a machine's report.

The same language implementation as for rules; loaded with the first predicate. Predicates are
evaluated on the event loop while a Mac waits, so what one could cost is limited before it is stored.
"""

import logging
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from operator import attrgetter
from typing import Any

from santaserver.cel_cost import SCALAR, Bound, cost

log = logging.getLogger(__name__)

COMPILED = 2 * 1024 * 1024
"""Bytes of compiled predicates that are kept, as they are serialized; in memory they take ten times that."""
MAX_COST = 2_000_000
"""Units of `cel_cost` on a Mac with the usual facts: some 15 ms."""
MAX_COST_ON_ONE = 4 * MAX_COST
"""On a Mac that reports more than that."""
USUAL_TEXT = 128
USUAL_GROUPS = 200
USUAL_GROUP = 64
"""Bytes, groups, and bytes of a group's name that a predicate must be able to handle."""


def _size(text: str) -> int:
    return len(text.encode("utf-8", "surrogatepass"))


@dataclass(frozen=True, slots=True)
class MachineFacts:
    """The variables of a predicate."""

    machine_id: str
    serial: str
    hostname: str
    model: str
    os_version: str
    os_build: str
    santa_version: str
    primary_user: str
    groups: Sequence[str]
    client_mode: str
    sip_enabled: bool

    def is_usual(self) -> bool:
        """Tell quickly whether nothing is larger than usual; what is not ASCII has to be measured."""
        texts = _texts(self)
        return (
            max(map(len, texts)) <= USUAL_TEXT
            and "".join(texts).isascii()
            and len(self.groups) <= USUAL_GROUPS
            and max(map(len, self.groups), default=0) <= USUAL_GROUP
            and "".join(self.groups).isascii()
        )

    def bounds(self) -> dict[str, Bound]:
        """Return how large the values are, or would be on a large Mac."""
        sizes = {name: Bound(max(USUAL_TEXT, _size(getattr(self, name)))) for name in TEXTS}
        longest = max(map(_size, self.groups), default=0)
        groups = Bound(max(USUAL_GROUPS, len(self.groups)), Bound(max(USUAL_GROUP, longest)))
        return {**sizes, "groups": groups, "sip_enabled": SCALAR}


FIELDS = tuple(MachineFacts.__dataclass_fields__)
TEXTS = tuple(name for name in FIELDS if name not in {"groups", "sip_enabled"})
_texts = attrgetter(*TEXTS)
NO_FACTS = MachineFacts(**dict.fromkeys(TEXTS, ""), groups=(), sip_enabled=True)
USUAL = NO_FACTS.bounds()


class PredicateError(Exception):
    """The expression is invalid; the message says where and why."""


def check_predicate(expression: str) -> None:
    """Raise `PredicateError` unless the expression returns true or false for a machine."""
    try:
        compiled = _compiled(expression)
        kind = compiled.return_type().name()
    except RuntimeError as error:
        raise PredicateError(_first_line(error)) from error
    if kind != "BOOL":
        raise PredicateError(f"the result is {kind.lower()}; it must be true or false")
    if compiled.usual_cost > MAX_COST:
        raise PredicateError(
            f"it can cost {compiled.usual_cost / MAX_COST:.3g} times the limit on a Mac "
            f"with {USUAL_GROUPS} groups: use fewer nested loops, and strings that do not grow"
        )


def holds(expression: str, facts: MachineFacts) -> bool:
    """Tell whether a machine is a member; one that the expression fails for is none."""
    try:
        compiled = _compiled(expression)
        if compiled.too_expensive(facts):
            log.warning("the predicate %r is too expensive for %s", expression, facts.machine_id)
            return False
        result = compiled.expression.eval(data=compiled.variables(facts)).value()
    except RuntimeError as error:
        log.warning("the predicate %r cannot be used: %s", expression, _first_line(error))
        return False
    if not isinstance(result, bool):
        log.debug("the predicate %r fails for %s: %s", expression, facts.machine_id, result)
        return False
    return result


class _Compiled:
    """A compiled expression and its maximum cost."""

    def __init__(self, text: str) -> None:
        self.expression = _environment().compile(text)
        self._serialized = self.expression.serialize()
        self.usual_cost = cost(self._serialized, USUAL)
        self._names = [name for name in FIELDS if name in text]

    @property
    def size(self) -> int:
        return len(self._serialized)

    def return_type(self) -> Any:  # noqa: ANN401 - the library has no types
        return self.expression.return_type()

    def variables(self, facts: MachineFacts) -> dict[str, Any]:
        """Return the values that the expression may read, by name."""
        return {name: getattr(facts, name) for name in self._names}

    def too_expensive(self, facts: MachineFacts) -> bool:
        """Return whether it is too expensive for a Mac; one stored by an older release may be."""
        if self.usual_cost > MAX_COST:
            return True
        if facts.is_usual():
            return False
        bounds = facts.bounds()
        return bounds != USUAL and cost(self._serialized, bounds) > MAX_COST_ON_ONE


_kept: OrderedDict[str, _Compiled] = OrderedDict()


def _compiled(expression: str) -> _Compiled:
    """Compile an expression, or take it from those that were used last."""
    found = _kept.get(expression)
    if found is not None:
        _kept.move_to_end(expression)
        return found
    found = _kept[expression] = _Compiled(expression)
    while sum(one.size for one in _kept.values()) > COMPILED:
        _kept.popitem(last=False)
    return found


@lru_cache(1)
def _environment() -> Any:  # noqa: ANN401 - the library has no types
    from cel_expr_python import cel  # noqa: PLC0415 - loaded with the first predicate
    from cel_expr_python.ext import ext_strings  # noqa: PLC0415

    kinds = cel.Type
    special = {"groups": kinds.List(kinds.STRING), "sip_enabled": kinds.BOOL}
    variables = {name: special.get(name, kinds.STRING) for name in FIELDS}
    return cel.NewEnv(variables=variables, extensions=[ext_strings.ExtStrings()])


def _first_line(error: RuntimeError) -> str:
    line = str(error).partition("\n")[0] or "it cannot be compiled"
    return line.removeprefix("INVALID_ARGUMENT: ").removeprefix("ERROR: ").replace("<input>:", "at ")
