"""Reads the rules of a JSON file, element by element, while its text comes in pieces. Pure.

At most the text of one rule is kept in memory, for any file.
"""

import json
from collections.abc import Iterator
from json.decoder import JSONDecodeError
from typing import Any

from santaserver.rules.transfer_schemas import VERSION, FileError

FIELDS = ("version", "rules")
BLANK = " \t\n\r"
LONGEST = 256 * 1024
"""Characters of an element; every character of a rule may be written with six."""


def json_items(pieces: Iterator[str]) -> Iterator[tuple[int, Any]]:
    """Yield the elements of the list of rules, each with its line."""
    text = _Window(pieces)
    try:
        yield from _elements(text)
    except JSONDecodeError as error:
        line, column = text.position(error.pos)
        raise FileError(line, f"Not valid JSON: {error.msg}, column {column}") from error
    except RecursionError as error:
        raise FileError(text.line, "The file is nested too deeply") from error
    except ValueError as error:
        raise FileError(text.line, f"This holds a number that cannot be read: {error}") from error


class _Window:
    """The part of the text that is being read: what was read leaves, what follows is added when needed."""

    def __init__(self, pieces: Iterator[str]) -> None:
        self._pieces: Iterator[str] | None = pieces
        self._decoder = json.JSONDecoder()
        self._text = ""
        self._place = 0
        self._lines = 0
        self._column = 0
        self._counted = (0, 0)
        """A place in the window, and the line breaks before it."""
        if self._fill(1) and self._text[0] == "\ufeff":
            self._place = 1

    @property
    def line(self) -> int:
        """The line of the present place, from 1."""
        place, breaks = self._counted
        breaks += self._text.count("\n", place, self._place)
        self._counted = self._place, breaks
        return self._lines + breaks + 1

    def position(self, place: int) -> tuple[int, int]:
        """Return line and column of a place in the window."""
        before = self._text.count("\n", 0, place)
        column = place - self._text.rfind("\n", 0, place) if before else self._column + place + 1
        return self._lines + before + 1, column

    def next(self) -> str:
        """Return the next character that is not blank, without reading it; empty at the end."""
        while self._fill(1):
            while self._place < len(self._text):
                char = self._text[self._place]
                if char not in BLANK:
                    return char
                self._place += 1
        return ""

    def skip(self) -> None:
        """Read one character."""
        self._place += 1

    def value(self) -> Any:  # noqa: ANN401 - whatever the file holds
        """Read one value of JSON."""
        self.next()
        while True:
            held = len(self._text) - self._place
            try:
                found, end = self._decoder.raw_decode(self._text, self._place)
            except JSONDecodeError:
                if held >= LONGEST or not self._fill(held + 1):
                    raise
                continue
            if end < len(self._text) or not self._fill(held + 1):
                self._place = end
                return found
            if held >= LONGEST:
                self.wrong("A rule is too long")

    def wrong(self, message: str) -> None:
        """Raise an error at the present place."""
        raise JSONDecodeError(message, self._text, self._place)

    def _fill(self, size: int) -> bool:
        """Have `size` characters from the present place on; return False when there are no more."""
        while len(self._text) - self._place < size and self._pieces is not None:
            more = next(self._pieces, None)
            if more is None:
                self._pieces = None
                break
            self._lines, column = (number - 1 for number in self.position(self._place))
            self._column = column
            self._text = self._text[self._place :] + more
            self._place = 0
            self._counted = (0, 0)
        return len(self._text) - self._place >= size


def _elements(text: _Window) -> Iterator[tuple[int, Any]]:
    in_object = text.next() == "{"
    _start_of_rules(text)
    text.skip()
    while text.next() != "]":
        line = text.line
        yield line, text.value()
        if text.next() == ",":
            text.skip()
        elif text.next() != "]":
            text.wrong("Expecting ',' or ']'")
    text.skip()
    _read_end(text, in_object=in_object)


def _read_end(text: _Window, *, in_object: bool) -> None:
    """Read what follows the list: nothing, or the end of the object that it is in."""
    while in_object and text.next() == ",":
        text.skip()
        _name(text)
        text.value()
    if in_object:
        if text.next() != "}":
            text.wrong("Expecting ',' or '}'")
        text.skip()
    if text.next():
        text.wrong("Extra data")


def _start_of_rules(text: _Window) -> None:
    """Go to where the list begins: the file itself, or `rules` of an object."""
    if text.next() == "[":
        return
    if text.next() != "{":
        raise FileError(1, 'The file must be {"version": 1, "rules": [...]}, or only the list')
    text.skip()
    while text.next() == '"':
        name = _name(text)
        if name == "rules" and text.next() == "[":
            return
        line = text.line
        if text.value() != VERSION and name == "version":
            raise FileError(line, f"This server reads version {VERSION}")
        if text.next() == ",":
            text.skip()
    raise FileError(text.line, 'The file has no list named "rules"')


def _name(text: _Window) -> str:
    """Read a field's name and the colon behind it."""
    text.next()
    line = text.line
    name = text.value()
    if not isinstance(name, str) or text.next() != ":":
        text.wrong("Expecting ':'")
    if name not in FIELDS:
        known = ", ".join(FIELDS)
        raise FileError(line, f"There is no field {name[:100]!r} in a file of rules; known: {known}")
    text.skip()
    return str(name)
