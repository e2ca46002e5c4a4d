"""Reads of the REST interface: one statement without a transaction, JSON straight from its rows.

Entities and pydantic cost several times what the statement does, so lists do without. A `Struct` has
the fields of the schema that the OpenAPI document shows, in the same order; tests compare the two.
"""

from collections.abc import Callable, Sequence
from http import HTTPStatus
from typing import Any, Generic, TypeVar

import msgspec
from fastapi import Response
from msgspec import Struct
from sqlalchemy import BindParameter, Select, bindparam
from sqlalchemy.dialects.postgresql.asyncpg import dialect
from sqlalchemy.types import TypeEngine

from santaserver.db import Connection
from santaserver.paging import encode_cursor

Row = Any
"""A record of the driver: by position and by name."""
ItemT = TypeVar("ItemT")

_encode = msgspec.json.Encoder().encode
_DIALECT = dialect()  # type: ignore[no-untyped-call] # SQLAlchemy's own has no types


def parameter(name: str, kind: TypeEngine[ItemT]) -> BindParameter[ItemT]:
    """Return a place in a `Statement` whose value is given when it runs."""
    return bindparam(name, None, type_=kind)


class ItemPage(Struct, Generic[ItemT]):
    """A part of a list, as `paging.Page` describes it."""

    items: list[ItemT]
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


def answer(content: object, status: int = HTTPStatus.OK) -> Response:
    """Return content as JSON."""
    return Response(_encode(content), status, media_type="application/json")


def page_of(
    rows: Sequence[Row],
    limit: int,
    item: Callable[[Row], ItemT],
    key: Callable[[Row], Sequence[str | int]],
) -> ItemPage[ItemT]:
    """Make a page of at most `limit` rows; one more row means that there is a next page."""
    shown = rows[:limit]
    following = encode_cursor(key(shown[-1])) if len(rows) > limit else None
    return ItemPage([item(row) for row in shown], following)
