"""Searches: which part of what is found is wanted, and how a response lists it (RFC 7644, 3.4.2). Pure."""

from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Struct

from santaserver.scim.attributes import ResourceKind
from santaserver.scim.errors import INVALID_VALUE, ScimError, quoted
from santaserver.scim.filters import Filter, parse
from santaserver.scim.projection import Projection, projection_of
from santaserver.scim.values import Resource, check_schemas

LIST_URN = "urn:ietf:params:scim:api:messages:2.0:ListResponse"
SEARCH_URN = "urn:ietf:params:scim:api:messages:2.0:SearchRequest"
DEFAULT_COUNT = 100
MAX_COUNT = 200
MAX_DIGITS = 18


class Search(Struct, frozen=True):
    """What a request looks for."""

    found: Filter | None
    start: int
    """The first one wanted; counted from 1."""
    count: int
    shown: Projection


def search_of(kind: ResourceKind, told: Mapping[str, Any]) -> Search:
    """Return the search that parameters, or the body of `.search`, describe. Sorting is not supported."""
    text = told.get("filter")
    if text is not None and not isinstance(text, str):
        raise ScimError("The filter has to be a text", INVALID_VALUE)
    return Search(
        found=parse(kind, text) if text and text.strip() else None,
        start=max(_number(told, "startIndex", 1), 1),
        count=min(max(_number(told, "count", DEFAULT_COUNT), 0), MAX_COUNT),
        shown=projection_of(kind, told.get("attributes"), told.get("excludedAttributes")),
    )


def search_in(kind: ResourceKind, body: object) -> Search:
    """Return the search that the body of `.search` describes."""
    if not isinstance(body, dict):
        raise ScimError("The body has to be an object", INVALID_VALUE)
    check_schemas(body, SEARCH_URN)
    return search_of(kind, body)


def _number(told: Mapping[str, Any], name: str, default: int) -> int:
    value = told.get(name)
    if value is None or value == "":
        return default
    text = str(value).strip()
    digits = text.removeprefix("-").removeprefix("+")
    if isinstance(value, bool) or not digits.isdecimal() or not digits.isascii():
        raise ScimError(f"{name} has to be a whole number, and {quoted(value)} is none", INVALID_VALUE)
    size = int(digits[:MAX_DIGITS]) if len(digits) <= MAX_DIGITS else 10**MAX_DIGITS
    return -size if text.startswith("-") else size


def listed(resources: Sequence[Resource], total: int, start: int) -> Resource:
    """Return the response to a search."""
    return {
        "schemas": [LIST_URN],
        "totalResults": total,
        "startIndex": start,
        "itemsPerPage": len(resources),
        "Resources": list(resources),
    }
