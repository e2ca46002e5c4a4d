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
    """A rule and the line that it begins on."""

    line: int
    rule: FileRule


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
                yield from _mistakes(line, error)
                continue
            rows += 1
            yield row
    except FileError as error:
        yield FileMistake(line=error.line, field="", message=str(error))


def _mistakes(line: int, error: ValidationError) -> Iterator[FileMistake]:
    for item in error.errors(include_url=False, include_input=False):
        field = ".".join(str(part) for part in item["loc"])
        message = "There is no such column" if item["type"] == "extra_forbidden" else item["msg"]
        yield FileMistake(line=line, field=field[:200], message=message)
