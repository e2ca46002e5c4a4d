"""Reads and writes files of rules, JSON and CSV. Pure.

Both are written in one order and form, so that two exports of the same rules are the same bytes, and
an export that is imported changes nothing. A mistake names its line.
"""

import csv
import io
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from json.decoder import JSONDecodeError
from typing import Any

from pydantic import ValidationError

from santaserver.rules.transfer_schemas import MAX_ROWS, FileFormat, FileMistake, FileRule

VERSION = 1
COLUMNS = tuple(FileRule.model_fields)
FIELDS = ("version", "rules")
ALWAYS = ("layer", "rule_type", "identifier", "policy")
FORMULA = re.compile("'*[=+@\t-]")
"""How a cell begins that a spreadsheet calculates, and how it does with marks before."""
BLANK = " \t\n\r"
ELEMENT_SIZES = (4 * 1024, 64 * 1024, 256 * 1024)
"""Characters that are tried one after the other; every character of a rule may be written with six."""
MAX_MISTAKES = 5_000
MAX_COMMAS = 20_000
"""In one row of a CSV file, texts included."""


@dataclass(frozen=True, slots=True)
class FileRow:
    """A rule and the line that it begins on."""

    line: int
    rule: FileRule


class FileError(Exception):
    """The file cannot be read on from a line."""

    def __init__(self, line: int, message: str) -> None:
        """Keep where and why."""
        super().__init__(message)
        self.line = line


def read_rules(kind: FileFormat, text: str) -> tuple[list[FileRow], list[FileMistake]]:
    """Return the rules of a file and every mistake in it."""
    rows: list[FileRow] = []
    mistakes: list[FileMistake] = []
    items = _json_items(text) if kind == "json" else _csv_items(text)
    try:
        for line, item in items:
            if len(mistakes) >= MAX_MISTAKES:
                message = f"More than {MAX_MISTAKES} mistakes: the rest of the file was not read"
                mistakes.append(FileMistake(line=line, field="", message=message))
                break
            if len(rows) >= MAX_ROWS:
                message = f"A file holds {MAX_ROWS} rules at most"
                mistakes.append(FileMistake(line=line, field="", message=message))
                break
            try:
                rows.append(FileRow(line, FileRule.model_validate(item)))
            except ValidationError as error:
                mistakes += _mistakes(line, error)
    except FileError as error:
        mistakes.append(FileMistake(line=error.line, field="", message=str(error)))
    return rows, mistakes


def write_rules(kind: FileFormat, rules: Iterable[FileRule]) -> str:
    """Return a file of rules, in an order that depends on nothing but them."""
    ordered = sorted(rules, key=lambda rule: (rule.layer, rule.rule_type, rule.identifier))
    plain = [rule.model_dump(mode="json") for rule in ordered]
    return _json_text(plain) if kind == "json" else _csv_text(plain)


def _json_text(rules: Sequence[dict[str, Any]]) -> str:
    lines = [
        json.dumps(
            {name: value for name, value in rule.items() if name in ALWAYS or value}, ensure_ascii=False
        )
        for rule in rules
    ]
    body = "[\n    " + ",\n    ".join(lines) + "\n  ]" if lines else "[]"
    return f'{{\n  "version": {VERSION},\n  "rules": {body}\n}}\n'


def _csv_text(rules: Sequence[dict[str, Any]]) -> str:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    for rule in rules:
        writer.writerow(_cell(value) for value in map(rule.get, COLUMNS))
    return out.getvalue()


def _cell(value: object) -> str:
    """Write a cell; what a spreadsheet would take for a formula is marked as text, as spreadsheets do."""
    if value is True:
        return "true"
    text = str(value or "").replace("\r\n", "\n").replace("\r", "\n")
    return "'" + text if FORMULA.match(text) else text


class _Lines:
    """The lines of a CSV file; raises an error inside of a row that has too many cells."""

    def __init__(self, text: str) -> None:
        self._lines = io.StringIO(text, newline="")
        self.commas = 0

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = next(self._lines)
        self.commas += line.count(",")
        if self.commas > MAX_COMMAS:
            raise csv.Error(f"a row holds more than {MAX_COMMAS} commas")
        return line


def _csv_items(text: str) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield the rows by column name; an empty cell stands for the default."""
    lines = _Lines(text.removeprefix("\ufeff"))
    reader = csv.reader(lines, strict=True)
    header: list[str] | None = None
    while True:
        line = reader.line_num + 1
        lines.commas = 0
        try:
            cells = next(reader, None)
        except csv.Error as error:
            raise FileError(line, f"This is no CSV: {error}") from error
        if header is None:
            header = _checked_header(cells)
        elif cells is None:
            return
        elif len(cells) > len(header):
            raise FileError(line, f"This line has {len(cells)} cells, the header {len(header)}")
        elif cells:
            yield (
                line,
                {name: cell for name, cell in zip(header, map(_unmarked, cells), strict=False) if cell != ""},
            )


def _unmarked(cell: str) -> str:
    return cell[1:] if cell[:1] == "'" and FORMULA.match(cell) else cell


def _checked_header(header: list[str] | None) -> list[str]:
    if header is None:
        raise FileError(1, f"The file is empty; its first line names the columns: {', '.join(COLUMNS)}")
    unknown = [name for name in header if name not in COLUMNS]
    missing = [name for name in ALWAYS[1:] if name not in header]
    if unknown:
        raise FileError(1, f"Unknown column {', '.join(map(repr, unknown))}; known: {', '.join(COLUMNS)}")
    if missing:
        raise FileError(1, f"The column {', '.join(missing)} is missing")
    if len(set(header)) != len(header):
        raise FileError(1, "A column is named twice")
    return header


def _json_items(text: str) -> Iterator[tuple[int, Any]]:
    """Yield the elements of the list of rules, each with its line."""
    try:
        yield from _elements(text.removeprefix("\ufeff"), json.JSONDecoder())
    except JSONDecodeError as error:
        raise FileError(error.lineno, f"This is no JSON: {error.msg}, column {error.colno}") from error
    except RecursionError as error:
        raise FileError(1, "This is nested too deeply") from error
    except ValueError as error:
        raise FileError(1, f"This holds a number that cannot be read: {error}") from error


def _elements(source: str, decoder: json.JSONDecoder) -> Iterator[tuple[int, Any]]:
    place = _start_of_rules(source, decoder)
    line, counted = 1, 0
    place = _skip(source, place + 1)
    while source[place : place + 1] != "]":
        line, counted = line + source.count("\n", counted, place), place
        item, place = _element(source, place, decoder)
        yield line, item
        place = _skip(source, place)
        if source[place : place + 1] == ",":
            place = _skip(source, place + 1)
        elif source[place : place + 1] != "]":
            raise JSONDecodeError("Expecting ',' or ']'", source, place)
    _check_end(source, _skip(source, place + 1), decoder)


def _check_end(source: str, place: int, decoder: json.JSONDecoder) -> None:
    """Read what follows the list: nothing, or the end of the object that it is in."""
    inside = source[_skip(source, 0)] == "{"
    while inside and source[place : place + 1] == ",":
        place = _name(source, _skip(source, place + 1), decoder)[1]
        place = _skip(source, _element(source, place, decoder)[1])
    if inside and source[place : place + 1] != "}":
        raise JSONDecodeError("Expecting ',' or '}'", source, place)
    if source[_skip(source, place + inside) :]:
        raise JSONDecodeError("Extra data", source, _skip(source, place + inside))


def _element(source: str, place: int, decoder: json.JSONDecoder) -> tuple[Any, int]:
    """Decode one element; no more of the file is looked at than a rule may take."""
    for size in ELEMENT_SIZES:
        part = source[place : place + size]
        try:
            item, end = decoder.raw_decode(part)
        except JSONDecodeError as error:
            if len(part) < size or size == ELEMENT_SIZES[-1]:
                raise JSONDecodeError(error.msg, source, place + error.pos) from error
            continue
        if end < len(part) or len(part) < size:
            return item, place + end
    raise JSONDecodeError("A rule is longer than any can be", source, place)


def _start_of_rules(source: str, decoder: json.JSONDecoder) -> int:
    """Return where the list begins: the file itself, or `rules` of an object."""
    place = _skip(source, 0)
    if source[place : place + 1] == "[":
        return place
    if source[place : place + 1] != "{":
        raise FileError(1, 'The file has to be {"version": 1, "rules": [...]}, or the list alone')
    place = _skip(source, place + 1)
    while source[place : place + 1] == '"':
        name, place = _name(source, place, decoder)
        if name == "rules" and source[place : place + 1] == "[":
            return place
        value, end = _element(source, place, decoder)
        if name == "version" and value != VERSION:
            raise FileError(source.count("\n", 0, place) + 1, f"This server reads version {VERSION}")
        place = _skip(source, end)
        if source[place : place + 1] == ",":
            place = _skip(source, place + 1)
    raise FileError(source.count("\n", 0, place) + 1, 'There is no list named "rules" in the file')


def _name(source: str, place: int, decoder: json.JSONDecoder) -> tuple[str, int]:
    """Read a field's name and return where its value begins."""
    name, end = _element(source, place, decoder)
    end = _skip(source, end)
    if not isinstance(name, str) or source[end : end + 1] != ":":
        raise JSONDecodeError("Expecting ':'", source, end)
    if name not in FIELDS:
        line = source.count("\n", 0, place) + 1
        raise FileError(
            line, f"There is no field {name[:100]!r} in a file of rules; known: {', '.join(FIELDS)}"
        )
    return name, _skip(source, end + 1)


def _skip(source: str, place: int) -> int:
    while source[place : place + 1] and source[place] in BLANK:
        place += 1
    return place


def _mistakes(line: int, error: ValidationError) -> Iterator[FileMistake]:
    for item in error.errors():
        field = ".".join(str(part) for part in item["loc"])
        message = "There is no such column" if item["type"] == "extra_forbidden" else item["msg"]
        yield FileMistake(line=line, field=field[:200], message=message)
