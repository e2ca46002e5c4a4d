"""Reads of the REST interface: one statement without a transaction, JSON straight from its rows.

Entities and pydantic cost several times what the statement does, so lists do without. An item is made of
the schema that the OpenAPI document shows; tests compare what is written, to the byte.
"""

from collections.abc import Callable, Sequence
from http import HTTPStatus
from typing import Any, TypeVar

import msgspec
from fastapi import Response
from msgspec import Struct
from pydantic import BaseModel
from sqlalchemy import BindParameter, Select, bindparam
from sqlalchemy.dialects.postgresql.asyncpg import dialect
from sqlalchemy.types import TypeEngine

from santaserver.db import Connection
from santaserver.paging import encode_cursor

Row = Any
"""A record of the driver: by position and by name."""
ValueT = TypeVar("ValueT")

_encode = msgspec.json.Encoder().encode
_DIALECT = dialect()  # type: ignore[no-untyped-call] # SQLAlchemy's own has no types


def parameter(name: str, kind: TypeEngine[ValueT]) -> BindParameter[ValueT]:
    """Return a place in a `Statement` whose value is given when it runs."""
    return bindparam(name, None, type_=kind)


class ItemPage(Struct):
    """A part of a list, as `paging.Page` describes it."""

    items: list[Struct]
    next_cursor: str | None


class Statement:
    """A query that is compiled once and run on the driver's connection; its parameters are given by name."""

    def __init__(self, query: Select[*tuple[Any, ...]]) -> None:
        """Compile it."""
        compiled = query.compile(dialect=_DIALECT, compile_kwargs={"render_postcompile": True})
        self._text = str(compiled)
        self._names = tuple(compiled.positiontup or ())
        self._constants = dict(compiled.params)

    async def fetch(self, connection: Connection, **values: object) -> Sequence[Row]:
        """Return all rows."""
        given = self._constants | values
        return await connection.fetch(self._text, *(given[name] for name in self._names))


def item_of(schema: type[BaseModel]) -> Callable[..., Struct]:
    """Return what makes an item with the fields of a schema: by name, or in the schema's order."""
    return msgspec.defstruct(schema.__name__, [(name, Any) for name in schema.model_fields])


def answer(content: object, status: int = HTTPStatus.OK) -> Response:
    """Return content as JSON."""
    return Response(_encode(content), status, media_type="application/json")


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
