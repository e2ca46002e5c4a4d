"""Rules in configuration profiles and property lists: `StaticRules`, wherever they are in them."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from santaserver.importers import settings
from santaserver.importers.cms import content_of, is_cms
from santaserver.importers.collect import Collector
from santaserver.importers.dialect import Dialect
from santaserver.importers.entry import read_entry
from santaserver.importers.model import Options, Place, Report, Unreadable
from santaserver.importers.plist_source import Dict, Value, parse
from santaserver.importers.record import Record, kind_of
from santaserver.importers.words import WHY_SKIPPED

DIALECT = Dialect(cdhash_unknown=True)
STATIC_RULES = "staticrules"
MISNAMED = "rules"
"""What a generator calls the list; Santa ignores it."""
FILE_ACCESS = "fileaccesspolicy"
DOMAINS = ("com.northpolesec.santa", "com.google.santa")
RULE_KEYS = frozenset({"identifier", "sha256", "rule_type", "policy"})
MAX_WRAPPINGS = 4
"""Signed profiles, and lists inside of data."""
PROPERTY_LISTS = (b"<?xml", b"bplist", b"<plist", b"<!DOCTYPE plist")


@dataclass(frozen=True, slots=True)
class _Found:
    """A list of rules in a dictionary."""

    items: list[Value]
    misnamed: Place | None


def read(data: bytes, options: Options, report: Report, file: str = "") -> None:
    """Read a property list of any form, signed or not."""
    report.choices = ("layer", "message_to_comment")
    for _ in range(MAX_WRAPPINGS):
        if not is_cms(data):
            break
        data = content_of(data)
        message = "The signature of the file was not checked; only its content was read"
        report.warn("signature_not_checked", message)
    root = parse(data, file)
    collector = Collector(report, message_to_comment=options.message_to_comment)
    entry = 0
    for found in _lists(root, report):
        if found.misnamed:
            message = "Santa itself reads the list StaticRules only; these rules were never in force"
            report.warn("legacy_key", message, found.misnamed, None, "Rules")
        for item in found.items:
            entry += 1
            if not isinstance(item.value, Dict):
                message = f"This is {kind_of(item.value)} where a rule is needed; Santa ignores it"
                report.mistake("bad_value", message, item.place, entry)
            elif rule := read_entry(_record(entry, item), DIALECT, report):
                collector.add(replace(rule, layer=options.layer))
    collector.finish()


def _record(entry: int, item: Value) -> Record:
    fields = {key: _plain(value) for key, value in item.value.values.items()}
    return Record(entry, item.place, fields, item.value.places.get, tuple(item.value.repeated))


def _plain(value: Value) -> object:
    if isinstance(value.value, Dict):
        return dict.fromkeys(value.value.values)
    return [one.value for one in value.value] if isinstance(value.value, list) else value.value


def _lists(root: Value, report: Report) -> Iterator[_Found]:
    """Yield the lists of rules in the order of the file, and note what else is beside them."""
    waiting: list[tuple[Value, bool, int]] = [(root, False, 0)]
    while waiting:
        value, in_santa, wrappings = waiting.pop()
        if isinstance(value.value, bytes):
            waiting += _unpacked(value, in_santa, wrappings)
        elif isinstance(value.value, list):
            waiting += [(one, in_santa, wrappings) for one in reversed(value.value)]
        elif isinstance(value.value, Dict):
            in_santa = in_santa or _is_santa(value.value)
            yield from _of_dict(value.value, report, in_santa=in_santa)
            inner = [
                (one, in_santa or key in DOMAINS, wrappings)
                for key, one in value.value.values.items()
                if key.lower() not in {STATIC_RULES, FILE_ACCESS}
            ]
            waiting += reversed(inner)


def _of_dict(values: Dict, report: Report, *, in_santa: bool) -> Iterator[_Found]:
    for key, value in values.values.items():
        lower = key.lower()
        setting = settings.PROFILE_SETTINGS.get(lower)
        if setting:
            settings.note(report, setting, value.value)
        elif lower == FILE_ACCESS:
            report.skip("file_access", WHY_SKIPPED["file_access"], values.places[key])
        elif lower == STATIC_RULES:
            if isinstance(value.value, list):
                yield _Found(value.value, None)
            else:
                message = f"{key} is {kind_of(value.value)}, not a list of rules"
                report.mistake("bad_value", message, value.place, None, key)
        elif lower == MISNAMED and isinstance(value.value, list) and (in_santa or _look_like_rules(value)):
            yield _Found(value.value, values.places[key])


def _is_santa(values: Dict) -> bool:
    kind = values.values.get("PayloadType")
    return kind is not None and kind.value in DOMAINS


def _look_like_rules(value: Value) -> bool:
    return any(
        isinstance(one.value, Dict) and RULE_KEYS & {key.lower() for key in one.value.values}
        for one in value.value
    )


def _unpacked(value: Value, in_santa: bool, wrappings: int) -> Iterator[tuple[Value, bool, int]]:
    """Yield the property list inside of data, if it is one."""
    data: bytes = value.value
    if wrappings >= MAX_WRAPPINGS:
        return
    try:
        if is_cms(data):
            data = content_of(data)
        if data.lstrip().startswith(PROPERTY_LISTS):
            yield parse(data.lstrip()), in_santa, wrappings + 1
    except Unreadable:
        return  # certificates and pictures are data too
