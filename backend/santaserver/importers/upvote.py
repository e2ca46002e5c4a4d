"""Upvote's table Rule in BigQuery: a log of changes, of which the last one for a target in a scope counts."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from santaserver.importers.collect import Collector
from santaserver.importers.dialect import Dialect
from santaserver.importers.entry import read_entry
from santaserver.importers.model import ImportedRule, Options, Place, Report
from santaserver.importers.record import Record

DIALECT = Dialect(
    keys={
        "target_type": "rule_type",
        "sha256": "identifier",
        "identifier": "identifier",
        "policy": "policy",
        "comment": "comment",
        "custom_msg": "custom_msg",
    },
    legacy=frozenset(),
    other=frozenset({"timestamp", "scope", "device_id", "user"}),
    skips={"FORCE_INSTALLER": "other_agent", "PENDING": "other_agent", "PACKAGE": "bundle_rule"},
)
LOCAL = "LOCAL"


@dataclass(frozen=True, slots=True)
class _Row:
    rule: ImportedRule
    at: datetime


def read(records: Iterable[Record], header: Place, options: Options, report: Report) -> None:
    """Read the rows and keep the latest ones."""
    report.choices = ("layer",)
    message = "The log does not say which rules were set aside without a REMOVE"
    report.warn("lossy_source", message, header)
    latest: dict[tuple[str, ...], _Row] = {}
    for record in records:
        row = _row(record, options, report)
        if row is None:
            continue
        rule, fields = row.rule, record.fields
        key = (rule.rule_type, rule.identifier, str(fields.get("device_id")), str(fields.get("user")))
        before = latest.get(key)
        if before is None:
            latest[key] = row
            continue
        old, new = sorted((before, row), key=lambda one: (one.at, one.rule.entry))
        message = f"Line {new.rule.place.line} is later"
        report.skip("superseded", message, old.rule.place, old.rule.entry)
        latest[key] = new
    collector = Collector(report)
    for row in sorted(latest.values(), key=lambda one: one.rule.entry):
        collector.add(row.rule)
    collector.finish()


def _row(record: Record, options: Options, report: Report) -> _Row | None:
    rule = read_entry(record, DIALECT, report)
    if rule is None:
        return None
    at = _time(str(record.fields.get("timestamp") or ""))
    if at is None:
        message = "This is not a time such as 2018-05-01 10:00:00 UTC"
        report.mistake("bad_value", message, record.at("timestamp"), record.entry, "timestamp")
        return None
    layer = _layer(record, options)
    if layer is None:
        message = "A local row names no device and no user"
        report.mistake("scope_unresolved", message, record.at("scope"), record.entry, "scope")
        return None
    return _Row(replace(rule, layer=layer), at)


def _layer(record: Record, options: Options) -> str | None:
    if str(record.fields.get("scope") or "").strip().upper() != LOCAL:
        return options.layer
    device, user = (str(record.fields.get(name) or "").strip() for name in ("device_id", "user"))
    if device:
        return f"machine:{device}"
    return f"user:{user}" if user else None


def _time(text: str) -> datetime | None:
    text = text.strip().removesuffix("UTC").strip()
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return None
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at
