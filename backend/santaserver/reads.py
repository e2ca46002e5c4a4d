"""Reads of the REST interface: one statement without a transaction, JSON straight from its rows.

Pydantic costs several times as much as the statement, so lists are built without it. An item is made of the
schema that the OpenAPI document shows; tests compare what is written, to the byte.
"""

from collections.abc import Callable, Sequence
from http import HTTPStatus
from typing import Any, Protocol, TypeVar

import msgspec
from fastapi import Response
from msgspec import Struct
from pydantic import BaseModel

from santaserver.paging import encode_cursor

Row = Any
"""A record of the driver: by position and by name."""

_encode = msgspec.json.Encoder().encode


class ItemPage(Struct):
    """A part of a list, as `paging.Page` describes it."""

    items: list[Struct]
    next_cursor: str | None


def item_of(schema: type[BaseModel]) -> Callable[..., Struct]:
    """Return what makes an item with the fields of a schema: by name, or in the schema's order."""
    return msgspec.defstruct(schema.__name__, [(name, Any) for name in schema.model_fields])


def json_response(content: object, status: int = HTTPStatus.OK, etag: str | None = None) -> Response:
    """Return content as JSON."""
    headers = None if etag is None else {"ETag": etag}
    return Response(_encode(content), status, headers, media_type="application/json")


class Tagged(Protocol):
    """A representation that names its version."""

    @property
    def etag(self) -> str:
        """The version."""
        ...


TaggedT = TypeVar("TaggedT", bound=Tagged)


def tagged(response: Response, content: TaggedT) -> TaggedT:
    """Put the version of a representation into the header too."""
    response.headers["ETag"] = content.etag
    return content


def page_of(
    rows: Sequence[Row],
    limit: int,
    item: Callable[[Row], Struct],
    key: Callable[[Row], Sequence[str | int]],
) -> ItemPage:
    """Make a page of at most `limit` rows; one more row means that there is a next page."""
    shown = rows[:limit]
    following = encode_cursor(key(shown[-1])) if len(rows) > limit else None
    return ItemPage([item(row) for row in shown], following)
