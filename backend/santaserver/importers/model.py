"""What reading a file gives: rules, and everything to say about the file."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

MAX_BYTES = 12 * 1024 * 1024
"""Of a file, and of what is in an archive."""
MAX_ROWS = 100_000
MAX_DEPTH = 64
"""Levels of nesting; real files have up to a dozen."""
MAX_MISTAKES = 5_000
TURN = 20
"""Entries between two pauses: about a millisecond."""
KEPT = 500
"""Findings of one kind that are kept; all are counted."""
GLOBAL = "global"


@dataclass(frozen=True, slots=True)
class Place:
    """Where something begins; `line` and `column` count from 1, None in files that have no lines."""

    line: int | None = None
    column: int | None = None
    file: str = ""
    """The file inside of an archive."""


NOWHERE = Place()


@dataclass(frozen=True, slots=True)
class Finding:
    """A mistake, a skipped entry or a warning."""

    code: str
    message: str
    place: Place = NOWHERE
    entry: int | None = None
    """The number of the entry in the file, from 1; None for the file."""
    field: str = ""


@dataclass(frozen=True, slots=True)
class ImportedRule:
    """A rule for one layer; texts that the file does not have are empty. `policy` is REMOVE for a removal."""

    entry: int
    place: Place
    layer: str
    rule_type: str
    identifier: str
    policy: str
    custom_msg: str = ""
    custom_url: str = ""
    comment: str = ""
    cel_expr: str = ""

    @property
    def content(self) -> tuple[str, ...]:
        """What the rule does and says."""
        return (self.policy, self.cel_expr, self.custom_msg, self.custom_url, self.comment)


REMOVE = "REMOVE"


@dataclass(slots=True)
class Candidate:
    """A program in a log of executions: what a rule could be about."""

    place: Place
    decision: str
    reason: str
    sha256: str
    path: str
    cert_sha256: str = ""
    team_id: str = ""
    quarantine_url: str = ""
    count: int = 1


@dataclass(frozen=True, slots=True)
class Configuration:
    """One of several rule sets in a file."""

    id: str
    name: str
    rules: int


@dataclass(frozen=True, slots=True)
class Options:
    """What a person decides about a file."""

    file_name: str = ""
    layer: str = GLOBAL
    """Of rules for which the file names no scope."""
    configuration: str = ""
    """Id or name of one of the file's configurations."""
    last_wins: bool = False
    """Of two rules for one target, take the last, where the Macs did so too."""
    message_to_comment: bool = False
    """Make the message of a rule that allows its comment: no Mac ever shows it."""
    tag_names: Mapping[str, str] = field(default_factory=dict)
    """Names of tags that the file has only numbers of."""


class Unreadable(Exception):  # noqa: N818 - what the file is
    """The file, or the rest of it, cannot be read."""

    def __init__(self, code: str, message: str, place: Place = NOWHERE, field: str = "") -> None:
        """Keep what to report."""
        super().__init__(message)
        self.finding = Finding(code, message, place, None, field)


class Enough(Exception):  # noqa: N818 - a limit
    """So many mistakes that the rest of the file is not read."""


class Findings:
    """Findings of one severity by code: the first of each, and how many there are."""

    def __init__(self) -> None:
        """Begin with none."""
        self._kept: dict[str, list[Finding]] = {}
        self._counts: dict[str, int] = {}

    def add(self, finding: Finding) -> None:
        """Count one and keep it unless there are many."""
        kept = self._kept.setdefault(finding.code, [])
        self._counts[finding.code] = self._counts.get(finding.code, 0) + 1
        if len(kept) < KEPT:
            kept.append(finding)

    @property
    def total(self) -> int:
        """How many there are."""
        return sum(self._counts.values())

    def groups(self) -> Iterator[tuple[str, int, list[Finding]]]:
        """Yield code, count and the first findings."""
        for code, kept in self._kept.items():
            yield code, self._counts[code], kept

    def __iter__(self) -> Iterator[Finding]:
        for kept in self._kept.values():
            yield from kept


@dataclass(slots=True)
class Report:
    """A file as it was understood."""

    format: str = "unknown"
    rules: list[ImportedRule] = field(default_factory=list)
    removals: list[ImportedRule] = field(default_factory=list)
    mistakes: Findings = field(default_factory=Findings)
    skipped: Findings = field(default_factory=Findings)
    warnings: Findings = field(default_factory=Findings)
    settings: dict[str, str | int | bool] = field(default_factory=dict)
    """Settings in the file, by the names of the sync protocol; they are never applied."""
    configurations: list[Configuration] = field(default_factory=list)
    candidates: list[Candidate] = field(default_factory=list)
    choices: tuple[str, ...] = ()
    """Names of `Options` that mean something for this file."""
    pause: Callable[[], None] | None = None
    """Called now and then while entries are read, so that other work can go first."""
    _entries: int = 0

    def turn(self) -> None:
        """Count an entry."""
        self._entries += 1
        if self.pause and self._entries % TURN == 0:
            self.pause()

    @property
    def outcome(self) -> str:
        """`error` when nothing may be imported, `candidates` for a log, else `ok`."""
        if self.mistakes.total:
            return "error"
        return "candidates" if self.candidates else "ok"

    def mistake(
        self, code: str, message: str, place: Place = NOWHERE, entry: int | None = None, field: str = ""
    ) -> None:
        """Report something that keeps the file from being imported; raise `Enough` at the limit."""
        self.mistakes.add(Finding(code, message, place, entry, field))
        if self.mistakes.total >= MAX_MISTAKES:
            message = f"More than {MAX_MISTAKES} errors: the rest of the file was not read"
            self.mistakes.add(Finding("too_large", message, place))
            raise Enough

    def skip(self, code: str, message: str, place: Place, entry: int | None = None) -> None:
        """Report an entry that is left out and stops nothing."""
        self.skipped.add(Finding(code, message, place, entry))

    def warn(
        self, code: str, message: str, place: Place = NOWHERE, entry: int | None = None, field: str = ""
    ) -> None:
        """Report something to know."""
        self.warnings.add(Finding(code, message, place, entry, field))
