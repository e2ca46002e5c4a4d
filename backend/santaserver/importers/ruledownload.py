"""A recorded answer of a sync server to the stage ruledownload."""

from santaserver.importers.dialect import Dialect
from santaserver.importers.json_source import Elements, JsonFile
from santaserver.importers.listed import entries, read_list
from santaserver.importers.model import Options, Report

DIALECT = Dialect()
MARKS = frozenset({"creation_time", "file_bundle_hash", "file_bundle_binary_count", "notification_app_name"})
"""Keys of rules that only servers write."""


def read(file: JsonFile, options: Options, report: Report) -> None:
    """Read an answer; one with a cursor is a part."""
    report.choices = ("layer", "last_wins", "message_to_comment")
    rules = file.fields.get("rules")
    if isinstance(rules, Elements):
        read_list(entries(rules, report), DIALECT, options, report)
    elif rules is not None:
        report.mistake("bad_value", "`rules` is not a list", file.place("rules"), None, "rules")
    if file.fields.get("cursor"):
        message = "A cursor means that more pages follow; record all of them and import their rules together"
        report.mistake("incomplete_page", message, file.place("cursor"), None, "cursor")
    for name in file.fields:
        if name not in {"rules", "cursor"}:
            message = f"{name[:100]!r} is not part of an answer; it is left out"
            report.warn("unknown_key", message, file.place(name), None, name)
