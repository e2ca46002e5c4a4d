"""Reads TOML files: the standard parser for the values, and a scan for where tables and keys are.

The scan comes first and is linear: it refuses nesting and dotted keys that the parser would take forever for.
"""

import re
import tomllib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from santaserver.importers.model import MAX_DEPTH, Place, Unreadable
from santaserver.importers.text import Text

MAX_KEY_PARTS = 16
TOKEN = re.compile(
    r"""
      (?P<blank>[\ \t]+|\#[^\n]*)
    | (?P<newline>\n)
    | (?P<word>\"\"\"(?:[^"\\]++|\\.|"{1,2}(?!"))*+\"{3,5}|'''(?:[^']++|'{1,2}(?!'))*+'{3,5}
              |"(?:[^"\\\n]++|\\[^\n])*+"|'[^'\n]*+'|[^\s\[\]{},=.\#"']++)
    | (?P<broken>["'])
    | (?P<mark>[\[\]{},=.])
    | (?P<other>.)
    """,
    re.VERBOSE | re.DOTALL,
)
POSITION = re.compile(r"\(at (?:line (\d+), column (\d+)|end of document)\)")
NOT_CLOSED = "The text is not closed on its line"
IN_ROW = 2
"""Depth inside of an inline table of a list."""


@dataclass(slots=True)
class Table:
    """Where a table and its keys are."""

    offset: int
    keys: dict[str, int] = field(default_factory=dict)


class TomlFile:
    """A file: its values, the keys at its top, and the tables of its arrays by the array's name."""

    def __init__(self, text: Text) -> None:
        """Parse the text; raise `Unreadable` when it is not valid TOML."""
        self._text = text
        scan = _Scan(text)
        for token in TOKEN.finditer(text.content):
            scan.take(token)
        scan.end_line()
        self.top = scan.top
        self.tables = scan.tables
        try:
            self.values: dict[str, Any] = tomllib.loads(text.content)
        except tomllib.TOMLDecodeError as error:
            raise Unreadable("syntax", *_explained(error, text)) from error
        except (RecursionError, ValueError) as error:
            raise Unreadable("syntax", f"Not valid TOML: {error}", Place(1, 1, text.file)) from error

    def place(self, offset: int) -> Place:
        """Return line and column of an offset."""
        return self._text.place(offset)


def _explained(error: tomllib.TOMLDecodeError, text: Text) -> tuple[str, Place]:
    found = POSITION.search(str(error))
    message = POSITION.sub("", str(error)).strip()
    if found and found[1]:
        return f"Not valid TOML: {message}", Place(int(found[1]), int(found[2]), text.file)
    return f"Not valid TOML: {message}", text.place(len(text.content))


class _Scan:
    """Takes the tokens in turn; what is not valid is left to the parser."""

    def __init__(self, text: Text) -> None:
        self._text = text
        self.top = self._table = Table(0)
        self.tables: dict[str, list[Table]] = {}
        self._part: Callable[[str, int], None] = self._statement
        self._keys: list[str] = []
        self._start = 0
        self._brackets = 0
        self._depth = 0
        self._list = ""
        """The array at the top that is being read, which may hold inline tables."""

    def take(self, token: re.Match[str]) -> None:
        kind = token.lastgroup
        if kind == "newline" and not self._depth:
            self.end_line()
        elif kind == "broken":
            raise Unreadable("syntax", f"Not valid TOML: {NOT_CLOSED}", self._text.place(token.start()))
        elif kind in {"word", "mark"}:
            self._part(token.group(), token.start())

    def end_line(self) -> None:
        """End a header or a value."""
        if self._part == self._header:
            self._table = Table(self._start)
            if self._brackets > 1 and len(self._keys) == 1:
                self.tables.setdefault(self._keys[0], []).append(self._table)
        self._part, self._keys, self._brackets, self._list = self._statement, [], 0, ""

    def _statement(self, content: str, offset: int) -> None:
        """Read the beginning of a line: a header or a key."""
        self._start = offset
        self._part = self._header if content == "[" else self._key
        self._part(content, offset)

    def _header(self, content: str, offset: int) -> None:
        if content == "[":
            self._brackets += 1
        elif content not in {"]", "."}:
            self._add_key(content, offset)

    def _key(self, content: str, offset: int) -> None:
        if content != "=":
            self._add_key(content, offset)
            return
        if self._keys:
            self._table.keys.setdefault(self._keys[0], self._start)
        self._list = self._keys[0] if self._table is self.top and len(self._keys) == 1 else ""
        self._keys, self._part = [], self._value

    def _value(self, content: str, offset: int) -> None:
        if content in {"[", "{"}:
            self._depth += 1
            if self._depth > MAX_DEPTH:
                raise Unreadable("syntax", "The file is nested too deeply", self._text.place(offset))
            if content == "{" and self._depth == IN_ROW and self._list:
                self.tables.setdefault(self._list, []).append(Table(offset))
                self._keys = []
        elif content in {"]", "}"}:
            self._depth = max(self._depth - 1, 0)
        elif self._depth == IN_ROW and self._list in self.tables:
            self._row_part(content, offset)

    def _row_part(self, content: str, offset: int) -> None:
        """Read a key of an inline table; `keys` holds it until the comma behind its value."""
        if content == ",":
            self._keys = []
        elif not self._keys:
            self._keys = [_plain(content)]
            self.tables[self._list][-1].keys.setdefault(self._keys[0], offset)

    def _add_key(self, content: str, offset: int) -> None:
        if content == ".":
            return
        self._keys.append(_plain(content))
        if len(self._keys) > MAX_KEY_PARTS:
            raise Unreadable("syntax", f"A key has {MAX_KEY_PARTS} parts at most", self._text.place(offset))


def _plain(key: str) -> str:
    return key.strip("\"'")
