"""Tables with a header: which columns are read, and tables of no tool in particular."""

from dataclasses import replace

from santaserver.importers.collect import Collector
from santaserver.importers.csv_source import CsvFile
from santaserver.importers.dialect import SILENT_KEYS, Dialect
from santaserver.importers.entry import read_entry
from santaserver.importers.model import Options, Report

KEYS = {
    "rule_type": "rule_type",
    "type": "rule_type",
    "target_type": "rule_type",
    "identifier": "identifier",
    "sha256": "identifier",
    "target_identifier": "identifier",
    "policy": "policy",
    "custom_msg": "custom_msg",
    "custom_message": "custom_msg",
    "custommsg": "custom_msg",
    "custom_url": "custom_url",
    "customurl": "custom_url",
    "comment": "comment",
    "description": "comment",
    "cel_expr": "cel_expr",
    "cel_expression": "cel_expr",
}
LAYER = "layer"
DIALECT = Dialect(keys=KEYS, legacy=frozenset(), other=frozenset({LAYER}))


def read(file: CsvFile, options: Options, report: Report) -> None:
    """Read a table whose columns have any names that tools use; `layer` names a scope, if it is there."""
    report.choices = ("layer", "message_to_comment")
    known_columns(file, DIALECT, report)
    collector = Collector(report, message_to_comment=options.message_to_comment)
    for record in file.records(report):
        if rule := read_entry(record, DIALECT, report):
            layer = str(record.fields.get(LAYER) or "").strip()
            collector.add(replace(rule, layer=layer or options.layer))
    collector.finish()


def known_columns(file: CsvFile, dialect: Dialect, report: Report) -> None:
    """Report columns that are not read, once, and take them out of the table."""
    for number, name in enumerate(file.names):
        if name in dialect.keys or name in dialect.other:
            continue
        if name and name not in SILENT_KEYS:
            report.warn("unknown_key", f"The column {name[:100]} is not imported", file.header, None, name)
        file.names[number] = ""
