"""The changes of a group's members that a PATCH asks for; a group can have thousands of them. Pure."""

from collections.abc import Iterable, Iterator
from typing import Any

from santaserver.scim.attributes import Attribute
from santaserver.scim.errors import INVALID_VALUE, NO_TARGET, ScimError, quoted
from santaserver.scim.filters import Compare, Filter
from santaserver.scim.matching import Budget, matches
from santaserver.scim.operations import ABSENT, Operation
from santaserver.scim.schemas import MEMBERS
from santaserver.scim.values import is_nothing

VALUE = "value"
USER_TYPE = "user"


def member_ids(value: object) -> Iterator[str]:
    """Yield the ids of members, in a list or not, as objects or not."""
    for one in value if isinstance(value, list) else [value]:
        if is_nothing(one):
            continue
        if isinstance(one, dict):
            _check_type(one)
            told = next((item for name, item in one.items() if name.lower() == VALUE), None)
        else:
            told = one
        if not isinstance(told, str) or not told:
            raise ScimError("A member needs the id of a user as its `value`", INVALID_VALUE)
        yield told.lower()


def _check_type(member: dict[str, Any]) -> None:
    kind = next((item for name, item in member.items() if name.lower() == "type"), None)
    if kind is not None and str(kind).lower() != USER_TYPE:
        raise ScimError(f"A member cannot be a {quoted(kind)}: groups have users as members", INVALID_VALUE)


class Members:
    """The members of a group while its operations are carried out."""

    def __init__(self, ids: Iterable[str], budget: Budget) -> None:
        """Begin with those that the group has."""
        self._ids = dict.fromkeys(ids)
        self._budget = budget

    @property
    def ids(self) -> list[str]:
        """The members, the first ones first."""
        return list(self._ids)

    def apply(self, operation: Operation) -> None:
        """Carry out one operation about members."""
        path = operation.path
        if path.values is not None:
            self._by_filter(operation, path.values)
        elif path.reference.part is not None:
            raise ScimError("Members are added and removed as a whole", INVALID_VALUE)
        elif operation.verb == "add":
            self._ids.update(dict.fromkeys(member_ids(operation.value)))
        elif operation.verb == "replace":
            self._ids = dict.fromkeys(member_ids(operation.value))
        elif operation.value is ABSENT or operation.value is None:
            self._ids.clear()
        else:
            for one in member_ids(operation.value):
                self._ids.pop(one, None)

    def _by_filter(self, operation: Operation, values: Filter) -> None:
        if operation.verb != "remove":
            if operation.verb == "add" and self._fitting(values):
                return
            raise ScimError("Members are added by `add` with the path `members`", NO_TARGET)
        for one in self._fitting(values):
            self._ids.pop(one, None)

    def _fitting(self, values: Filter) -> list[str]:
        if isinstance(values, Compare) and _is_value(values.reference.attribute) and values.operator == "eq":
            one = str(values.value).lower()
            return [one] if one in self._ids else []
        return [one for one in self._ids if matches(values, {VALUE: one, "type": "User"}, self._budget)]


def _is_value(attribute: Attribute) -> bool:
    return attribute is MEMBERS.part(VALUE)
