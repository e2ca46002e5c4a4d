"""Reads the body of a PATCH: a list of operations, each about one attribute. Pure.

Clients send `Add` and `Replace` as well as `add` and `replace`, and leave the path out: the value is then an
object whose names are paths themselves, such as `name.givenName` or `emails[type eq "work"].value`.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Literal

from msgspec import Struct

from santaserver.scim.attributes import ResourceKind, Schema
from santaserver.scim.errors import INVALID_PATH, INVALID_SYNTAX, NO_TARGET, ScimError, quoted
from santaserver.scim.paths import Path, parse_path
from santaserver.scim.values import check_schemas, is_nothing, read_only

URN = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
MAX_OPERATIONS = 20_000

Verb = Literal["add", "replace", "remove"]
VERBS: dict[str, Verb] = {"add": "add", "replace": "replace", "remove": "remove"}
ABSENT: Any = object()
"""The value of an operation that has none."""


class Operation(Struct, frozen=True):
    """One change of one attribute."""

    verb: Verb
    path: Path
    value: Any = ABSENT


def operations_of(kind: ResourceKind, body: object) -> list[Operation]:
    """Return what a PATCH asks for, in its order."""
    if not isinstance(body, dict):
        raise ScimError("The body has to be an object", INVALID_SYNTAX)
    check_schemas(body, URN)
    told = _member(body, "operations", None)
    if not isinstance(told, list) or not told:
        raise ScimError("The body has to have a list of `Operations`", INVALID_SYNTAX)
    if len(told) > MAX_OPERATIONS:
        raise ScimError(f"More than {MAX_OPERATIONS} operations: send them in parts", INVALID_SYNTAX)
    return [operation for one in told for operation in _operations(kind, one)]


def _member(body: Mapping[str, Any], wanted: str, default: Any) -> Any:  # noqa: ANN401 - JSON
    return next((value for name, value in body.items() if name.lower() == wanted), default)


def _operations(kind: ResourceKind, one: object) -> Iterator[Operation]:
    if not isinstance(one, dict):
        raise ScimError("An operation has to be an object", INVALID_SYNTAX)
    word = _member(one, "op", None)
    verb = VERBS.get(word.strip().lower()) if isinstance(word, str) else None
    if verb is None:
        raise ScimError(f"{quoted(word)} is none of add, replace and remove", INVALID_SYNTAX)
    path, value = _member(one, "path", None), _member(one, "value", ABSENT)
    if verb != "remove" and value is ABSENT:
        raise ScimError(f"The operation {verb} needs a value", INVALID_SYNTAX)
    if path is None or path == "":
        yield from _without_path(kind, verb, value)
    elif isinstance(path, str):
        yield from _at(kind, verb, path, value)
    else:
        raise ScimError("A path has to be a text", INVALID_PATH)


def _without_path(kind: ResourceKind, verb: Verb, value: object) -> Iterator[Operation]:
    if verb == "remove":
        raise ScimError("The operation remove needs a path", NO_TARGET)
    if not isinstance(value, dict):
        raise ScimError(f"Without a path, the value of {verb} has to be an object", INVALID_SYNTAX)
    for name, item in value.items():
        target = _quiet(kind, name)
        if isinstance(target, Schema):
            yield from _of_extension(kind, verb, target, item)
        elif target is not None and target.attribute.mutability != "readOnly":
            yield Operation(verb, target, item)


def _quiet(kind: ResourceKind, name: str) -> Path | Schema | None:
    """Return what a name leads to; as in a whole resource, what is unknown is left out."""
    try:
        return parse_path(kind, name)
    except ScimError:
        if "[" in name:
            raise
        return None


def _at(kind: ResourceKind, verb: Verb, text: str, value: Any) -> Iterator[Operation]:  # noqa: ANN401 - JSON
    target = parse_path(kind, text)
    if isinstance(target, Schema):
        yield from _of_extension(kind, verb, target, value)
    elif target is not None:
        part = target.reference.part
        if target.attribute.mutability == "readOnly" or (part is not None and part.mutability == "readOnly"):
            raise read_only(target.reference)
        yield Operation(verb, target, value)


def _of_extension(
    kind: ResourceKind,
    verb: Verb,
    schema: Schema,
    value: Any,  # noqa: ANN401 - JSON
) -> Iterator[Operation]:
    if verb == "remove" or is_nothing(value):
        for attribute in schema.attributes:
            yield from _at(kind, "remove", f"{schema.urn}:{attribute.name}", ABSENT)
        return
    if not isinstance(value, dict):
        raise ScimError(f"{schema.urn} has to be an object", INVALID_SYNTAX)
    for name, item in value.items():
        target = _quiet(kind, f"{schema.urn}:{name}")
        if isinstance(target, Path):
            yield Operation(verb, target, item)
