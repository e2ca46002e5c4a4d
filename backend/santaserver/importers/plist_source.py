"""Reads property lists, XML and binary, with the lines of what is in an XML one.

Entity declarations end the reading before anything is expanded, so nothing can grow; Apple's DOCTYPE is fine.
"""

import plistlib
from binascii import a2b_base64
from dataclasses import dataclass, field
from typing import Any
from xml.parsers import expat

from santaserver.importers.model import MAX_DEPTH, NOWHERE, Place, Unreadable
from santaserver.importers.record import Number

SCALARS = frozenset({"string", "integer", "real", "date", "data", "key"})


@dataclass(frozen=True, slots=True)
class Value:
    """A value: a `Dict`, a list of values, a text, `Number`, boolean or bytes."""

    value: Any
    place: Place = NOWHERE


@dataclass(slots=True)
class Dict:
    """A dictionary and where its keys are."""

    values: dict[str, Value] = field(default_factory=dict)
    places: dict[str, Place] = field(default_factory=dict)
    repeated: list[str] = field(default_factory=list)

    def set(self, key: str, value: Value, place: Place) -> None:
        """Add a value."""
        if key in self.values:
            self.repeated.append(key)
        self.values[key] = value
        self.places[key] = place


def parse(data: bytes, file: str = "") -> Value:
    """Return the outermost value; raise `Unreadable` when this is no property list."""
    return _binary(data, file) if data.startswith(b"bplist") else _Xml(data, file).value


def _binary(data: bytes, file: str) -> Value:
    try:
        plain = plistlib.loads(data, fmt=plistlib.FMT_BINARY)
        return _Copy(len(data)).of(plain, 0)
    except Unreadable:
        raise
    except (plistlib.InvalidFileException, RecursionError, ValueError, TypeError, MemoryError) as error:
        message = "Not a valid binary property list, or it is nested too deeply"
        raise Unreadable("syntax", message, Place(file=file)) from error


class _Copy:
    """Copies what the library read.

    A part may be in a file many times over, or in itself. Each place that names one takes a byte, so that
    more values than bytes are such a trick.
    """

    def __init__(self, limit: int) -> None:
        self._left = limit

    def of(self, plain: Any, depth: int) -> Value:  # noqa: ANN401 - any value of a property list
        self._left -= 1
        if depth > MAX_DEPTH or self._left < 0:
            raise Unreadable("syntax", "The property list is too large or nested too deeply")
        if isinstance(plain, dict):
            made = Dict()
            for key, value in plain.items():
                made.set(str(key), self.of(value, depth + 1), NOWHERE)
            return Value(made)
        if isinstance(plain, list):
            return Value([self.of(one, depth + 1) for one in plain])
        if isinstance(plain, int | float) and not isinstance(plain, bool):
            return Value(Number(plain))
        return Value(plain if isinstance(plain, str | bool | bytes) else str(plain))


@dataclass(slots=True)
class _Open:
    """A dictionary or list that is being read."""

    value: Any
    place: Place
    key: str | None = None
    key_place: Place = NOWHERE


class _Xml:
    """Makes values of the events of the XML parser."""

    def __init__(self, data: bytes, file: str) -> None:
        self.value = Value(None)
        self._file = file
        self._open: list[_Open] = []
        self._text: list[str] = []
        self._start = NOWHERE
        self._done = False
        body = data.lstrip()
        self._before = data[: len(data) - len(body)].count(b"\n")
        parser = self._parser = expat.ParserCreate()
        parser.buffer_text = True
        parser.EntityDeclHandler = self._entity
        parser.StartElementHandler = self._begin
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._text.append
        try:
            parser.Parse(body, True)
        except expat.ExpatError as error:
            place = Place(error.lineno + self._before, error.offset + 1, file)
            message = f"Not a valid property list: {expat.ErrorString(error.code)}"
            raise Unreadable("syntax", message, place) from error
        except (ValueError, LookupError) as error:
            raise Unreadable("syntax", f"Not a valid property list: {error}", Place(1, 1, file)) from error
        if not self._done:
            raise Unreadable("syntax", "The file holds no property list", Place(1, 1, file))

    def _place(self) -> Place:
        line = self._parser.CurrentLineNumber + self._before
        return Place(line, self._parser.CurrentColumnNumber + 1, self._file)

    def _entity(self, *_: object) -> None:
        message = "The file declares XML entities, which are not read; no tool writes any into a profile"
        raise Unreadable("forbidden_xml", message, self._place())

    def _begin(self, name: str, _: object) -> None:
        place = self._place()
        self._text.clear()
        self._start = place
        if name in {"dict", "array"}:
            self._open.append(_Open(Dict() if name == "dict" else [], place))
            if len(self._open) > MAX_DEPTH:
                raise Unreadable("syntax", "The property list is nested too deeply", place)
        elif name not in SCALARS | {"plist", "true", "false"}:
            raise Unreadable("syntax", f"<{name[:50]}> is not part of a property list", place)

    def _end(self, name: str) -> None:
        if name == "plist":
            return
        text = "".join(self._text)
        self._text.clear()
        if name == "key":
            if not self._open or not isinstance(self._open[-1].value, Dict):
                raise Unreadable("syntax", "A key is outside of a dictionary", self._start)
            self._open[-1].key, self._open[-1].key_place = text, self._start
        elif name in {"dict", "array"}:
            closed = self._open.pop()
            self._add(Value(closed.value, closed.place))
        else:
            self._add(Value(_scalar(name, text), self._start))

    def _add(self, value: Value) -> None:
        if not self._open:
            self.value, self._done = value, True
            return
        inside = self._open[-1]
        if isinstance(inside.value, list):
            inside.value.append(value)
        elif inside.key is None:
            raise Unreadable("syntax", "A value in a dictionary has no key", value.place)
        else:
            inside.value.set(inside.key, value, inside.key_place)
            inside.key = None


def _scalar(name: str, text: str) -> object:
    if name in {"true", "false"}:
        return name == "true"
    if name in {"integer", "real"}:
        return Number(text.strip())
    if name == "data":
        try:
            return a2b_base64(text.encode())
        except ValueError:
            return b""
    return text
