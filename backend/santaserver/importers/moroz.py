"""Moroz: one TOML file for the fleet, `global.toml`, or one for a Mac, named by its machine id."""

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from santaserver.importers.collect import Collector
from santaserver.importers.dialect import Dialect
from santaserver.importers.entry import read_entry
from santaserver.importers.model import GLOBAL, Options, Place, Report
from santaserver.importers.record import Number, Record, kind_of
from santaserver.importers.settings import SETTINGS, note, note_orders
from santaserver.importers.text import Text
from santaserver.importers.toml_source import Table, TomlFile

DIALECT = Dialect()
MACHINE_ID = re.compile(r"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")
GLOBAL_NAME = "global"


def read(text: Text, options: Options, report: Report) -> None:
    """Read a file."""
    report.choices = ("layer", "last_wins", "message_to_comment", "file_name")
    file = TomlFile(text)
    layer = _layer(options, report)
    collector = Collector(report, last_wins=options.last_wins, message_to_comment=options.message_to_comment)
    lists = {name.lower(): name for name in file.values}
    _read_top(file, report)
    name = lists.get("rules", "rules")
    rules = file.values.get(name, [])
    if not isinstance(rules, list):
        place = file.place(file.top.keys.get(name, 0))
        report.mistake("bad_value", f"`rules` is {kind_of(rules)}, not a list of rules", place, None, "rules")
        return
    tables = file.tables.get(name, [])
    for entry, values in enumerate(rules, 1):
        table = tables[entry - 1] if entry <= len(tables) else Table(file.top.keys.get(name, 0))
        place = file.place(table.offset)
        if not isinstance(values, dict):
            message = f"This is {kind_of(values)} where a rule is needed"
            report.mistake("bad_value", message, place, entry)
            continue
        record = Record(entry, place, _values(values), _finder(file, table))
        if rule := read_entry(record, DIALECT, report):
            collector.add(replace(rule, layer=layer))
    collector.finish()


def _layer(options: Options, report: Report) -> str:
    """Return the layer that the file's name stands for, unless another was chosen."""
    name = options.file_name.replace("\\", "/").rpartition("/")[2]
    stem = name[:-5] if name.lower().endswith(".toml") else name
    if options.layer != GLOBAL or not stem or stem.lower() == GLOBAL_NAME:
        return options.layer
    if MACHINE_ID.fullmatch(stem):
        message = (
            "In Moroz this file replaces global.toml for its Mac; here it adds to the global layer. "
            "Mask rules of the global layer that the Mac must not have with NONE"
        )
        report.warn("replaces_global", message)
        return f"machine:{stem}"
    message = f"Moroz would use {name} for a Mac with that machine id only; its rules go to the global layer"
    report.warn("file_name", message)
    return options.layer


def _read_top(file: TomlFile, report: Report) -> None:
    for name, value in file.values.items():
        lower = name.lower()
        place = file.place(file.top.keys.get(name, 0))
        if lower == "rules" or note_orders(lower, value, place, report):
            continue
        setting = SETTINGS.get(lower)
        if setting is None:
            message = f"There is no setting {name[:100]!r}; it is left out"
            report.warn("unknown_key", message, place, None, name)
        else:
            note(report, setting, value)


def _values(table: dict[str, Any]) -> dict[str, object]:
    """TOML's numbers as they are read from other formats."""
    return {
        name: Number(value) if isinstance(value, int | float) and not isinstance(value, bool) else value
        for name, value in table.items()
    }


def _finder(file: TomlFile, table: Table) -> Callable[[str], Place | None]:
    def find(name: str) -> Place | None:
        offset = table.keys.get(name)
        return None if offset is None else file.place(offset)

    return find
