"""What formats that are lists of entries have in common."""

from collections.abc import Iterable
from dataclasses import replace

from santaserver.importers.collect import Collector
from santaserver.importers.dialect import Dialect
from santaserver.importers.entry import read_entry
from santaserver.importers.json_source import Elements
from santaserver.importers.model import Options, Place, Report
from santaserver.importers.record import Record


def read_list(records: Iterable[Record], dialect: Dialect, options: Options, report: Report) -> None:
    """Read entries that name no scope into the layer that was chosen."""
    collector = Collector(report, last_wins=options.last_wins, message_to_comment=options.message_to_comment)
    for record in records:
        if rule := read_entry(record, dialect, report):
            collector.add(replace(rule, layer=options.layer))
    collector.finish()


def entries(elements: Elements, report: Report) -> Iterable[Record]:
    """Yield the entries of a list in JSON; others than objects are mistakes."""

    def wrong(what: str, place: Place, entry: int) -> None:
        report.mistake("bad_value", f"This is {what} where a rule is needed", place, entry)

    return elements.records(wrong)
