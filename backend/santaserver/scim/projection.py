"""Which attributes of a resource a response has (RFC 7644, 3.9). Pure."""

from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Struct

from santaserver.scim.attributes import Reference, ResourceKind, Schema, resolve
from santaserver.scim.errors import INVALID_VALUE, ScimError
from santaserver.scim.values import Resource

ALWAYS = ("schemas", "id")
MAX_NAMES = 200


class Projection(Struct, frozen=True):
    """What a request wants to see."""

    only: frozenset[tuple[str, str, str]] | None = None
    """(extension, attribute, part); None: everything."""
    never: frozenset[tuple[str, str, str]] = frozenset()

    def shows(self, attribute: str) -> bool:
        """Tell whether any of an attribute of the resource itself is wanted."""
        if ("", attribute, "") in self.never:
            return False
        return self.only is None or any(key[:2] == ("", attribute) for key in self.only)


EVERYTHING = Projection()


def projection_of(kind: ResourceKind, attributes: object, excluded: object) -> Projection:
    """Return what the two parameters mean; names that there are not are left out."""
    wanted = _keys(kind, _names(attributes))
    return Projection(only=None if not _names(attributes) else wanted, never=_keys(kind, _names(excluded)))


def _names(told: object) -> list[str]:
    """Return names from a parameter, where commas are between them, or from a list in a body."""
    items = told.split(",") if isinstance(told, str) else told if isinstance(told, list) else []
    names = [one.strip() for one in items if isinstance(one, str) and one.strip()]
    if len(names) > MAX_NAMES:
        raise ScimError(f"More than {MAX_NAMES} attributes", INVALID_VALUE)
    return names


def _keys(kind: ResourceKind, names: Sequence[str]) -> frozenset[tuple[str, str, str]]:
    found: set[tuple[str, str, str]] = set()
    for name in names:
        named = resolve(kind, name)
        if named.extension is not None:
            found |= {(named.extension.urn, one.name, "") for one in named.extension.attributes}
        elif named.reference is not None:
            found.add(_key(named.reference))
    return frozenset(found)


def _key(reference: Reference) -> tuple[str, str, str]:
    return (reference.extension, reference.attribute.name, reference.part.name if reference.part else "")


def projected(kind: ResourceKind, resource: Mapping[str, Any], wanted: Projection) -> Resource:
    """Return a resource with what is wanted of it."""
    if wanted == EVERYTHING:
        return dict(resource)
    found = _part(resource, "", wanted)
    for schema in kind.extensions:
        inner = _part(resource.get(schema.urn) or {}, schema.urn, wanted)
        if inner:
            found[schema.urn] = inner
    return found


def _part(holder: Mapping[str, Any], extension: str, wanted: Projection) -> Resource:
    found: Resource = {}
    for name, value in holder.items():
        if name.startswith("urn:"):
            continue
        if not extension and name in ALWAYS:
            found[name] = value
            continue
        shown = _value(value, extension, name, wanted)
        if shown is not None and shown not in ({}, []):
            found[name] = shown
    return found


def _value(value: Any, extension: str, name: str, wanted: Projection) -> Any:  # noqa: ANN401 - JSON
    if (extension, name, "") in wanted.never:
        return None
    hidden = {key[2] for key in wanted.never if key[:2] == (extension, name)}
    if wanted.only is None or (extension, name, "") in wanted.only:
        return _parts(value, None, hidden) if hidden else value
    parts = {key[2] for key in wanted.only if key[:2] == (extension, name)}
    return _parts(value, parts, hidden) if parts else None


def _parts(value: Any, only: set[str] | None, never: set[str]) -> Any:  # noqa: ANN401 - JSON
    if isinstance(value, list):
        return [one for one in (_parts(item, only, never) for item in value) if one]
    if not isinstance(value, dict):
        return value
    return {
        name: item for name, item in value.items() if (only is None or name in only) and name not in never
    }


def described(schema: Schema) -> Resource:
    """Return a schema as `/Schemas` shows it (RFC 7643, 7)."""
    return {
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:Schema"],
        "id": schema.urn,
        "name": schema.name,
        "description": schema.description,
        "attributes": [_described(one) for one in schema.attributes],
    }


def _described(attribute: Any) -> Resource:  # noqa: ANN401 - an Attribute
    shown: Resource = {
        "name": attribute.name,
        "type": attribute.kind,
        "multiValued": attribute.multi,
        "description": attribute.description,
        "required": attribute.required,
        "mutability": attribute.mutability,
        "returned": attribute.returned,
    }
    if attribute.kind in {"string", "reference"}:
        shown |= {"caseExact": attribute.case_exact, "uniqueness": attribute.uniqueness}
    if attribute.canonical:
        shown["canonicalValues"] = list(attribute.canonical)
    if attribute.references:
        shown["referenceTypes"] = list(attribute.references)
    if attribute.parts:
        shown["subAttributes"] = [_described(part) for part in attribute.parts]
    return shown
