"""What a resource is made of: attributes, schemas, and how a name in a request leads to one of them. Pure."""

from collections.abc import Mapping
from typing import Any, Literal

from msgspec import Struct, field

Kind = Literal["string", "boolean", "complex", "reference", "dateTime"]
Mutability = Literal["readWrite", "readOnly", "immutable"]


class Attribute(Struct, frozen=True):
    """An attribute or a sub-attribute (RFC 7643, 7)."""

    name: str
    description: str
    kind: Kind = "string"
    multi: bool = False
    required: bool = False
    case_exact: bool = False
    mutability: Mutability = "readWrite"
    returned: Literal["default", "always"] = "default"
    uniqueness: Literal["none", "server"] = "none"
    canonical: tuple[str, ...] = ()
    references: tuple[str, ...] = ()
    parts: tuple["Attribute", ...] = ()

    def part(self, name: str) -> "Attribute | None":
        """Return a sub-attribute; case does not matter."""
        wanted = name.lower()
        return next((part for part in self.parts if part.name.lower() == wanted), None)


class Schema(Struct, frozen=True):
    """A named set of attributes."""

    urn: str
    name: str
    description: str
    attributes: tuple[Attribute, ...]

    def find(self, name: str) -> Attribute | None:
        """Return an attribute; case does not matter."""
        wanted = name.lower()
        return next((one for one in self.attributes if one.name.lower() == wanted), None)


class ResourceKind(Struct, frozen=True):
    """Users or groups."""

    name: str
    endpoint: str
    schema: Schema
    extensions: tuple[Schema, ...] = ()
    ignored: frozenset[str] = frozenset()
    """Standard attributes, in lower case, that are accepted and not stored."""

    @property
    def schemas(self) -> tuple[Schema, ...]:
        """All schemas, the one of the resource first."""
        return (self.schema, *self.extensions)


class Reference(Struct, frozen=True):
    """An attribute of a resource, or a sub-attribute, as a request names it."""

    extension: str
    """The URN of the extension that it belongs to; empty for the resource's own."""
    attribute: Attribute
    part: Attribute | None = None

    @property
    def compared(self) -> Attribute:
        """What comparisons are about: of a complex attribute its `value` (RFC 7643, 2.4)."""
        return self.part or self.attribute.part("value") or self.attribute


COMMON = (
    Attribute(
        "id",
        "The identifier of the resource, chosen by the server",
        case_exact=True,
        mutability="readOnly",
        returned="always",
        uniqueness="server",
    ),
    Attribute("externalId", "The identifier that the client has for the resource", case_exact=True),
    Attribute("schemas", "The schemas of the resource", multi=True, case_exact=True, mutability="readOnly"),
    Attribute(
        "meta",
        "What the server knows about the resource",
        kind="complex",
        mutability="readOnly",
        parts=(
            Attribute("resourceType", "User or Group", case_exact=True, mutability="readOnly"),
            Attribute("created", "When it was created", kind="dateTime", mutability="readOnly"),
            Attribute("lastModified", "When it was last changed", kind="dateTime", mutability="readOnly"),
            Attribute("location", "Its address", kind="reference", case_exact=True, mutability="readOnly"),
            Attribute("version", "Its entity tag", case_exact=True, mutability="readOnly"),
        ),
    ),
)
"""What every resource has."""


class Named(Struct, frozen=True):
    """What a name in a request leads to."""

    reference: Reference | None = None
    extension: Schema | None = None
    """The whole extension, when the name is its URN."""
    ignored: bool = field(default=False)
    """Whether it is something that this server accepts and does not store."""


UNKNOWN = Named()


def resolve(kind: ResourceKind, name: str) -> Named:
    """Return what a name means: `userName`, `name.givenName`, with or without the schema's URN before it."""
    lowered = name.lower()
    for schema in kind.schemas:
        urn = schema.urn.lower()
        if lowered == urn:
            return Named(extension=schema) if schema in kind.extensions else UNKNOWN
        if lowered.startswith(urn + ":"):
            return _within(kind, schema, name[len(urn) + 1 :])
    if lowered.startswith("urn:"):
        return Named(ignored=True)
    return _within(kind, kind.schema, name)


def _within(kind: ResourceKind, schema: Schema, name: str) -> Named:
    first, dot, rest = name.partition(".")
    own = schema is kind.schema
    attribute = schema.find(first) or (_common(first) if own else None)
    if attribute is None:
        return Named(ignored=own and first.lower() in kind.ignored)
    extension = "" if own else schema.urn
    if not dot:
        return Named(Reference(extension, attribute))
    part = attribute.part(rest)
    return UNKNOWN if part is None else Named(Reference(extension, attribute, part))


def _common(name: str) -> Attribute | None:
    wanted = name.lower()
    return next((one for one in COMMON if one.name.lower() == wanted), None)


def holder_of(resource: Mapping[str, Any], reference: Reference) -> Mapping[str, Any]:
    """Return the object that has an attribute: the resource, or one of its extensions."""
    found: Mapping[str, Any] = resource.get(reference.extension, {}) if reference.extension else resource
    return found
