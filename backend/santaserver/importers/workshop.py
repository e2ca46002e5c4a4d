"""Workshop's Terraform provider."""

from dataclasses import replace

from santaserver.importers.collect import Collector
from santaserver.importers.dialect import SANTA_KEYS, Dialect
from santaserver.importers.entry import read_entry
from santaserver.importers.model import GLOBAL, Options, Report
from santaserver.importers.record import Record

RULE = "nps_workshop_rule"
DIALECT = Dialect(
    keys={name: part for name, part in SANTA_KEYS.items() if name != "sha256"},
    other=frozenset({"tag", "seatbelt_policy"}),
)
SKIPPED = {
    "nps_workshop_package_rule": (
        "package_rule",
        "The identifiers of a package are in Workshop's catalog, not in the file",
    ),
    "nps_workshop_rule_pack_subscription": (
        "pack_subscription",
        "The rules of a pack are not in the file",
    ),
}
HOST = "host:"


def take(record: Record, options: Options, collector: Collector, report: Report) -> None:
    """Read one rule."""
    rule = read_entry(record, DIALECT, report)
    tag = record.fields.get("tag")
    if rule is None:
        return
    if tag is not None and not isinstance(tag, str):
        message = "Only Terraform can compute the tag; import the output of `terraform show -json` instead"
        report.mistake("unresolved_reference", message, record.at("tag"), record.entry, "tag")
        return
    name = (tag or "").strip()
    if not name or name.lower() == GLOBAL:
        layer = options.layer
    elif name.lower().startswith(HOST):
        layer = f"machine:{name[len(HOST) :].strip()}"
    else:
        layer = f"tag:{name}"
    collector.add(replace(rule, layer=layer))
