"""Reads values and whole resources as clients really send them. Pure.

Booleans come as texts, a manager as a bare id, names in any case, and with attributes that nobody has asked
for. What is wrong is refused; what is unknown is left out.
"""

import re
import unicodedata
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from santaserver.inputs import is_storable
from santaserver.scim.attributes import Attribute, Reference, ResourceKind, holder_of, resolve
from santaserver.scim.errors import INVALID_SYNTAX, INVALID_VALUE, MUTABILITY, ScimError, quoted

MAX_TEXT = 2000
"""Characters of a value."""
MAX_VALUES = 100
"""Values of one attribute of a user."""
SCHEMAS = "schemas"
BOOLEANS = {"true": True, "false": False}
_BIDIRECTIONAL = re.compile("[\u202a-\u202e\u2066-\u2069]")

Resource = dict[str, Any]


def wrong_value(attribute: Attribute, why: str) -> ScimError:
    """Return the error of a value that an attribute cannot have."""
    return ScimError(f"{attribute.name}: {why}", INVALID_VALUE)


def is_nothing(value: object) -> bool:
    """Tell whether a value means that there is none (RFC 7643, 2.5); clients also send empty texts."""
    return value is None or value in ("", [], {})


def text_of(attribute: Attribute, value: object) -> str:
    """Return a text that can be stored and shown."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise wrong_value(attribute, "this has to be a text")
    text = str(value)
    if len(text) > MAX_TEXT:
        raise wrong_value(attribute, f"more than {MAX_TEXT} characters")
    controls = any(unicodedata.category(one) == "Cc" and one not in "\r\n\t" for one in text)
    if controls or not is_storable(text) or _BIDIRECTIONAL.search(text):
        raise wrong_value(attribute, "it has characters that cannot be stored or shown")
    return text


def boolean_of(attribute: Attribute, value: object) -> bool:
    """Return a boolean; Entra sends `"True"` and `"False"`."""
    known = BOOLEANS.get(value.strip().lower()) if isinstance(value, str) else value
    if not isinstance(known, bool):
        raise wrong_value(attribute, "this has to be true or false")
    return known


def simple_of(attribute: Attribute, value: object) -> str | bool:
    """Return a value of an attribute without parts."""
    if attribute.kind == "boolean":
        return boolean_of(attribute, value)
    text = text_of(attribute, value)
    if attribute.kind == "dateTime":
        try:
            datetime.fromisoformat(text)
        except ValueError:
            raise wrong_value(attribute, "this has to be a time such as 2026-01-31T08:00:00Z") from None
    return text


def one_of(attribute: Attribute, value: object) -> Any:  # noqa: ANN401 - JSON
    """Return one value of an attribute, whether it can have several or not; None for an empty one.

    A single value may come in a list, a text in an object, and an object as its `value` alone.
    """
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    if not attribute.parts and isinstance(value, Mapping) and "value" in value:
        value = value["value"]
    if is_nothing(value):
        return None
    if not attribute.parts:
        return simple_of(attribute, value)
    if not isinstance(value, Mapping):
        if attribute.part("value") is None or isinstance(value, list):
            raise wrong_value(attribute, "this has to be an object")
        value = {"value": value}
    found: Resource = {}
    for name, item in value.items():
        part = attribute.part(str(name))
        if part is None or part.mutability == "readOnly" or is_nothing(item):
            continue
        found[part.name] = simple_of(part, item)
    return found or None


def many_of(attribute: Attribute, value: object) -> list[Any]:
    """Return the values of an attribute that can have several; a single one may come without its list."""
    items = value if isinstance(value, list) else [value]
    found: list[Any] = []
    for item in items:
        read = one_of(attribute, item)
        if read is not None and read not in found:
            found.append(read)
        if len(found) > MAX_VALUES:
            raise wrong_value(attribute, f"more than {MAX_VALUES} values")
    if sum(isinstance(one, dict) and one.get("primary") is True for one in found) > 1:
        raise wrong_value(attribute, "only one of the values can be primary")
    return found


def value_of(attribute: Attribute, value: object) -> Any:  # noqa: ANN401 - JSON
    """Return the value of an attribute; None when it means that there is none."""
    if is_nothing(value):
        return None
    return many_of(attribute, value) or None if attribute.multi else one_of(attribute, value)


def check_schemas(body: Mapping[str, Any], urn: str) -> None:
    """Raise an error unless a body says that it is what this is about; further schemas are no fault."""
    told = next((value for name, value in body.items() if name.lower() == SCHEMAS), None)
    if not isinstance(told, list) or not any(
        isinstance(one, str) and one.lower() == urn.lower() for one in told
    ):
        raise ScimError(f"The body has to have {urn} in its `schemas`", INVALID_SYNTAX)


def check_required(kind: ResourceKind, resource: Mapping[str, Any], error: str = INVALID_VALUE) -> None:
    """Raise an error when an attribute is missing that each resource has."""
    for attribute in kind.schema.attributes:
        if attribute.required and not str(resource.get(attribute.name, "")).strip():
            raise ScimError(f"{attribute.name} is required", error)


def without(resource: Resource, reference: Reference) -> None:
    """Remove an attribute, and the extension when it was the last one there."""
    holder = holder_of(resource, reference)
    if isinstance(holder, dict):
        holder.pop(reference.attribute.name, None)
    if reference.extension and not resource.get(reference.extension):
        resource.pop(reference.extension, None)


def put(resource: Resource, reference: Reference, value: Any) -> None:  # noqa: ANN401 - JSON
    """Give an attribute a value; None removes it."""
    if value is None:
        without(resource, reference)
        return
    holder = resource.setdefault(reference.extension, {}) if reference.extension else resource
    holder[reference.attribute.name] = value


def resource_of(kind: ResourceKind, body: object, apart: Sequence[str] = ()) -> Resource:
    """Return a resource with the attributes that a client may set; those named in `apart` are left out."""
    if not isinstance(body, dict):
        raise ScimError("The body has to be an object", INVALID_SYNTAX)
    check_schemas(body, kind.schema.urn)
    found: Resource = {}
    for name, value in body.items():
        named = resolve(kind, name)
        if named.extension is not None:
            _extend(kind, found, named.extension.urn, value)
        elif named.reference is not None and named.reference.part is None:
            _take(found, named.reference, value, apart)
    check_required(kind, found)
    return found


def _extend(kind: ResourceKind, found: Resource, urn: str, value: object) -> None:
    if is_nothing(value):
        return
    if not isinstance(value, dict):
        raise ScimError(f"{urn} has to be an object", INVALID_VALUE)
    for name, item in value.items():
        inner = resolve(kind, f"{urn}:{name}").reference
        if inner is not None and inner.part is None:
            _take(found, inner, item, ())


def _take(found: Resource, reference: Reference, value: object, apart: Sequence[str]) -> None:
    attribute = reference.attribute
    if attribute.mutability == "readOnly" or attribute.name in apart:
        return
    put(found, reference, value_of(attribute, value))


def read_only(reference: Reference) -> ScimError:
    """Return the error of a change of what only the server sets."""
    name = reference.attribute.name + (f".{reference.part.name}" if reference.part else "")
    return ScimError(f"{quoted(name)} cannot be changed", MUTABILITY)
