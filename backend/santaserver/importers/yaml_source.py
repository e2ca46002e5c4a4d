"""Reads YAML files with libyaml's parser as a source of events: every scalar stays the text that it is.

So no id becomes a number, and nothing expands: anchors, aliases, tags and duplicate keys are refused.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import yaml

from santaserver.importers.model import MAX_DEPTH, Place, Report, Unreadable
from santaserver.importers.record import Record, kind_of
from santaserver.importers.text import Text

NULLS = frozenset({"", "~", "null", "Null", "NULL"})
RULES = "rules"
SAMPLE = 20
"""Entries whose names tell the format."""


class YamlFile:
    """A file that is a list of entries, or a mapping with a list `rules`."""

    def __init__(self, text: Text) -> None:
        """Walk over the whole text; raise `Unreadable` when it is not valid or uses more than plain YAML."""
        self._text = text
        self.is_list = False
        self.fields: dict[str, object] = {}
        """What a mapping has beside its rules."""
        self.names: set[str] = set()
        """Names in the first entries, in lower case."""
        self.places: dict[str, Place] = {}
        self.has_rules = False
        for number, (_, value, _) in enumerate(self._entries()):
            if number < SAMPLE and isinstance(value, Mapping):
                self.names |= {str(name).lower() for name in value}

    def records(self, report: Report) -> Iterator[Record]:
        """Yield the entries; others than mappings are mistakes."""
        for entry, (place, value, places) in enumerate(self._entries(), 1):
            if isinstance(value, dict):
                yield Record(entry, place, value, places.get)
            else:
                report.mistake("bad_value", f"This is {kind_of(value)} where a rule is needed", place, entry)

    def _entries(self) -> Iterator[tuple[Place, object, dict[str, Place]]]:
        composer = _Composer(self._text)
        try:
            event = composer.root()
            if event is None:
                return
            self.is_list = isinstance(event, yaml.SequenceStartEvent)
            if self.is_list:
                yield from composer.entries()
            elif isinstance(event, yaml.MappingStartEvent):
                yield from composer.top(self)
            composer.end()
        except yaml.YAMLError as error:
            raise Unreadable("syntax", f"Not valid YAML: {_problem(error)}", self._where(error)) from error

    def _where(self, error: yaml.YAMLError) -> Place:
        mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
        index = getattr(error, "position", 0) if mark is None else mark.index
        return self._text.place(min(index, len(self._text.content)))


def _problem(error: yaml.YAMLError) -> str:
    parts = (getattr(error, name, None) for name in ("context", "problem", "reason"))
    return ", ".join(part for part in parts if part) or "it cannot be read"


class _Composer:
    """Makes values of events."""

    def __init__(self, text: Text) -> None:
        self._text = text
        self._events: Iterator[Any] = yaml.parse(text.content, Loader=yaml.CSafeLoader)

    def root(self) -> Any:  # noqa: ANN401 - an event
        """Go to the first document's value; None for an empty file."""
        for event in self._events:
            if not isinstance(event, yaml.StreamStartEvent | yaml.DocumentStartEvent):
                self._check(event, 0)
                return None if isinstance(event, yaml.StreamEndEvent) else event
        return None

    def end(self) -> None:
        """Check that nothing follows the document."""
        for event in self._events:
            if isinstance(event, yaml.DocumentStartEvent):
                raise self._refused(event, "There is a second document; a file has one")

    def entries(self) -> Iterator[tuple[Place, object, dict[str, Place]]]:
        """Yield the values of a sequence that has begun."""
        for event in self._events:
            if isinstance(event, yaml.SequenceEndEvent):
                return
            places: dict[str, Place] = {}
            yield self._place(event), self._value(event, 1, places.__setitem__), places

    def top(self, file: YamlFile) -> Iterator[tuple[Place, object, dict[str, Place]]]:
        """Read a mapping into `file`, but yield the values of its rules."""
        seen: set[str] = set()
        for event in self._events:
            if isinstance(event, yaml.MappingEndEvent):
                return
            name = self._name(event, seen)
            file.places[name] = self._place(event)
            value = next(self._events)
            self._check(value, 1)
            if name == RULES and isinstance(value, yaml.SequenceStartEvent):
                file.has_rules = True
                yield from self.entries()
            else:
                file.fields[name] = self._value(value, 1)

    def _value(
        self,
        event: Any,  # noqa: ANN401
        depth: int,
        found: Callable[[str, Place], None] | None = None,
    ) -> object:
        self._check(event, depth)
        if isinstance(event, yaml.ScalarEvent):
            return None if event.style is None and event.value in NULLS else str(event.value)
        if isinstance(event, yaml.SequenceStartEvent):
            items: list[object] = []
            while not isinstance(event := next(self._events), yaml.SequenceEndEvent):
                items.append(self._value(event, depth + 1))
            return items
        values: dict[str, object] = {}
        seen: set[str] = set()
        while not isinstance(event := next(self._events), yaml.MappingEndEvent):
            name = self._name(event, seen)
            if found:
                found(name, self._place(event))
            values[name] = self._value(next(self._events), depth + 1)
        return values

    def _name(self, event: Any, seen: set[str]) -> str:  # noqa: ANN401
        self._check(event, 0)
        if not isinstance(event, yaml.ScalarEvent):
            raise self._refused(event, "A name is a text")
        name = str(event.value)
        if name in seen:
            raise self._refused(event, f"{name[:100]!r} is there twice")
        seen.add(name)
        return name

    def _check(self, event: Any, depth: int) -> None:  # noqa: ANN401
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            raise self._refused(event, "Anchors and aliases are not read; write the values out")
        if getattr(event, "tag", None):
            raise self._refused(event, "Tags are not read; every value is a text")
        if depth > MAX_DEPTH:
            raise self._refused(event, "The file is nested too deeply")

    def _refused(self, event: Any, message: str) -> Unreadable:  # noqa: ANN401
        return Unreadable("syntax", message, self._place(event))

    def _place(self, event: Any) -> Place:  # noqa: ANN401
        return self._text.place(event.start_mark.index)
