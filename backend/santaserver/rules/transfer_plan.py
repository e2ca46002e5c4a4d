"""Checks the rules of a file one by one, in portions that are staged as they come. Without I/O."""

from collections.abc import Container, Iterator
from dataclasses import dataclass, field, fields
from datetime import datetime
from operator import attrgetter
from typing import Any

from santaserver.errors import Unprocessable
from santaserver.layers.schemas import GLOBAL
from santaserver.pace import Pace
from santaserver.policy.targets import check_identifier
from santaserver.rules.checks import check_content, check_layer, check_schedule
from santaserver.rules.transfer_format import FileRow
from santaserver.rules.transfer_schemas import FileMistake

PORTION = 500
"""Rules that are read at a time."""
TURN = 20
"""Rules that are read between two pauses: about a millisecond."""
MAX_MISTAKES = 5_000
NO_LAYER = "There is no such layer"


@dataclass(frozen=True, slots=True)
class Staged:
    """A checked rule of a file, as it is compared with those that are there."""

    n: int
    """Its place in the file; several rules may be on one line."""
    line: int
    asked: str
    """The layer as the file names it."""
    rule_type: str
    identifier: str
    policy: str
    cel_expr: str | None
    custom_msg: str
    custom_url: str
    needs_level: int
    grants_compiler: bool
    locked: bool
    starts_at: datetime | None
    expires_at: datetime | None
    comment: str


STAGED_COLUMNS = tuple(column.name for column in fields(Staged))
_record = attrgetter(*STAGED_COLUMNS)


@dataclass(frozen=True, slots=True)
class Failed:
    """What is wrong with one rule of a file, unless there is no such layer."""

    line: int
    asked: str
    mistakes: tuple[FileMistake, ...]

    def told(self, unknown: Container[str]) -> tuple[FileMistake, ...]:
        """Return what to say of it when these layers are unknown."""
        if self.asked in unknown:
            return (FileMistake(line=self.line, field="layer", message=NO_LAYER, code="unknown_layer"),)
        return self.mistakes


@dataclass(slots=True)
class Portion:
    """Some rules of a file, and what is wrong with others."""

    records: list[tuple[Any, ...]] = field(default_factory=list)
    failed: list[Failed] = field(default_factory=list)
    mistakes: list[FileMistake] = field(default_factory=list)
    """Errors outside of rules."""

    @property
    def wrong(self) -> int:
        """How many items of the file are wrong."""
        return len(self.failed) + len(self.mistakes)


class FileReader:
    """Reads and checks a file; `portion` is called until `done`, on any thread."""

    def __init__(self, items: Iterator[FileRow | FileMistake], now: datetime) -> None:
        """Prepare; nothing is read yet."""
        self._items = items
        self._now = now
        self._wrong = 0
        self.rules = 0
        """Rules in the file, right or wrong."""
        self.done = False

    def portion(self) -> Portion:
        """Read on."""
        found = Portion()
        pause = Pace()
        for number in range(PORTION):
            if number % TURN == TURN - 1:
                pause()
            item = next(self._items, None)
            if item is None:
                self.done = True
                break
            if isinstance(item, FileRow):
                self._take(item, found)
            else:
                found.mistakes.append(item)
            if self._wrong + found.wrong >= MAX_MISTAKES:
                message = f"More than {MAX_MISTAKES} errors: the rest of the file was not read"
                found.mistakes.append(FileMistake(line=item.line, field="", message=message))
                self.done = True
                break
        self._wrong += found.wrong
        return found

    def _take(self, row: FileRow, found: Portion) -> None:
        self.rules += 1
        try:
            found.records.append(_record(_checked(self.rules, row, self._now)))
        except Unprocessable as error:
            wrong = (row.mistake(item.field, item.message, _code(item.field)) for item in error.errors)
            found.failed.append(Failed(row.line, row.rule.layer, tuple(wrong)))


def _code(field: str) -> str:
    return {"cel_expr": "cel_invalid", "identifier": "bad_identifier"}.get(field, "bad_value")


def _checked(n: int, row: FileRow, now: datetime) -> Staged:
    rule = row.rule
    identifier = check_identifier(rule.rule_type, rule.identifier)
    check_layer(GLOBAL if rule.layer == GLOBAL else "tag", rule)
    content = check_content(rule.rule_type, rule)
    schedule = check_schedule(rule, now)
    return Staged(
        n=n,
        line=row.line,
        asked=rule.layer,
        rule_type=rule.rule_type,
        identifier=identifier,
        policy=content.policy,
        cel_expr=content.cel_expr,
        custom_msg=content.custom_msg,
        custom_url=content.custom_url,
        needs_level=content.needs_level,
        grants_compiler=content.grants_compiler,
        locked=content.locked,
        starts_at=schedule.starts_at,
        expires_at=schedule.expires_at,
        comment=rule.comment,
    )
