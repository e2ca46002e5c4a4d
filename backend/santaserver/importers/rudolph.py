"""Rudolph's exports: CSV, and JSON lists."""

from santaserver.importers.csv_source import CsvFile
from santaserver.importers.dialect import Dialect
from santaserver.importers.json_source import Elements
from santaserver.importers.listed import entries, read_list
from santaserver.importers.model import Options, Report
from santaserver.importers.tables import known_columns

KEYS = {
    "type": "rule_type",
    "rule_type": "rule_type",
    "identifier": "identifier",
    "sha256": "identifier",
    "policy": "policy",
    "custom_msg": "custom_msg",
    "custom_url": "custom_url",
    "description": "comment",
    "comment": "comment",
    "cel_expr": "cel_expr",
}
DIALECT = Dialect(keys=KEYS)
CSV_DIALECT = Dialect(keys=KEYS, legacy=frozenset())
"""A column is reported once, not for each of its cells."""


def read_csv(file: CsvFile, options: Options, report: Report) -> None:
    """Read a table."""
    report.choices = ("layer", "message_to_comment")
    known_columns(file, CSV_DIALECT, report)
    if "sha256" in file.names:
        message = "The column sha256 holds identifiers of every type; it is read as identifier"
        report.warn("legacy_key", message, file.header, None, "sha256")
    read_list(file.records(report), CSV_DIALECT, options, report)


def read_json(rules: Elements, options: Options, report: Report) -> None:
    """Read a list."""
    report.choices = ("layer", "message_to_comment")
    read_list(entries(rules, report), DIALECT, options, report)
