"""The maximum cost of evaluating a CEL expression, by its syntax and the size of its variables. Pure.

CEL always terminates, but a few hundred characters can double a string until it fills the memory: the library
limits nesting (32) and iterations (10,000), not the size of values. As in Kubernetes, the worst case is
estimated before anything is evaluated, and what could be too expensive is refused.

A unit is about a byte that is written; a million take some 7 ms.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple, Self

from santaserver.protocol.protobuf_text import fields


class Bound(NamedTuple):
    """The largest value that there can be: a text's bytes, or a list's items and the largest of them."""

    length: int
    item: "Bound | None" = None

    @property
    def weight(self) -> int:
        """All bytes of the value."""
        return self.length if self.item is None else self.length * (self.item.weight + 1)

    def or_larger(self, other: Self) -> "Bound":
        """Return a bound of both."""
        items = [item for item in (self.item, other.item) if item is not None]
        return Bound(max(self.length, other.length), largest(items) if items else None)


SCALAR = Bound(32)
"""A number, a time or a truth value, written out."""
MAX_ITERATIONS = 10_000
"""Of a whole evaluation; more end it with an error."""
ITERATION = 10
COMPARED_AT_ONCE = 16
REGEX_UNIT = 8
MAX_REPEAT = 1000
CLASS_STATES = 500
_REPEAT = re.compile(r"(\)?)\{([0-9]+)(?:,([0-9]*))?\}")
_CLASS = re.compile(r"\\[pP]")
FORMATTED = 1100
"""Characters of a number that is formatted with the greatest precision."""

OPERATORS = {"==", "!=", "<", "<=", ">", ">=", "&&", "||", "-", "*", "/", "%"}
YIELDS_SCALAR = {f"_{operator}_" for operator in OPERATORS} | {
    *("!_", "-_", "@in", "@not_strictly_false"),
    *("size", "startsWith", "endsWith", "contains", "indexOf", "lastIndexOf"),
    *("int", "uint", "double", "bool", "timestamp", "duration", "type"),
}

# Numbers of the fields in google/api/expr: CheckedExpr, Expr, and what an Expr can be.
ANY_VALUE, CHECKED_EXPR = 2, 4
CONSTANT, IDENT, SELECT, CALL, LIST, STRUCT, COMPREHENSION = range(3, 10)
TEXTS = frozenset({6, 7})

Scope = Mapping[str, Bound]
Estimate = tuple[int, Bound]
"""What it costs, and the value."""


def cost(serialized: bytes, variables: Scope) -> int:
    """Return what an expression, as the library serializes it, costs with variables of these sizes."""
    checked = _only(serialized, ANY_VALUE)
    return _estimate(_only(checked, CHECKED_EXPR), variables)[0]


def largest(bounds: Iterable[Bound]) -> Bound:
    """Return a bound of all."""
    found = Bound(0)
    for bound in bounds:
        found = found.or_larger(bound)
    return found


def _estimate(expr: bytes, scope: Scope) -> Estimate:
    for number, content in fields(expr):
        if number in KINDS and content is not None:
            return KINDS[number](content, scope)
    return 1, SCALAR


def _constant(content: bytes, _: Scope) -> Estimate:
    lengths = [len(text) for number, text in fields(content) if number in TEXTS and text is not None]
    return 1, Bound(max(lengths)) if lengths else SCALAR


def _ident(content: bytes, scope: Scope) -> Estimate:
    return 1, scope.get(_only(content, 1).decode(), SCALAR)


def _select(content: bytes, scope: Scope) -> Estimate:
    spent, operand = _estimate(_only(content, 1), scope)
    return spent + 1, operand.item or operand


def _list(content: bytes, scope: Scope) -> Estimate:
    return _collection(_all(content, 1), scope)


def _map(content: bytes, scope: Scope) -> Estimate:
    keys_and_values = [part for entry in _all(content, 2) for part in (*_all(entry, 3), *_all(entry, 4))]
    return _collection(keys_and_values, scope)


def _collection(parts: Sequence[bytes], scope: Scope) -> Estimate:
    found = [_estimate(part, scope) for part in parts]
    return len(parts) + sum(spent for spent, _ in found), Bound(len(parts), largest(one for _, one in found))


def _comprehension(content: bytes, scope: Scope) -> Estimate:
    part = {number: text for number, text in fields(content) if text is not None}
    of_range, values = _estimate(part[2], scope)
    of_start, start = _estimate(part[4], scope)
    rounds = min(values.length, MAX_ITERATIONS)
    result = part[3].decode()
    inside = {**scope, part[1].decode(): values.item or SCALAR, result: start}
    of_step, step = _estimate(part[6], inside)
    of_condition, _ = _estimate(part[5], inside)
    grown = Bound(start.length + rounds * max(0, step.length - start.length), start.or_larger(step).item)
    of_end, end = _estimate(part[7], {**scope, result: grown})
    return of_range + of_start + rounds * (ITERATION + of_step + of_condition) + of_end, end


def _call(content: bytes, scope: Scope) -> Estimate:
    name = _only(content, 2).decode()
    found = [_estimate(part, scope) for part in (*_all(content, 1), *_all(content, 3))]
    args = [value for _, value in found]
    spent = 1 + sum(cost for cost, _ in found)
    if name == "_?_:_":
        return spent, args[1].or_larger(args[2])
    if name == "_[_]":
        return spent, args[0].item or args[0]
    if name == "matches":
        pattern = _pattern(_all(content, 3)[-1])
        return spent + args[0].weight + REGEX_UNIT * _states(pattern, args[-1]), SCALAR
    if name in YIELDS_SCALAR:
        return spent + sum(arg.weight for arg in args) // COMPARED_AT_ONCE, SCALAR
    made = _made(name, args)
    return spent + made.weight, made


def _made(name: str, args: Sequence[Bound]) -> Bound:
    """Return what a function makes of its arguments, the one it is called on first."""
    return MAKES[name](args) if name in MAKES else largest([*args, SCALAR])


MAKES: dict[str, Callable[[Sequence[Bound]], Bound]] = {
    "_+_": lambda args: Bound(args[0].length + args[1].length, args[0].or_larger(args[1]).item),
    "replace": lambda args: Bound((args[0].length + 1) * (args[2].length + 1)),
    "split": lambda args: Bound(args[0].length + 1, Bound(args[0].length)),
    "join": lambda args: Bound(args[0].weight + args[0].length * sum(arg.length for arg in args[1:])),
    "format": lambda args: Bound(
        args[0].length + (args[0].length // 2 + 1) * (FORMATTED + 2 * args[1].weight)
    ),
    "strings.quote": lambda args: Bound(6 * args[0].length + 2),
}


def _pattern(expr: bytes) -> str | None:
    """Return a pattern that is a constant."""
    for number, content in fields(expr):
        if number == CONSTANT and content is not None:
            return _only(content, 6).decode()
    return None


def _states(pattern: str | None, bound: Bound) -> int:
    """Return how long a pattern is when its counted repetitions are written out."""
    if pattern is None:
        return bound.length * MAX_REPEAT
    groups, times = 1, 1
    for group, least, most in _REPEAT.findall(pattern):
        number = max(int((most or least)[:5]), 1)
        if group:
            groups = min(groups * number, MAX_REPEAT)  # may be one inside of the other
        else:
            times = max(times, number)
    times = min(groups * times, MAX_REPEAT)
    return (len(pattern) + CLASS_STATES * len(_CLASS.findall(pattern))) * times


KINDS: dict[int, Callable[[bytes, Scope], Estimate]] = {
    CONSTANT: _constant,
    IDENT: _ident,
    SELECT: _select,
    CALL: _call,
    LIST: _list,
    STRUCT: _map,
    COMPREHENSION: _comprehension,
}


def _all(message: bytes, number: int) -> list[bytes]:
    return [content for found, content in fields(message) if found == number and content is not None]


def _only(message: bytes, number: int) -> bytes:
    return next(iter(_all(message, number)), b"")
