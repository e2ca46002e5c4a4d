"""Recognizes a file by its content, and reads it with the module of its format."""

import codecs
import re
from collections.abc import Callable
from itertools import islice

from santaserver.importers import (
    archive,
    contour,
    moroz,
    osquery,
    profile,
    rudolph,
    ruledownload,
    santa_log,
    santactl,
    tables,
    terraform,
    upvote,
    zentral,
)
from santaserver.importers.cms import is_cms
from santaserver.importers.csv_source import CsvFile
from santaserver.importers.json_source import Elements, JsonFile
from santaserver.importers.listed import entries
from santaserver.importers.model import MAX_BYTES, Enough, Options, Place, Report, Unreadable
from santaserver.importers.text import Text, decode, refuse_wide
from santaserver.importers.titles import TITLES
from santaserver.importers.yaml_source import YamlFile

NOTES = re.compile(r"(?:[ \t\n]+|#[^\n]*|//[^\n]*|/\*(?:[^*]++|\*(?!/))*+\*/)*+")
"""Blanks and comments of any language before the first word."""
HCL = re.compile(
    r"(?:resource|variable|locals|provider|terraform|data|module|output|import|moved|removed|check)\b"
    r'[ \t]*(?:"[^"\n]*+"[ \t]*+|[\w-]++[ \t]*+){0,2}+\{'
)
TOML = re.compile(
    r"""\[\[?[ \t]*[A-Za-z_][^\n]*\]|["']?[A-Za-z_][\w-]*["']?(?:[ \t]*\.[ \t]*[\w-]+)*[ \t]*="""
)
YAML = re.compile(r"""---(?:\s|$)|%YAML|-[ \t\n]|["']?[A-Za-z_][\w -]{0,100}["']?[ \t]*:(?:[ \t\n]|$)""")
SAMPLE = 20
"""Entries whose names tell the format."""
DATABASE = b"SQLite format 3\0"
GZIP = b"\x1f\x8b"
KNOWN = ", ".join(TITLES[name] for name in TITLES if name != "unknown")
NOT_RECOGNIZED = f"This is no file of rules that is known here: {KNOWN}, or an export of this server"


def read(data: bytes, options: Options | None = None, pause: Callable[[], None] | None = None) -> Report:
    """Read a file. Every error is in the report; nothing is raised for any input."""
    report = Report(pause=pause)
    try:
        if len(data) > MAX_BYTES:
            size = MAX_BYTES // 1024 // 1024
            message = f"The file is larger than {size} MiB; import it in parts"
            raise Unreadable("too_large", message)  # noqa: TRY301 - reported like all others
        _Reader(options or Options(), report).read(data)
    except Unreadable as error:
        report.mistakes.add(error.finding)
    except Enough:
        report.rules, report.removals = [], []
    found = (report.rules, report.removals, report.candidates, report.mistakes.total, report.skipped.total)
    if not any(found):
        report.warn("no_rules", "The file holds no rules")
    return report


class _Reader:
    def __init__(self, options: Options, report: Report) -> None:
        self._options = options
        self._report = report

    def read(self, data: bytes, file: str = "") -> None:
        """Read bytes of any kind."""
        if not data.strip():
            raise Unreadable("syntax", "The file is empty", Place(1, 1, file))
        if data.startswith(b"PK\x03\x04"):
            self._archive(data, file)
        elif data.startswith(DATABASE):
            message = "This is Santa's database; export its rules with `santactl rule --export`"
            raise Unreadable("syntax", message)
        elif data.startswith(GZIP):
            raise Unreadable("syntax", "The file is compressed; unpack it first")
        elif is_cms(data) or data.startswith(b"bplist") or _head(data).startswith(b"<"):
            if _head(data).startswith(b"<"):
                refuse_wide(data, file)
            self._report.format = "mobileconfig"
            profile.read(_without_mark(data), self._options, self._report, file)
        else:
            self._text(decode(data, file))

    def _archive(self, data: bytes, file: str) -> None:
        if file:
            raise Unreadable("syntax", "An archive in an archive is not read", Place(file=file))
        found = archive.files_of(data)
        if found and found[0][0].endswith(archive.TERRAFORM):
            self._report.format = "terraform"
            texts = [decode(content, name) for name, content in found]
            terraform.read(texts, self._options, self._report)
        elif len(found) == 1:
            self.read(found[0][1], found[0][0])
        else:
            message = f"The archive has {len(found)} files that may hold rules; import them one by one"
            raise Unreadable("syntax", message)

    def _text(self, text: Text) -> None:
        content = text.content
        notes = NOTES.match(content)
        first = notes.end() if notes else 0
        blank = len(content) - len(content.lstrip(" \t\n"))
        if santa_log.is_log(text):
            self._report.format = "santa_log"
            santa_log.read(text, self._report)
        elif (table := CsvFile(text)).names:
            self._table(table)
        elif HCL.match(content, first):
            self._report.format = "terraform"
            terraform.read([text], self._options, self._report)
        elif TOML.match(content, first):
            self._report.format = "moroz"
            moroz.read(text, self._options, self._report)
        elif {content[blank : blank + 1], content[first : first + 1]} & {"{", "["}:
            self._json(JsonFile(text))
        elif YAML.match(content, first):
            self._yaml(YamlFile(text))
        else:
            raise Unreadable("syntax", NOT_RECOGNIZED, Place(1, 1, text.file))

    def _json(self, file: JsonFile) -> None:
        names = set(file.fields)
        if file.list is not None:
            self._json_list(file, file.list, _names(file.list))
        elif "results" in names:
            self._report.format = "zentral_api"
            zentral.read_api(file, self._options, self._report)
        elif names & {"planned_values", "values", "terraform_version"}:
            self._report.format = "terraform"
            terraform.read_state(file, self._options, self._report)
        elif "rules" in names and "configurations" in names:
            self._report.format = "zentral_ruleset"
            zentral.read_set(file, self._options, self._report)
        elif "rules" in names:
            rules = file.fields["rules"]
            inside = _names(rules) if isinstance(rules, Elements) else set()
            recorded = "cursor" in names or inside & ruledownload.MARKS
            self._report.format = "ruledownload" if recorded else "santactl"
            (ruledownload if recorded else santactl).read(file, self._options, self._report)
        else:
            raise Unreadable("syntax", NOT_RECOGNIZED, Place(1, 1))

    def _json_list(self, file: JsonFile, rules: Elements, names: set[str]) -> None:
        report, options = self._report, self._options
        if "target_identifier" in names:
            report.format = "zentral_api"
            zentral.read_api(file, options, report)
        elif "state" in names:
            self._osquery(_states(rules), names, entries(rules, report), rules.place(0))
        elif "target_type" in names:
            report.format = "upvote_log"
            upvote.read(entries(rules, report), rules.place(0), options, report)
        elif "type" in names:
            report.format = "rudolph"
            rudolph.read_json(rules, options, report)
        elif names & contour.MARKS or any(name.startswith(contour.FILE_ACCESS) for name in names):
            report.format = "contour"
            contour.read(rules, options, report)
        else:
            report.format = "santactl"
            santactl.read(file, options, report)

    def _osquery(self, states: set[str], names: set[str], records: osquery.Records, place: Place) -> None:
        if states & {"whitelist", "blacklist"} and "shasum" in names:
            self._report.format = "trailofbits_santa_rules"
            osquery.refuse_trail_of_bits(place, self._report)
        elif states & {"allowlist", "blocklist", "unknown"}:
            self._report.format = "fleet_santa_rules"
            osquery.read_fleet(records, self._options, self._report)
        else:
            self._report.format = "rules_db"
            osquery.read_rules_db(records, self._options, self._report)

    def _table(self, table: CsvFile) -> None:
        names, report = set(table.names), self._report
        if "state" in names and "policy" not in names:
            tables.known_columns(table, osquery.RULES_DB, report)
            records = CsvFile(table.text).records(Report())
            states = {str(one.fields.get("state")).lower() for one in islice(records, SAMPLE)}
            self._osquery(states, names, table.records(report), table.header)
        elif {"target_type", "timestamp"} <= names:
            report.format = "upvote_log"
            upvote.read(table.records(report), table.header, self._options, report)
        elif "type" in names and "rule_type" not in names and "layer" not in names:
            report.format = "rudolph"
            rudolph.read_csv(table, self._options, report)
        else:
            report.format = "spreadsheet"
            tables.read(table, self._options, report)

    def _yaml(self, file: YamlFile) -> None:
        report, options = self._report, self._options
        if file.is_list:
            report.format = "contour"
            contour.read(file, options, report)
        elif not file.has_rules:
            raise Unreadable("syntax", NOT_RECOGNIZED, Place(1, 1))
        elif "configurations" in file.fields:
            report.format = "zentral_ruleset"
            zentral.read_set(file, options, report)
        else:
            report.format = "contour" if file.names & contour.MARKS else "santactl"
            (contour if file.names & contour.MARKS else santactl).read(file, options, report)


def _names(rules: Elements) -> set[str]:
    """Return the names in the first entries, in lower case."""
    found: set[str] = set()
    for value, _ in islice(rules, SAMPLE):
        if isinstance(value, dict):
            found |= {name.lower() for name in value}
    return found


def _states(rules: Elements) -> set[str]:
    return {str(value.get("state")).lower() for value, _ in rules if isinstance(value, dict)}


def _head(data: bytes) -> bytes:
    return _without_mark(data[:1000]).lstrip()


def _without_mark(data: bytes) -> bytes:
    return data.removeprefix(codecs.BOM_UTF8)
