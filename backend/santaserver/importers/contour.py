"""contour's lists of rules: YAML, or the same as JSON."""

from collections.abc import Iterable, Iterator

from santaserver.importers.dialect import Dialect
from santaserver.importers.json_source import Elements
from santaserver.importers.listed import entries, read_list
from santaserver.importers.model import Options, Report
from santaserver.importers.record import Record
from santaserver.importers.words import WHY_SKIPPED
from santaserver.importers.yaml_source import YamlFile

DIALECT = Dialect(
    keys={
        "rule_type": "rule_type",
        "identifier": "identifier",
        "sha256": "identifier",
        "policy": "policy",
        "custom_msg": "custom_msg",
        "custom_url": "custom_url",
        "description": "comment",
        "comment": "comment",
        "cel_expr": "cel_expr",
        "cel_expression": "cel_expr",
    }
)
MARKS = frozenset({"labels", "rings", "group", "cel_expression", "description"})
"""Keys that Santa's own lists do not have."""
FILE_ACCESS = "faa_"


def read(source: YamlFile | Elements, options: Options, report: Report) -> None:
    """Read a list."""
    report.choices = ("layer", "message_to_comment")
    records = source.records(report) if isinstance(source, YamlFile) else entries(source, report)
    read_list(_without_file_access(records, report), DIALECT, options, report)


def _without_file_access(records: Iterable[Record], report: Report) -> Iterator[Record]:
    for record in records:
        if any(name.lower().startswith(FILE_ACCESS) for name in record.fields):
            report.skip("file_access", WHY_SKIPPED["file_access"], record.place, record.entry)
        else:
            yield record
