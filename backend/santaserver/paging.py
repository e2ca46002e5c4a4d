"""Keyset paging of the REST lists: an opaque cursor holds the last row's sort key.

Cursors carry no authority, so they are encoded but not signed; a damaged one is a client error. (Santa's rule
pages have their own signed cursor: sync/cursor.py.)
"""

import base64
import binascii
import json
from collections.abc import Sequence
from typing import Annotated, Generic, TypeVar

from fastapi import Query
from pydantic import BaseModel, Field

from santaserver.errors import BadRequest
from santaserver.inputs import MAX_ROW_ID, Stored, is_storable

DEFAULT_LIMIT = 50
MAX_LIMIT = 500

ItemT = TypeVar("ItemT")

MAX_CURSOR = 6000
"""Characters of the longest cursor: a sort key of 1,000 characters of four bytes; santa-proxy takes 8 KiB."""

CursorParam = Annotated[
    str | None, Query(description="`next_cursor` of the previous page", max_length=MAX_CURSOR)
]
LimitParam = Annotated[int, Query(ge=1, le=MAX_LIMIT, description="Rows on this page at most")]
SearchParam = Annotated[Stored, Query(max_length=200, description="Part of a name, identifier or address")]


class Page(BaseModel, Generic[ItemT]):
    """A part of a list; `next_cursor` is null on the last one."""

    items: list[ItemT]
    next_cursor: str | None = Field(description="Pass as `cursor` to get the next rows")


def encode_cursor(key: Sequence[str | int]) -> str:
    """Encode a sort key as the text that a client sends back."""
    text = json.dumps(list(key), ensure_ascii=False, separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def decode_cursor(cursor: str | None, kinds: Sequence[type[str] | type[int]]) -> list[str | int] | None:
    """Read a cursor whose parts have the given types; raise `BadRequest` when it is damaged.

    Numbers are ids of rows or times; one that is out of their range is the nearest that is not.
    """
    if not cursor:
        return None
    try:
        key = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except (ValueError, binascii.Error, RecursionError):
        key = None
    if (
        not isinstance(key, list)
        or [type(part) for part in key] != list(kinds)
        or not is_storable("".join(map(str, key)))
    ):
        raise BadRequest("The cursor is invalid; start again without one")
    return [min(max(part, 0), MAX_ROW_ID) if isinstance(part, int) else part for part in key]


def like_pattern(text: str) -> str:
    """Make an ILIKE pattern that finds `text` anywhere, taken literally."""
    escaped = text.strip().replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_").replace("\0", "")
    return f"%{escaped}%"
