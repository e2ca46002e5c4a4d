"""Opens a file to import: this server's own form, or what `importers` reads. Pure."""

import re
from base64 import b64decode
from binascii import Error as Base64Error
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import chain

from pydantic import ValidationError

from santaserver.errors import wrong_field
from santaserver.importers.model import Finding, Findings, ImportedRule, Options, Place, Report
from santaserver.importers.scopes import SERIAL
from santaserver.importers.titles import TITLES
from santaserver.pace import Pace
from santaserver.policy.targets import MASK
from santaserver.rules.transfer_format import FileRow, wrong_fields
from santaserver.rules.transfer_schemas import (
    COLUMNS,
    FIRST_REMOVAL,
    SHOWN,
    SHOWN_NOTES,
    FileCandidate,
    FileConfiguration,
    FileFormat,
    FileMistake,
    FileNote,
    FileNotes,
    FileRule,
    LayerCount,
    RecognizedFile,
    RuleImport,
)

OWN_JSON = re.compile(r'\ufeff?\s*(?:\{\s*"version"\s*:\s*\d|(?:\{\s*"rules"\s*:\s*)?\[\s*\{\s*"layer"\s*:)')
HEADER = 4000
"""Characters in which the first line of a table ends."""
ALLOWED = frozenset(COLUMNS)


@dataclass(frozen=True, slots=True)
class OwnFile:
    """A file in this server's form, which is read in pieces."""

    kind: FileFormat
    pieces: Iterator[str]


OpenedFile = OwnFile | Report


def open_text(wanted: RuleImport, pieces: Iterator[str]) -> OpenedFile:
    """Open the content of a request."""
    if wanted.format != "auto":
        if wanted.encoding != "text":
            raise wrong_field("encoding", "Base64 is for the format `auto`")
        return OwnFile(wanted.format, pieces)
    if wanted.encoding == "base64":
        return open_bytes(wanted, _decoded("".join(pieces)))
    first = next(pieces, "")
    kind = own_format(first)
    if kind:
        return OwnFile(kind, chain([first], pieces))
    return _read((first + "".join(pieces)).encode(), wanted)


def open_bytes(wanted: RuleImport, data: bytes) -> OpenedFile:
    """Open a file."""
    kind = own_format(data[:HEADER].decode(errors="replace"))
    if kind:
        try:
            return OwnFile(kind, iter([data.decode()]))
        except UnicodeDecodeError:
            pass  # the importers say where
    return _read(data, wanted)


def own_format(start: str) -> FileFormat | None:
    """Tell whether a file is in this server's form, by its beginning."""
    if OWN_JSON.match(start):
        return "json"
    header = re.split(r"[\r\n]", start.removeprefix("\ufeff")[:HEADER], maxsplit=1)[0].split(",")
    return "csv" if "layer" in header and ALLOWED.issuperset(header) else None


def serials_of(report: Report) -> set[str]:
    """Return the serial numbers that stand for Macs in a file."""
    rules = chain(report.rules, report.removals)
    return {one.layer.removeprefix(SERIAL) for one in rules if one.layer.startswith(SERIAL)}


@dataclass(frozen=True, slots=True)
class Rows:
    """A file of another tool as rows of the import."""

    items: list[FileRow | FileMistake]
    removals: list[FileRow]

    @property
    def places(self) -> dict[int, FileRow]:
        """Return the rows by the numbers that they are staged with."""
        rules = (item for item in self.items if isinstance(item, FileRow))
        return dict(enumerate(rules, 1)) | dict(enumerate(self.removals, FIRST_REMOVAL))


def rows_of(report: Report, machines: Mapping[str, str]) -> Rows:
    """Translate what was read; `machines` has the machine id of each serial number that is known."""
    items: list[FileRow | FileMistake] = []
    for rule in report.rules:
        items += _row(rule, machines)
    removals: list[FileRow] = []
    for rule in report.removals:
        for one in _row(rule, machines):
            if isinstance(one, FileRow):
                removals.append(one)
            else:
                items.append(one)
    return Rows(items, removals)


def mistakes_of(report: Report) -> tuple[list[FileMistake], int]:
    """Return the mistakes that are kept, and how many there are."""
    return [_mistake(one) for one in report.mistakes], report.mistakes.total


def recognized(report: Report) -> RecognizedFile:
    """Describe a file for whoever decides about it."""
    layers = Counter(rule.layer for rule in chain(report.rules, report.removals))
    return RecognizedFile(
        format=report.format,
        title=TITLES[report.format],
        rules=len(report.rules),
        removals=len(report.removals),
        layers=[LayerCount(layer=_clean(layer), rules=layers[layer]) for layer in list(layers)[:SHOWN]],
        settings=report.settings,
        configurations=[
            FileConfiguration(id=_clean(one.id), name=_clean(one.name), rules=one.rules)
            for one in report.configurations[:SHOWN]
        ],
        choices=list(report.choices),
        skipped_total=report.skipped.total,
        skipped=_notes(report.skipped),
        warnings_total=report.warnings.total,
        warnings=_notes(report.warnings),
        candidates=[
            FileCandidate(
                line=one.place.line or 0,
                decision=one.decision,
                reason=one.reason,
                sha256=one.sha256,
                path=one.path,
                team_id=one.team_id,
                count=one.count,
            )
            for one in report.candidates[:SHOWN]
        ],
    )


def _read(data: bytes, wanted: RuleImport) -> Report:
    from santaserver.importers.reader import read  # noqa: PLC0415 - few imports need these parsers

    options = Options(
        file_name=wanted.file_name,
        layer=wanted.layer,
        configuration=wanted.configuration,
        last_wins=wanted.last_wins,
        message_to_comment=wanted.message_to_comment,
        tag_names=wanted.tag_names,
    )
    return read(data, options, Pace())


def _decoded(text: str) -> bytes:
    try:
        return b64decode(text, validate=True)
    except (Base64Error, ValueError) as error:
        raise wrong_field("content", "This is not Base64") from error


def _row(rule: ImportedRule, machines: Mapping[str, str]) -> list[FileRow | FileMistake]:
    layer = rule.layer
    if layer.startswith(SERIAL):
        serial = layer.removeprefix(SERIAL)
        machine = machines.get(serial)
        if machine is None:
            message = f"No Mac here has the serial number {serial[:100]}, or several have it"
            return [_mistake(Finding("scope_unresolved", message, rule.place, rule.entry, "layer"))]
        layer = f"machine:{machine}"
    values = {
        "layer": layer,
        "rule_type": rule.rule_type,
        "identifier": rule.identifier,
        "policy": MASK if rule.policy == "REMOVE" else rule.policy,
        "cel_expr": rule.cel_expr or None,
        "custom_msg": rule.custom_msg,
        "custom_url": rule.custom_url,
        "comment": rule.comment,
    }
    try:
        checked = FileRule.model_validate(values)
    except ValidationError as error:
        return [
            _mistake(Finding("bad_value", message, rule.place, rule.entry, name))
            for name, message in wrong_fields(error)
        ]
    place = rule.place
    return [FileRow(place.line or 0, checked, place.column, rule.entry, place.file)]


def _mistake(found: Finding) -> FileMistake:
    return FileMistake.model_validate({"code": found.code} | _where(found.place, found))


def _notes(findings: Findings) -> list[FileNotes]:
    return [
        FileNotes(
            code=code,
            count=count,
            notes=[FileNote.model_validate(_where(one.place, one)) for one in kept[:SHOWN_NOTES]],
        )
        for code, count, kept in findings.groups()
    ]


def _clean(text: str) -> str:
    """Replace what cannot be sent: halves of surrogate pairs in JSON files."""
    return text.encode(errors="replace").decode()


def _where(place: Place, found: Finding) -> dict[str, object]:
    return {
        "line": place.line or 0,
        "column": place.column,
        "entry": found.entry,
        "field": _clean(found.field[:200]),
        "message": _clean(found.message),
        "file": place.file,
    }
