"""Writes files of rules, JSON and CSV, in portions. Pure.

Both are written in one order and form, so that two exports of the same rules are the same bytes, and
an export that is imported changes nothing. JSON has one rule a line and no blanks: a hundred thousand
rules have to fit into the body of an import.
"""

import csv
import io
import json
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from santaserver.rules.transfer_csv import cell
from santaserver.rules.transfer_schemas import ALWAYS, COLUMNS, VERSION, FileFormat

Values = Sequence[Any]
"""What a file says of one rule, in the order of `COLUMNS`."""


class FileWriter:
    """Writes one file: the portions, then the end."""

    def __init__(self, kind: FileFormat) -> None:
        """Begin."""
        self._json = kind == "json"
        self._begun = False

    def portion(self, rules: Iterable[Values]) -> bytes:
        """Write some rules, and what comes before the first."""
        text = self._objects(rules) if self._json else self._lines(rules)
        self._begun = True
        return text.encode()

    def end(self) -> bytes:
        """Write what follows the last rule."""
        if self._json:
            return b"\n]}\n" if self._begun else b'{"version":%d,"rules":[]}\n' % VERSION
        return b"" if self._begun else self.portion(())

    def broken_off(self) -> bytes:
        """Write a marker of an incomplete file, which import refuses."""
        if self._json:
            return b"\n"
        return b'"The export ended early: this file is incomplete'

    def _objects(self, rules: Iterable[Values]) -> str:
        lines = [json.dumps(_object(rule), ensure_ascii=False, separators=(",", ":")) for rule in rules]
        start = ",\n" if self._begun else f'{{"version":{VERSION},"rules":[\n'
        return start + ",\n".join(lines)

    def _lines(self, rules: Iterable[Values]) -> str:
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\n")
        if not self._begun:
            writer.writerow(COLUMNS)
        writer.writerows([cell(_plain(value)) for value in rule] for rule in rules)
        return out.getvalue()


def _object(rule: Values) -> dict[str, Any]:
    return {name: _plain(value) for name, value in zip(COLUMNS, rule, strict=True) if name in ALWAYS or value}


def _plain(value: object) -> object:
    return value.isoformat().replace("+00:00", "Z") if isinstance(value, datetime) else value
