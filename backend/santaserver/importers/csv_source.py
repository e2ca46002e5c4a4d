"""Reads CSV files of any tool and spreadsheet: the separator is found by the names of the columns."""

import csv
import re
from collections import Counter
from collections.abc import Iterator

from santaserver.importers.model import Place, Report, Unreadable
from santaserver.importers.record import Record
from santaserver.importers.text import Text

SEPARATORS = ",;\t|"
MARK = re.compile(r"sep=(.)\n")
"""A first line by which spreadsheets name the separator."""
MAX_HEADER = 64 * 1024
GAPS = re.compile(r"[\s-]+")
IDENTIFIERS = frozenset({"identifier", "sha256", "shasum", "target_identifier"})
OTHERS = frozenset({"policy", "state", "rule_type", "type", "target_type"})
FORMULA = re.compile("'*[=+@\t-]")
"""The first characters of a cell that a spreadsheet would evaluate; exports mark it as text with a quote."""


class CsvFile:
    """A table whose first line names the columns."""

    def __init__(self, text: Text) -> None:
        """Read the header; `names` is empty when it is not one of a table of rules."""
        self.text = text
        self._start = 0
        marked = MARK.match(text.content)
        if marked:
            self._start = marked.end()
        end = text.content.find("\n", self._start, self._start + MAX_HEADER)
        first = text.content[self._start : end if end >= 0 else self._start + MAX_HEADER]
        self.header_line = 2 if marked else 1
        self.names: list[str] = []
        for separator in [marked[1]] if marked else SEPARATORS:
            names = [_name(cell) for cell in next(_read(first, separator), [])]
            if len(names) > 1 and IDENTIFIERS & set(names) and OTHERS & set(names):
                self.separator, self.names = separator, names
                return

    @property
    def header(self) -> Place:
        """Return where the names of the columns are."""
        return Place(self.header_line, 1, self.text.file)

    def records(self, report: Report) -> Iterator[Record]:
        """Yield the rows that hold anything, by the names of their columns in lower case."""
        counts = Counter(name for name in self.names if name)
        for name in sorted(name for name, count in counts.items() if count > 1):
            report.mistake("bad_value", f"The column {name} is there twice", self.header, None, name)
        reader = csv.reader(self._lines(), delimiter=self.separator, strict=True)
        entry, before = 0, self.header_line - 1
        while True:
            line = before + reader.line_num + 1
            place = Place(line, 1, self.text.file)
            try:
                cells = next(reader, None)
            except csv.Error as error:
                raise Unreadable("syntax", f"Not valid CSV: {error}", place) from error
            if cells is None:
                return
            if line == self.header_line or not any(cell.strip() for cell in cells):
                continue
            entry += 1
            if any(cell.strip() for cell in cells[len(self.names) :]):
                message = f"This line has {len(cells)} cells, the header has {len(self.names)}"
                report.mistake("bad_value", message, place, entry)
                continue
            named = zip(self.names, map(_unmarked, cells), strict=False)
            yield Record(entry, place, {name: cell for name, cell in named if name})

    def _lines(self) -> Iterator[str]:
        content, at = self.text.content, self._start
        while at < len(content):
            end = content.find("\n", at) + 1 or len(content)
            yield content[at:end]
            at = end


def _read(line: str, separator: str) -> Iterator[list[str]]:
    try:
        yield from csv.reader([line], delimiter=separator)
    except csv.Error:
        return


def _name(cell: str) -> str:
    return GAPS.sub("_", cell.strip().lower())


def _unmarked(cell: str) -> str:
    return cell[1:] if cell[:1] == "'" and FORMULA.match(cell) else cell
