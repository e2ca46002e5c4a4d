"""Zentral's Terraform export: rules by configuration, with tags by reference."""

from collections import Counter
from collections.abc import Mapping, Sequence

from santaserver.importers import settings
from santaserver.importers.collect import Collector
from santaserver.importers.configurations import chosen
from santaserver.importers.dialect import Dialect
from santaserver.importers.entry import read_entry
from santaserver.importers.model import Configuration, Options, Place, Report
from santaserver.importers.record import Record, Unresolved
from santaserver.importers.resource import Resource
from santaserver.importers.scopes import Scope, spread
from santaserver.importers.words import ZENTRAL_POLICIES

RULE = "zentral_santa_rule"
TAG = "zentral_tag"
CONFIGURATION = "zentral_santa_configuration"
OWNER = "configuration_id"
KINDS = (("tag_ids", "tag:"), ("primary_users", "user:"), ("serial_numbers", "serial:"))
DIALECT = Dialect(
    keys={
        "target_type": "rule_type",
        "target_identifier": "identifier",
        "policy": "policy",
        "cel_expr": "cel_expr",
        "custom_message": "custom_msg",
        "custom_msg": "custom_msg",
        "custom_url": "custom_url",
        "description": "comment",
    },
    policies=ZENTRAL_POLICIES,
    other=frozenset({OWNER, *(name for kind, _ in KINDS for name in (kind, f"excluded_{kind}"))}),
    cel_lost="Zentral's export leaves cel_expr out: import GET /api/santa/rules/ instead",
)


class Context:
    """What a rule refers to: tags and configurations of the same files."""

    def __init__(self, resources: Sequence[Resource], options: Options, report: Report) -> None:
        """Look at all resources, and choose the configuration."""
        self._report = report
        self._options = options
        self._tags = _names(resources, TAG)
        names = _names(resources, CONFIGURATION)
        counts = Counter(_owner(one.values) for one in resources if one.type == RULE)
        self._configuration: str | None = ""
        if counts:
            report.choices = ("layer", "configuration", "tag_names")
            found = (Configuration(one, names.get(one, one), counts[one]) for one in counts)
            self._configuration = chosen(found, options.configuration, Place(1, 1), report)
        for one in resources:
            if one.type == CONFIGURATION and self._configuration in {one.name, ""}:
                self._note_settings(one.values)

    def take(self, record: Record, collector: Collector) -> None:
        """Read one rule."""
        owner = _owner(record.fields)
        if self._configuration is not None and owner != self._configuration:
            message = f"It belongs to {owner}"
            self._report.skip("other_configuration", message, record.place, record.entry)
            return
        rule = read_entry(record, DIALECT, self._report)
        scope = self._scope(record)
        if rule is None or scope is None or self._configuration is None:
            return
        for one in spread(rule, scope, self._options.layer, self._report):
            collector.add(one)

    def _note_settings(self, values: Mapping[str, object]) -> None:
        for name, value in values.items():
            if name in settings.SETTINGS:
                settings.note(self._report, settings.SETTINGS[name], value)

    def _scope(self, record: Record) -> Scope | None:
        scope, known = Scope(place=record.place), True
        for prefix, layers in (("", scope.included), ("excluded_", scope.excluded)):
            for name, kind in KINDS:
                values = record.fields.get(prefix + name)
                if values in (None, "", []):
                    continue
                for one in values if isinstance(values, list) else [values]:
                    found = self._name(one, kind)
                    if found is None:
                        known = False
                        self._unresolved(record, prefix + name, one)
                    else:
                        layers.append(kind + found)
                if prefix:
                    scope.key = scope.key or prefix + name
        return scope if known else None

    def _name(self, value: object, kind: str) -> str | None:
        """Return the name of a tag, user or Mac; None when it is not in the files."""
        if isinstance(value, Unresolved):
            parts = value.text.split(".")
            known = kind == "tag:" and parts[0] == TAG and len(parts) > 1
            return self._tags.get(parts[1]) if known else None
        text = str(value).strip() if isinstance(value, str) else ""
        if kind == "tag:":
            return self._options.tag_names.get(text) or self._tags.get(text)
        return text or None

    def _unresolved(self, record: Record, key: str, value: object) -> None:
        what = value.text if isinstance(value, Unresolved) else str(value)
        message = f"{what[:100]} is not defined in the files; import those that define it along with this one"
        self._report.mistake("scope_unresolved", message, record.at(key), record.entry, key)


def _names(resources: Sequence[Resource], kind: str) -> dict[str, str]:
    """Return the names of tags or configurations by what refers to them: the resource's name, or a number."""
    found: dict[str, str] = {}
    for one in resources:
        name = one.values.get("name")
        if one.type == kind and isinstance(name, str):
            found[one.name] = name
            if "id" in one.values:
                found[str(one.values["id"])] = name
    return found


def _owner(values: Mapping[str, object]) -> str:
    """Return the configuration's name among the resources, or its number."""
    value = values.get(OWNER)
    if isinstance(value, Unresolved):
        parts = value.text.split(".")
        return parts[1] if parts[0] == CONFIGURATION and len(parts) > 1 else value.text
    return "" if value is None else str(value)
