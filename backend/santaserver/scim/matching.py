"""Tells which resources a filter finds. Pure."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from santaserver.scim.attributes import Attribute, Reference, holder_of
from santaserver.scim.errors import TOO_MANY, ScimError
from santaserver.scim.filters import All, Compare, Filter, Not, Present, Some, Values, moment
from santaserver.scim.values import is_nothing

MAX_STEPS = 2_000_000
"""Comparisons for one request: some seconds of work."""


class Budget:
    """How many comparisons a request may still cost."""

    __slots__ = ("_left",)

    def __init__(self, steps: int = MAX_STEPS) -> None:
        """Begin with all of it."""
        self._left = steps

    def spend(self) -> None:
        """Pay for a comparison; raise `tooMany` when there is nothing left."""
        self._left -= 1
        if self._left < 0:
            raise ScimError(
                "The filter would compare too many values: ask for userName, externalId or id by eq",
                TOO_MANY,
            )


def matches(found: Filter, resource: Mapping[str, Any], budget: Budget) -> bool:
    """Tell whether a resource, or one value of an attribute, fits."""
    match found:
        case All(terms):
            return all(matches(term, resource, budget) for term in terms)
        case Some(terms):
            return any(matches(term, resource, budget) for term in terms)
        case Not(inner):
            return not matches(inner, resource, budget)
        case Values(reference, inner):
            return any(matches(inner, value, budget) for value in _objects(resource, reference))
        case Present(reference):
            budget.spend()
            return any(not is_nothing(value) for value in _values(resource, reference))
        case Compare():
            return _compares(found, resource, budget)


def _compares(wanted: Compare, resource: Mapping[str, Any], budget: Budget) -> bool:
    values = [value for value in _values(resource, wanted.reference, whole=False) if not is_nothing(value)]
    budget.spend()
    for _ in values[1:]:
        budget.spend()
    if wanted.value is None:
        return not values if wanted.operator == "eq" else bool(values)
    if wanted.operator == "ne":
        return not any(_holds(wanted, value, "eq") for value in values)
    return any(_holds(wanted, value, wanted.operator) for value in values)


def _holds(wanted: Compare, value: object, operator: str) -> bool:
    left, right = _comparable(wanted.reference.compared, value, wanted.value)
    if type(left) is not type(right):
        return False
    if operator == "eq":
        return bool(left == right)
    if isinstance(left, str) and isinstance(right, str) and operator in {"co", "sw", "ew"}:
        return {"co": right in left, "sw": left.startswith(right), "ew": left.endswith(right)}[operator]
    return _ordered(left, right, operator)


def _ordered(left: Any, right: Any, operator: str) -> bool:  # noqa: ANN401 - two of a kind
    ordered = {"gt": left > right, "ge": left >= right, "lt": left < right, "le": left <= right}
    return bool(ordered[operator])


def _comparable(attribute: Attribute, value: object, wanted: object) -> tuple[object, object]:
    if isinstance(wanted, datetime):
        return moment(str(value)), wanted
    if isinstance(value, str) and isinstance(wanted, str) and not attribute.case_exact:
        return value.casefold(), wanted.casefold()
    return value, wanted


def _objects(resource: Mapping[str, Any], reference: Reference) -> list[Mapping[str, Any]]:
    value = holder_of(resource, reference).get(reference.attribute.name)
    if isinstance(value, list):
        return [one for one in value if isinstance(one, dict)]
    return [value] if isinstance(value, dict) else []


def _values(resource: Mapping[str, Any], reference: Reference, *, whole: bool = True) -> Iterator[Any]:
    """Yield the values of an attribute; unless `whole`, of a complex one what is compared."""
    value = holder_of(resource, reference).get(reference.attribute.name)
    part = reference.part or (None if whole else reference.attribute.part("value"))
    for one in value if isinstance(value, list) else [value]:
        if part is None:
            yield one
        elif isinstance(one, Mapping):
            yield one.get(part.name)
