"""Reads JSON files: the entries of their lists one by one, with the place of every entry and field.

The standard decoder reads the values; this walks only over the outermost objects and lists. An entry is
decoded when it is asked for, so that the values of a large file are not all in memory.
"""

import json
import re
from array import array
from collections import Counter
from collections.abc import Callable, Iterator
from json.decoder import JSONDecodeError
from typing import Any

from santaserver.importers.model import Place, Unreadable
from santaserver.importers.record import Number, Record, kind_of
from santaserver.importers.text import Text

BLANK = re.compile(r"[ \t\n\r]*")


class Object(dict[str, Any]):
    """An object, and the names that it has twice."""

    repeated: tuple[str, ...] = ()


def _object(pairs: list[tuple[str, Any]]) -> Object:
    made = Object(pairs)
    if len(made) != len(pairs):
        counts = Counter(name for name, _ in pairs)
        made.repeated = tuple(name for name, count in counts.items() if count > 1)
    return made


_DECODER = json.JSONDecoder(
    object_pairs_hook=_object, parse_int=Number, parse_float=Number, parse_constant=Number
)


class Elements:
    """A list in a file."""

    def __init__(self, text: Text, starts: "array[int]") -> None:
        """Take where its elements begin."""
        self._text = text
        self._starts = starts

    def __len__(self) -> int:
        return len(self._starts)

    def __iter__(self) -> Iterator[tuple[Any, int]]:
        """Yield the elements and their offsets."""
        for start in self._starts:
            yield _DECODER.raw_decode(self._text.content, start)[0], start

    def place(self, offset: int) -> Place:
        """Return where an element begins."""
        return self._text.place(offset)

    def records(self, wrong: Callable[[str, Place, int], None]) -> Iterator[Record]:
        """Yield the objects; tell `wrong` of other elements: what they are, where, and their number."""
        for entry, (value, offset) in enumerate(self, 1):
            place = self._text.place(offset)
            if isinstance(value, Object):
                yield Record(entry, place, value, self._finder(offset), value.repeated)
            else:
                wrong(kind_of(value), place, entry)

    def _finder(self, offset: int) -> Callable[[str], Place | None]:
        def find(name: str) -> Place | None:
            for key, at, _ in _members(self._text.content, offset):
                if key == name:
                    return self._text.place(at)
            return None

        return find


class JsonFile:
    """A file: a list, or an object whose lists are not decoded."""

    def __init__(self, text: Text) -> None:
        """Walk over the text; raise `Unreadable` when it is not valid JSON."""
        self._text = text
        self.list: Elements | None = None
        self.fields: dict[str, Any] = {}
        """Of an object: values by name, lists of anything as `Elements`."""
        self._places: dict[str, int] = {}
        try:
            self._read()
        except JSONDecodeError as error:
            raise Unreadable("syntax", f"Not valid JSON: {error.msg}", text.place(error.pos)) from error
        except RecursionError as error:
            raise Unreadable("syntax", "The file is nested too deeply", Place(1, 1, text.file)) from error
        except ValueError as error:
            raise Unreadable("syntax", f"Not valid JSON: {error}", Place(1, 1, text.file)) from error

    def place(self, name: str) -> Place:
        """Return where a field of the outermost object is."""
        return self._text.place(self._places.get(name, 0))

    def _read(self) -> None:
        content = self._text.content
        start = _skip(content, 0)
        if content[start : start + 1] == "[":
            starts, end = _elements(content, start)
            self.list = Elements(self._text, starts)
        elif content[start : start + 1] == "{":
            end = self._read_object(content, start)
        else:
            raise JSONDecodeError("a list or an object is needed", content, start)
        end = _skip(content, end)
        if end < len(content):
            raise JSONDecodeError("something follows the end", content, end)

    def _read_object(self, content: str, start: int) -> int:
        end = start + 1
        ends: dict[int, int] = {}
        for name, at, value in _members(content, start, lambda _, value: ends.pop(value)):
            if name in self._places:
                raise JSONDecodeError(f"{name!r} is there twice", content, at)
            self._places[name] = at
            if content[value : value + 1] == "[":
                starts, end = _elements(content, value)
                self.fields[name] = Elements(self._text, starts)
            else:
                self.fields[name], end = _DECODER.raw_decode(content, value)
            ends[value] = end
        return _end_of_object(content, end)


def _skip(content: str, at: int) -> int:
    found = BLANK.match(content, at)
    return found.end() if found else at


def _elements(content: str, start: int) -> tuple["array[int]", int]:
    """Return where a list's elements begin, and where the list ends."""
    starts = array("L")
    at = _skip(content, start + 1)
    if content[at : at + 1] == "]":
        return starts, at + 1
    while True:
        starts.append(at)
        _, end = _DECODER.raw_decode(content, at)
        at = _skip(content, end)
        mark = content[at : at + 1]
        if mark == "]":
            return starts, at + 1
        if mark != ",":
            raise JSONDecodeError("',' or ']' is needed", content, at)
        at = _skip(content, at + 1)
        if content[at : at + 1] == "]":
            raise JSONDecodeError("a comma is followed by no value", content, at)


def _end_of_value(content: str, start: int) -> int:
    return _DECODER.raw_decode(content, start)[1]


def _members(
    content: str, start: int, end_of: Callable[[str, int], int] = _end_of_value
) -> Iterator[tuple[str, int, int]]:
    """Yield an object's names, where they are, and where their values begin."""
    at = _skip(content, start + 1)
    if content[at : at + 1] == "}":
        return
    while True:
        if content[at : at + 1] != '"':
            raise JSONDecodeError("a name in double quotes is needed", content, at)
        name, end = _DECODER.raw_decode(content, at)
        colon = _skip(content, end)
        if content[colon : colon + 1] != ":":
            raise JSONDecodeError("':' is needed", content, colon)
        value = _skip(content, colon + 1)
        yield name, at, value
        end = _skip(content, end_of(content, value))
        if content[end : end + 1] != ",":
            return
        at = _skip(content, end + 1)


def _end_of_object(content: str, end: int) -> int:
    at = _skip(content, end)
    if content[at : at + 1] != "}":
        raise JSONDecodeError("',' or '}' is needed", content, at)
    return at + 1
