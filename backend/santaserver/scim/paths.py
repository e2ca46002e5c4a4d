"""Reads the `path` of a PATCH operation (RFC 7644, 3.5.2), in all the forms that clients send. Pure.

Examples: `userName`, `name.givenName`, `emails[type eq "work"].value`, `members[value eq "…"]`,
`urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department`.
"""

from msgspec import Struct

from santaserver.scim.attributes import Attribute, Reference, ResourceKind, Schema, resolve
from santaserver.scim.errors import INVALID_PATH, ScimError, quoted
from santaserver.scim.filters import MAX_LENGTH, Filter, parse_inner


class Path(Struct, frozen=True):
    """What an operation changes: an attribute, a part of it, or those of its values that fit a filter."""

    reference: Reference
    values: Filter | None = None

    @property
    def attribute(self) -> Attribute:
        """The attribute."""
        return self.reference.attribute


Target = Path | Schema | None
"""An attribute, a whole extension, or what is ignored."""


def parse_path(kind: ResourceKind, text: str) -> Target:
    """Return what a path leads to; raise `invalidPath`."""
    if len(text) > MAX_LENGTH:
        raise ScimError(f"The path has more than {MAX_LENGTH} characters", INVALID_PATH)
    name, bracket, rest = text.strip().partition("[")
    named = resolve(kind, name.strip())
    if named.ignored:
        return None
    if named.extension is not None and not bracket:
        return named.extension
    if named.reference is None:
        raise ScimError(f"There is no attribute {quoted(text)}", INVALID_PATH)
    if not bracket:
        return Path(named.reference)
    inner, closing, end = rest.rpartition("]")
    reference = named.reference
    if (
        not closing
        or reference.part is not None
        or not (reference.attribute.multi and reference.attribute.parts)
    ):
        raise ScimError(f"The path {quoted(text)} cannot be read", INVALID_PATH)
    return Path(_part(reference, end.strip(), text), parse_inner(reference.attribute, inner))


def _part(reference: Reference, end: str, text: str) -> Reference:
    if not end:
        return reference
    part = reference.attribute.part(end[1:]) if end.startswith(".") else None
    if part is None:
        raise ScimError(f"The path {quoted(text)} cannot be read", INVALID_PATH)
    return Reference(reference.extension, reference.attribute, part)
