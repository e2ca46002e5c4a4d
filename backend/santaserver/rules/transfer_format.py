"""Reads files of rules, JSON and CSV, one rule after the other. Pure. An error names its line."""

from collections.abc import Iterator
from dataclasses import dataclass

from pydantic import ValidationError

from santaserver.rules.transfer_csv import csv_items
from santaserver.rules.transfer_json import json_items
from santaserver.rules.transfer_schemas import MAX_ROWS, FileError, FileFormat, FileMistake, FileRule

MAX_NAMES = 100
"""Fields of one element that are looked at."""


@dataclass(frozen=True, slots=True)
class FileRow:
    """A rule and where it begins; `line` is 0 in a file without lines."""

    line: int
    rule: FileRule
    column: int | None = None
    entry: int | None = None
    file: str = ""

    def mistake(self, field: str, message: str, code: str = "") -> FileMistake:
        """Return something that is wrong with it."""
        return FileMistake(
            line=self.line,
            field=field,
            message=message,
            code=code,
            column=self.column,
            entry=self.entry,
            file=self.file,
        )


def read_rules(kind: FileFormat, pieces: Iterator[str]) -> Iterator[FileRow | FileMistake]:
    """Yield the rules of a file and every error in it, in order."""
    rows = 0
    try:
        for line, item in (json_items if kind == "json" else csv_items)(pieces):
            if rows >= MAX_ROWS:
                yield FileMistake(line=line, field="", message=f"A file holds {MAX_ROWS} rules at most")
                return
            if isinstance(item, dict) and len(item) > MAX_NAMES:
                yield FileMistake(
                    line=line, field="", message=f"This has {len(item)} fields; a rule has fewer"
                )
                continue
            try:
                row = FileRow(line, FileRule.model_validate(item))
            except ValidationError as error:
                for name, message in wrong_fields(error):
                    yield FileMistake(line=line, field=name, message=message)
                continue
            rows += 1
            yield row
    except FileError as error:
        yield FileMistake(line=error.line, field="", message=str(error))


def wrong_fields(error: ValidationError) -> Iterator[tuple[str, str]]:
    """Yield the names of wrong fields of a rule, and what is wrong."""
    for item in error.errors(include_url=False, include_input=False):
        field = ".".join(str(part) for part in item["loc"])
        message = "There is no such column" if item["type"] == "extra_forbidden" else item["msg"]
        yield field[:200], message
