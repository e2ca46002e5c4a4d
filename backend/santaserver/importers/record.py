"""One entry of a file before it is understood: its fields as they are written, and where they are."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from santaserver.importers.model import Place


class Number(str):
    """A number in a file, as it is written."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Unresolved:
    """An expression that only the tool that wrote the file can compute."""

    text: str


def _nowhere(_: str) -> Place | None:
    return None


@dataclass(frozen=True, slots=True)
class Record:
    """An entry: texts, `Number`s, booleans, None, `Unresolved`, lists and mappings by name."""

    entry: int
    place: Place
    fields: Mapping[str, object]
    find: Callable[[str], Place | None] = _nowhere
    """Where a field is, when the file has lines."""
    repeated: tuple[str, ...] = ()
    """Names that the entry has twice."""

    def at(self, name: str) -> Place:
        """Return where a field is, else where the entry begins."""
        return self.find(name) or self.place


def kind_of(value: object) -> str:
    """Return what a value is, in words."""
    if isinstance(value, bool):
        return "true or false"
    if isinstance(value, Number | int | float):
        return "a number"
    if isinstance(value, str):
        return "a text"
    if isinstance(value, list | tuple):
        return "a list"
    return "nothing" if value is None else "an object"
