"""Carries out the operations of a PATCH on a resource (RFC 7644, 3.5.2). Pure.

The group's members are not changed here (see members.py): there can be thousands of them.
"""

from collections.abc import Callable
from typing import Any

from santaserver.scim.attributes import Attribute, holder_of
from santaserver.scim.errors import INVALID_VALUE, NO_TARGET, ScimError
from santaserver.scim.filters import All, Compare, Filter
from santaserver.scim.matching import Budget, matches
from santaserver.scim.operations import ABSENT, Operation
from santaserver.scim.values import (
    MAX_VALUES,
    Resource,
    is_nothing,
    many_of,
    one_of,
    put,
    simple_of,
    value_of,
    without,
    wrong_value,
)

Element = dict[str, Any]


def apply(resource: Resource, operation: Operation, budget: Budget) -> None:
    """Carry out one operation on a resource, which is changed."""
    path = operation.path
    if operation.verb == "remove":
        _remove(resource, operation, budget)
    elif path.values is not None:
        _set_some(resource, operation, path.values, budget)
    elif path.reference.part is not None:
        _set_part(resource, operation, path.reference.part)
    elif path.attribute.multi:
        _set_values(resource, operation)
    else:
        _set_one(resource, operation)


def _set_one(resource: Resource, operation: Operation) -> None:
    reference = operation.path.reference
    value = value_of(reference.attribute, operation.value)
    if reference.attribute.parts and isinstance(value, dict):
        known = holder_of(resource, reference).get(reference.attribute.name) or {}
        value = {**known, **value}
    put(resource, reference, value)


def _set_values(resource: Resource, operation: Operation) -> None:
    reference = operation.path.reference
    new = [] if is_nothing(operation.value) else many_of(reference.attribute, operation.value)
    known = _elements(resource, operation) if operation.verb == "add" else []
    _store(resource, operation, [*known, *(one for one in new if one not in known)], new)


def _set_part(resource: Resource, operation: Operation, part: Attribute) -> None:
    """Set a part of the only value, or of all values."""
    if not operation.path.attribute.multi:
        reference = operation.path.reference
        known = dict(holder_of(resource, reference).get(reference.attribute.name) or {})
        put(resource, reference, _with(known, part, operation.value) or None)
        return
    elements = [_with(one, part, operation.value) for one in _elements(resource, operation)]
    if not elements:
        made = one_of(operation.path.attribute, {part.name: operation.value})
        elements = [] if made is None else [made]
    _store(resource, operation, elements, [])


def _set_some(resource: Resource, operation: Operation, values: Filter, budget: Budget) -> None:
    elements, part = _elements(resource, operation), operation.path.reference.part
    changed: list[Element] = []
    kept: list[Element] = []
    for one in elements:
        fits = matches(values, one, budget)
        new = _changed(operation, one, part) if fits else one
        kept.append(new)
        if fits:
            changed.append(new)
    if not changed:
        made = _made(operation, values)
        new = _changed(operation, made, part)
        kept.append(new)
        changed.append(new)
    _store(resource, operation, [one for one in kept if one], changed)


def _changed(operation: Operation, one: Element, part: Attribute | None) -> Element:
    if part is not None:
        return _with(one, part, operation.value)
    value = one_of(operation.path.attribute, operation.value)
    if value is None:
        return {}
    return value if operation.verb == "replace" else {**one, **value}


def _made(operation: Operation, values: Filter) -> Element:
    """Return a value that fits a filter which none fits: Entra adds a first work number like this."""
    made: Element = {}
    for term in values.terms if isinstance(values, All) else (values,):
        if not isinstance(term, Compare) or term.operator != "eq" or term.value is None:
            break
        part = term.reference.attribute
        made[part.name] = simple_of(part, term.value)
    else:
        if operation.verb == "add":
            return made
    raise ScimError(f"No value of {operation.path.attribute.name} fits the filter of the path", NO_TARGET)


def _with(one: Element, part: Attribute, value: object) -> Element:
    rest = {name: item for name, item in one.items() if name != part.name}
    return rest if is_nothing(value) else {**rest, part.name: simple_of(part, value)}


def _remove(resource: Resource, operation: Operation, budget: Budget) -> None:
    path, part = operation.path, operation.path.reference.part
    if path.attribute.multi and (path.values is not None or part is not None or _names_values(operation)):
        fits = _fitting(operation, path.values, budget)
        rest = [_left(one, part) if fits(one) else one for one in _elements(resource, operation)]
        _store(resource, operation, [one for one in rest if one], [])
    elif part is not None:
        known = holder_of(resource, path.reference).get(path.attribute.name) or {}
        put(resource, path.reference, _with(known, part, None) or None)
    else:
        without(resource, path.reference)


def _names_values(operation: Operation) -> bool:
    """Tell whether a remove says which values it means, as Entra does; an empty list means none."""
    return operation.value is not ABSENT and operation.value is not None


def _fitting(operation: Operation, values: Filter | None, budget: Budget) -> Callable[[Element], bool]:
    if values is not None:
        return lambda one: matches(values, one, budget)
    if operation.path.reference.part is not None or not _names_values(operation):
        return lambda _: True
    named = [] if is_nothing(operation.value) else many_of(operation.path.attribute, operation.value)
    return lambda one: any(all(one.get(name) == item for name, item in told.items()) for told in named)


def _left(one: Element, part: Attribute | None) -> Element:
    return {} if part is None else _with(one, part, None)


def _elements(resource: Resource, operation: Operation) -> list[Element]:
    reference = operation.path.reference
    return list(holder_of(resource, reference).get(reference.attribute.name) or [])


def _store(resource: Resource, operation: Operation, elements: list[Element], latest: list[Element]) -> None:
    """Give an attribute these values; the latest primary one is the only primary one."""
    attribute = operation.path.attribute
    if len(elements) > MAX_VALUES:
        raise wrong_value(attribute, f"more than {MAX_VALUES} values")
    first = [one for one in latest if isinstance(one, dict) and one.get("primary") is True]
    if len(first) > 1:
        raise ScimError(f"{attribute.name}: only one of the values can be primary", INVALID_VALUE)
    if first:
        elements = [
            {**one, "primary": False} if one.get("primary") is True and one != first[0] else one
            for one in elements
        ]
    unique: list[Element] = []
    for one in elements:
        if one not in unique:
            unique.append(one)
    put(resource, operation.path.reference, unique or None)
