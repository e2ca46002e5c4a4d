"""Reads the rules of a CSV file while its text comes in pieces, and writes its cells. Pure."""

import csv
import io
import re
from collections.abc import Iterator, Sequence
from typing import Any

from santaserver.rules.transfer_schemas import ALWAYS, COLUMNS, FileError

FORMULA = re.compile("'*[=+@\t-]")
"""The first characters of a cell that a spreadsheet would evaluate, directly or after quotes."""
MAX_COMMAS = 20_000
"""In one row, texts included."""
LONGEST = 256 * 1024
"""Characters of a row."""


def csv_items(pieces: Iterator[str]) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield the rows by column name; an empty cell stands for the default."""
    lines = _Lines(pieces)
    reader = csv.reader(lines, strict=True)
    header: list[str] | None = None
    while True:
        line = reader.line_num + 1
        lines.begin_row()
        try:
            cells = next(reader, None)
        except csv.Error as error:
            raise FileError(line, f"Not valid CSV: {error}") from error
        if header is None:
            header = _checked_header(cells)
        elif cells is None:
            return
        elif len(cells) > len(header):
            raise FileError(line, f"This line has {len(cells)} cells, the header has {len(header)}")
        elif cells:
            yield line, _named(header, cells)


def cell(value: object) -> str:
    """Write a cell; a possible formula is marked as text, as spreadsheets do."""
    if value is True:
        return "true"
    text = str(value or "").replace("\r\n", "\n").replace("\r", "\n")
    return "'" + text if FORMULA.match(text) else text


def _named(header: Sequence[str], cells: Sequence[str]) -> dict[str, str]:
    return {name: text for name, text in zip(header, map(_unmarked, cells), strict=False) if text != ""}


def _unmarked(text: str) -> str:
    return text[1:] if text[:1] == "'" and FORMULA.match(text) else text


class _Lines:
    """The lines of a text in pieces; raises an error inside of a row that is larger than any can be."""

    def __init__(self, pieces: Iterator[str]) -> None:
        self._lines = _split(pieces)
        self._first = True
        self.begin_row()

    def begin_row(self) -> None:
        """Count from here."""
        self._commas = self._size = 0

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = next(self._lines)
        if self._first:
            line, self._first = line.removeprefix("\ufeff"), False
        self._commas += line.count(",")
        self._size += len(line)
        if self._commas > MAX_COMMAS:
            raise csv.Error(f"a row holds more than {MAX_COMMAS} commas")
        if self._size > LONGEST:
            raise csv.Error("a row is too long")
        return line


def _split(pieces: Iterator[str]) -> Iterator[str]:
    """Yield lines with their ends, which are LF, CR or both; one that is too long comes in parts."""
    rest = ""
    for piece in pieces:
        lines = list(io.StringIO(rest + piece, newline=""))
        rest = lines.pop() if lines else ""
        yield from lines
        if len(rest) > LONGEST:
            yield rest
            rest = ""
    if rest:
        yield from io.StringIO(rest, newline="")


def _checked_header(header: list[str] | None) -> list[str]:
    if header is None:
        raise FileError(1, f"The file is empty; its first line must name the columns: {', '.join(COLUMNS)}")
    unknown = [name for name in header if name not in COLUMNS]
    missing = [name for name in ALWAYS[1:] if name not in header]
    if unknown:
        shown = ", ".join(repr(name[:100]) for name in unknown[:20])
        raise FileError(1, f"Unknown column {shown}; known: {', '.join(COLUMNS)}")
    if missing:
        raise FileError(1, f"The column {', '.join(missing)} is missing")
    if len(set(header)) != len(header):
        raise FileError(1, "A column is named twice")
    return header
